//! The steps of a schedule.

use std::{rc::Rc, time::Duration};

use actix_gossipsub::{AppInput, DropReason, P2pInput, P2pMessage, RouteResult};
use strum::VariantArray;

use super::{
    checks::is_repaired,
    hooks::Hook,
    network::{Id, ScheduledNetwork, arm_clone, message},
    plan::Peril,
    reference::Reference,
    schedule::{MAX_TICKS, Schedule, TOPICS},
};

/// The kinds of steps with their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Grant,
    Verdict,
    Copy,
    Control,
    Membership,
    Publish,
    Tick,
    Batch,
    CheckParked,
    Time,
    Settle,
    Query,
    Report,
    Panic,
    Reconnect,
    Cancel,
    DropStream,
    ValidationTimeout,
    Shutdown,
}

impl Schedule {
    /// Runs the steps of the plan.
    pub async fn run_steps(&mut self) -> Result<(), String> {
        for step in 0..self.plan.steps {
            if self.has_ended.get() {
                break;
            }
            match self.plan.planned(step) {
                Some(peril) => {
                    self.trace(|| format!("{step}: planned {peril:?}"));
                    self.run_planned(peril).await;
                }
                None => {
                    let chosen = self.choose(2 * step > self.plan.steps);
                    self.trace(|| format!("{step}: {chosen:?}"));
                    self.run_step_in_order(chosen).await;
                }
            }
            self.run_ready().await;
            self.checks.borrow().violations().map_err(|broken| format!("at step {step}: {broken}"))?;
        }
        Ok(())
    }

    fn choose(&mut self, is_late: bool) -> Step {
        let has = |peril, weight| if self.has(peril) { weight } else { 0 };
        let weights = [
            (Step::Grant, 30),
            (Step::Verdict, 8),
            (Step::Copy, 20),
            (Step::Control, 6),
            (Step::Membership, 5),
            (Step::Publish, 5),
            (Step::Tick, if self.ticks < MAX_TICKS { 3 } else { 0 }),
            (Step::Batch, if self.plan.validation.in_batches() { 6 } else { 0 }),
            (Step::CheckParked, 1),
            (Step::Time, 2),
            (Step::Settle, 2),
            (Step::Query, 3),
            (Step::Report, 5),
            (Step::Panic, has(Peril::Panic, 4)),
            (Step::Reconnect, has(Peril::Reconnection, 8)),
            (Step::Cancel, has(Peril::Cancellation, 8)),
            (Step::DropStream, if is_late { has(Peril::Cancellation, 1) } else { 0 }),
            (Step::ValidationTimeout, has(Peril::Cancellation, 1)),
            (Step::Shutdown, if self.checks.borrow().shut_down { 6 } else { 0 }),
        ];
        let mut chosen = self.random.below(weights.iter().map(|(_, weight)| weight).sum());
        let mut steps = weights.iter();
        loop {
            let (step, weight) = steps.next().expect("the number is below the sum of the weights");
            match chosen.checked_sub(*weight) {
                Some(rest) => chosen = rest,
                None => return *step,
            }
        }
    }

    pub async fn run_step(&mut self, step: Step) {
        match step {
            Step::Grant => drop(self.grant_one().await),
            Step::Verdict => drop(self.resolve_one().await),
            Step::Copy => self.copy(),
            Step::Control => self.control(),
            Step::Membership => self.membership(),
            Step::Publish => self.publish(),
            Step::Tick => self.tick(),
            Step::Batch => self.process_batch(),
            Step::CheckParked => {
                let worker = self.worker.clone();
                self.spawn_settling("check_parked", async move { worker.check_parked().await });
            }
            Step::Time => self.clock.advance(Duration::from_millis(100)),
            Step::Settle => {
                let worker = self.worker.clone();
                self.spawn_settling("settle", async move { worker.settle().await });
            }
            Step::Query => self.query().await,
            Step::Report => self.report(),
            Step::Panic => {
                if self.random.one_in(2) {
                    arm_clone();
                } else {
                    let is_verdict = self.random.one_in(4);
                    let hook = if is_verdict {
                        self.plan.validation.hook()
                    } else {
                        self.random.pick(Hook::VARIANTS)
                    };
                    self.hooks.arm(Some(hook));
                }
            }
            Step::Reconnect => {
                let peer = self.unstable_peer();
                self.reconnect(peer).await;
            }
            Step::Cancel => {
                self.cancel_one();
                if self.random.one_in(2) {
                    self.read_streams();
                }
            }
            Step::DropStream => self.drop_stream(),
            Step::ValidationTimeout => {
                let awaited = self.hooks.awaited_ids();
                self.checks.borrow_mut().on_no_verdict(&awaited);
                tokio::time::advance(Duration::from_secs(61)).await;
            }
            Step::Shutdown => self.shut_down(),
        }
    }

    fn any_peer(&mut self) -> u64 {
        1 + self.random.below(self.plan.peers as usize) as u64
    }

    /// A peer whose connection and subscriptions may change.
    fn unstable_peer(&mut self) -> u64 {
        3 + self.random.below(self.plan.peers as usize - 2) as u64
    }

    fn id(&mut self) -> Id {
        let topic = if self.random.one_in(3) { "b" } else { "a" };
        Id { number: self.random.below(24) as u64, topic: topic.to_owned() }
    }

    fn copy(&mut self) {
        let (mut id, peer) = (self.id(), self.any_peer());
        if super::checks::STABLE.contains(&peer) && id.number % 8 == 3 {
            // These peers send nothing invalid.
            id.number += 1;
        }
        self.copy_of(peer, &id);
    }

    pub fn copy_of(&mut self, peer: u64, id: &Id) {
        let input = P2pInput::message(peer, P2pMessage::FullMessage(message(id).into()));
        if self.input(input) {
            self.checks.borrow_mut().on_copy(peer, id);
        }
    }

    fn control(&mut self) {
        let (peer, topic) = (self.unstable_peer(), self.random.pick(&TOPICS));
        let (any, ids) = (self.any_peer(), vec![self.id()]);
        let topic = topic.to_owned();
        let (from, message): (u64, P2pMessage<ScheduledNetwork>) = match self.random.below(7) {
            0 => (peer, P2pMessage::subscribe(topic)),
            1 => (peer, P2pMessage::Unsubscribe { topic }),
            2 | 3 => (peer, P2pMessage::Graft { topic }),
            4 => (peer, P2pMessage::Prune { topic, px: Vec::new(), backoff: Duration::from_secs(1) }),
            5 => (any, P2pMessage::IWant { message_ids: ids }),
            _ => (any, P2pMessage::IDontWant { message_ids: ids }),
        };
        let mut checks = self.checks.borrow_mut();
        match &message {
            P2pMessage::Unsubscribe { topic } | P2pMessage::Prune { topic, .. } => {
                checks.on_left_by_peer(from, topic);
            }
            P2pMessage::IDontWant { message_ids } => checks.on_idontwant(from, &message_ids[0]),
            _ => {}
        }
        drop(checks);
        self.input(P2pInput::message(from, message));
    }

    fn membership(&mut self) {
        let topic = self.random.pick(&["b", "d"]).to_owned();
        let is_join = self.random.one_in(2);
        let input = if is_join { AppInput::Join(topic.clone()) } else { AppInput::Leave(topic.clone()) };
        let result = self.worker.app_input(input);
        if self.accepted(result).is_some() {
            let mut checks = self.checks.borrow_mut();
            if is_join {
                checks.on_join(&topic)
            } else {
                checks.on_leave(&topic)
            }
            drop(checks);
            self.with_reference(|reference, now| {
                if is_join { reference.join(&topic, now) } else { reference.leave(&topic, now) }
            });
        }
    }

    fn publish(&mut self) {
        let mut id = self.id();
        if self.random.one_in(2) {
            // No peer sends this one.
            id.number += 32;
        }
        if self.random.one_in(4) {
            id.topic = "c".to_owned();
        }
        let result = self.worker.publish(message(&id));
        let Some(ticket) = self.accepted(result) else { return };
        let ticket = Rc::new(ticket);
        self.checks.borrow_mut().on_published(&id);
        self.with_reference(|reference, now| reference.publish(message(&id), now));
        let waiting = Rc::clone(&ticket);
        match self.random.below(3) {
            0 => self.spawn("routed", async move { _ = waiting.routed().await }),
            1 => self.spawn("completed", async move { _ = waiting.completed().await }),
            _ => {}
        }
        if !(self.has(Peril::Cancellation) && self.random.one_in(4)) {
            self.tickets.push((id, ticket));
        }
    }

    pub fn tick(&mut self) {
        self.ticks += 1;
        self.clock.advance(Duration::from_millis(100));
        self.with_reference(Reference::heartbeat);
        let worker = self.worker.clone();
        self.spawn_settling("tick", async move { worker.tick().await });
    }

    pub fn process_batch(&mut self) {
        self.with_reference(Reference::process_batch);
        let worker = self.worker.clone();
        self.spawn_settling("process_batch", async move { worker.process_batch().await });
    }

    /// A query is answered from the state after the inputs before it.
    async fn query(&mut self) {
        let (worker, checks) = (self.worker.clone(), Rc::clone(&self.checks));
        if self.random.one_in(2) {
            let peer = self.unstable_peer();
            let connected = self.is_connected(peer);
            self.spawn("connection_of", async move {
                if let Ok(connection) = worker.connection_of(&peer).await {
                    let is_kept = connection.is_some() == connected;
                    checks.borrow_mut().rule(is_kept, || format!("peer {peer}: connected {connected}"));
                }
            });
        } else {
            let topic = self.random.pick(&TOPICS).to_owned();
            let (joined, commands) = {
                let topic = &checks.borrow().topics[&topic];
                (topic.joined, topic.commands)
            };
            self.spawn("mesh_of", async move {
                if let Ok(mesh) = worker.mesh_of(&topic).await {
                    checks.borrow_mut().answers.push((topic, mesh.is_some(), joined, commands));
                }
            });
        }
        // The query is queued behind the inputs so far.
        self.run_ready().await;
    }

    /// The transport reports a publication.
    pub fn report(&mut self) {
        let unreported = &mut self.checks.borrow_mut().unreported;
        if unreported.is_empty() {
            return;
        }
        let id = unreported.swap_remove(self.random.below(unreported.len()));
        if self.random.one_in(2) {
            self.worker.report_sent(&id.topic, &id);
        } else {
            self.worker.report_not_sent(&id.topic, &id, DropReason::PeerQueueFull);
        }
    }

    pub fn is_connected(&self, peer: u64) -> bool {
        self.checks.borrow().peers.get(&peer).is_some_and(|peer| peer.connected)
    }

    /// Connects a peer, or disconnects it if it is connected.
    pub async fn reconnect(&mut self, peer: u64) {
        self.settle_if_compared().await;
        let connected = self.is_connected(peer);
        let disconnection: P2pInput<ScheduledNetwork> = P2pInput::Disconnection { peer };
        if !connected {
            self.connect(peer);
            self.input(P2pInput::message(peer, P2pMessage::subscribe("a".to_owned())));
        } else {
            if self.input(disconnection) {
                self.checks.borrow_mut().on_disconnect(peer);
            }
            self.settle_if_compared().await;
        }
    }

    fn drop_stream(&mut self) {
        let mut checks = self.checks.borrow_mut();
        checks.stream_dropped = true;
        checks.seen_perils.insert(Peril::Cancellation);
        drop(checks);
        let app = self.random.one_in(2);
        // The tasks that read the stream have it while they wait.
        self.stop_reading();
        if app {
            let stream = Rc::clone(&self.app);
            self.spawn("dropping the application's stream", async move { drop(stream.lock().await.take()) });
        } else {
            let stream = Rc::clone(&self.p2p);
            self.spawn("dropping the p2p stream", async move { drop(stream.lock().await.take()) });
        }
        self.read_streams();
    }

    fn shut_down(&mut self) {
        let mut checks = self.checks.borrow_mut();
        checks.on_shutdown();
        checks.seen_perils.insert(Peril::Shutdown);
        drop(checks);
        self.with_reference(Reference::shut_down);
        let worker = self.worker.clone();
        self.spawn("shutdown", async move { worker.shutdown().await });
    }

    /// Each ticket that was not dropped is complete.
    pub fn check_tickets(&mut self) {
        let mut checks = self.checks.borrow_mut();
        for (id, ticket) in &self.tickets {
            let report = ticket.report();
            let not_sent: usize = DropReason::ALL.iter().map(|reason| report.not_sent(*reason)).sum();
            let restarted = checks.topics[&id.topic].restarts > 0;
            let may_be_lost = self.has_ended.get() || restarted;
            // The outputs of the publication were lost with its topic.
            let is_known = restarted && (!is_repaired("A12") || checks.messages[id].publications > 1);
            let is_known = is_known || self.has_ended.get();
            let counted = report.sent + not_sent == report.queued;
            let is_kept = report.is_complete() && counted || is_known;
            let is_kept = is_kept && (report.routed != Some(RouteResult::Lost) || may_be_lost);
            checks.rule(is_kept, || format!("the ticket of {id:?} has {report:?}"));
        }
    }
}

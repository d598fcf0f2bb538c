//! The same inputs on a [`Node`], in the order in which the engine accepted them. Where this order determines the result,
//! the engine must have the same one.
//!
//! Determined is what one topic does with its inputs: its mesh, fanout, backoffs, history and seen ids, what it delivers
//! and in which order, and what it sends to each peer. So these inputs race in a compared schedule: copies, control
//! messages, joins, leaves, publications, and connections with what follows them. Not determined by the order of inputs:
//!
//! - what topics handle before and after a heartbeat, a batch or a disconnection, which the supervisor sends to them. The
//!   engine settles before and after these steps;
//! - which connection is credited for a message that the peer sent before it: topics report deliveries later. The engine
//!   settles before a connection;
//! - the time of a full message that is queued while the clock moves: it has that of its burst. The clock moves only when
//!   the engine is settled;
//! - what a topic decides about a peer while another topic, or an earlier message, penalises it: scores reach topics late.
//!   The engine settles after a penalty, and from then on before each input that depends on scores;
//! - which copies an IDONTWANT stops: the engine applies it at once, also to copies that are queued. These are left out;
//! - the order of deliveries in batches, which follows the order in which topics report to the supervisor: sets are
//!   compared;
//! - what a peer is sent whose connection changes: the reader of the stream may be late. Outputs are compared for the
//!   stable peers, in order for each topic and lane;
//! - awaited verdicts, and what a panic loses: such schedules are not compared.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use actix_gossipsub::{
    Clock, FullMessage, Limits, P2pInput, P2pMessage, P2pOutput,
    protocol::{GraftOutcome, Lane, Node, NodeOptions, OutputBatch, Timestamp, View},
};

use super::{
    checks::STABLE,
    hooks::Hooks,
    network::{Id, ScheduledNetwork, Validation, validity},
    schedule::{BATCH_INTERVAL, SELF, Schedule, TOPICS},
    steps::Step,
};

/// What is compared of the outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    pub delivered: BTreeMap<String, Vec<u64>>,
    /// The full messages by recipient, topic and lane.
    messages: BTreeMap<(u64, String, Lane), Vec<u64>>,
    /// SUBSCRIBE, UNSUBSCRIBE, GRAFT and PRUNE by recipient and topic.
    control: BTreeMap<(u64, String), Vec<&'static str>>,
}

impl Outputs {
    pub fn on_delivered(&mut self, id: &Id) {
        self.delivered.entry(id.topic.clone()).or_default().push(id.number);
    }

    pub fn on_output(&mut self, batch: &OutputBatch<ScheduledNetwork>) {
        match batch {
            OutputBatch::Broadcast { to, message, lane, .. } => {
                let Id { number, topic } = &message.message_id;
                for peer in to.iter().filter(|peer| STABLE.contains(peer)) {
                    self.messages.entry((*peer, topic.clone(), *lane)).or_default().push(*number);
                }
            }
            OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }) if STABLE.contains(to_peer) => {
                let (Some(kind), Some(topic)) = (control_kind(message), message.topic().cloned()) else {
                    return;
                };
                self.control.entry((*to_peer, topic)).or_default().push(kind);
            }
            _ => {}
        }
    }

    fn without(mut self, declined: &BTreeSet<(u64, Id)>, is_ordered: bool) -> Self {
        for ((peer, topic, _), numbers) in &mut self.messages {
            let is_declined = |number: u64| declined.contains(&(*peer, Id { number, topic: topic.clone() }));
            numbers.retain(|number| !is_declined(*number));
        }
        self.messages.retain(|_, numbers| !numbers.is_empty());
        if !is_ordered {
            self.messages.values_mut().chain(self.delivered.values_mut()).for_each(|numbers| numbers.sort());
        }
        self
    }
}

/// PING, SUBSCRIBE, UNSUBSCRIBE, GRAFT or PRUNE.
pub fn control_kind(message: &P2pMessage<ScheduledNetwork>) -> Option<&'static str> {
    match message {
        P2pMessage::Ping => Some("PING"),
        P2pMessage::Subscribe { .. } => Some("SUBSCRIBE"),
        P2pMessage::Unsubscribe { .. } => Some("UNSUBSCRIBE"),
        P2pMessage::Graft { .. } => Some("GRAFT"),
        P2pMessage::Prune { .. } => Some("PRUNE"),
        _ => None,
    }
}

pub struct Reference {
    node: Node<ScheduledNetwork>,
    outputs: Outputs,
    /// The ids of IDONTWANTs, with their peers.
    declined: BTreeSet<(u64, Id)>,
    validation: Validation,
    is_shut_down: bool,
    /// A peer was penalised.
    pub has_penalised: bool,
    /// A peer was penalised by the last input.
    pub penalises: bool,
}

impl Reference {
    pub fn new(validation: Validation, limits: Limits<String>, seed: u64) -> Self {
        let network = ScheduledNetwork { validation, hooks: Arc::<Hooks>::default() };
        let interval = validation.in_batches().then_some(BATCH_INTERVAL);
        let options = NodeOptions::default().with(|options| {
            options.seed = seed;
            options.self_peer = Some(SELF);
            options.batch_interval = interval;
        });
        Self {
            node: Node::new(Arc::new(network), limits, options),
            outputs: Outputs::default(),
            declined: BTreeSet::new(),
            validation,
            is_shut_down: false,
            has_penalised: false,
            penalises: false,
        }
    }

    pub fn p2p_input(&mut self, input: P2pInput<ScheduledNetwork>, now: Timestamp) {
        match input {
            P2pInput::InMessage { from_peer, message: P2pMessage::Graft { topic } } => {
                let outcome = self.node.graft(&from_peer, &topic, now);
                self.penalises |= outcome == GraftOutcome::BackedOff;
            }
            input => {
                if let P2pInput::InMessage { from_peer, message } = &input {
                    self.on_message(*from_peer, message);
                }
                self.node.p2p_input(input, now);
            }
        }
        self.drain();
    }

    fn on_message(&mut self, from: u64, message: &P2pMessage<ScheduledNetwork>) {
        match message {
            P2pMessage::IDontWant { message_ids } => {
                self.declined.extend(message_ids.iter().map(|id| (from, id.clone())));
            }
            P2pMessage::FullMessage(message) => {
                let validity = validity(message.message_id.number);
                self.penalises |= validity == actix_gossipsub::Validity::Invalid;
            }
            _ => {}
        }
    }

    pub fn join(&mut self, topic: &String, now: Timestamp) {
        self.node.join(topic, now);
        self.drain();
    }

    pub fn leave(&mut self, topic: &String, now: Timestamp) {
        self.node.leave(topic, now);
        self.drain();
    }

    pub fn publish(&mut self, message: FullMessage<ScheduledNetwork>, now: Timestamp) {
        self.node.publish(message, now);
        self.drain();
    }

    pub fn heartbeat(&mut self, now: Timestamp) {
        if !self.is_shut_down {
            self.node.heartbeat(now);
        }
        self.drain();
    }

    pub fn process_batch(&mut self, now: Timestamp) {
        if !self.is_shut_down {
            self.node.process_batch(now);
        }
        self.drain();
    }

    pub fn shut_down(&mut self, now: Timestamp) {
        self.is_shut_down = true;
        TOPICS.iter().for_each(|topic| self.leave(&(*topic).to_owned(), now));
    }

    /// Whether the last inputs penalised a peer.
    pub fn take_penalty(&mut self) -> bool {
        self.has_penalised |= self.penalises;
        std::mem::take(&mut self.penalises)
    }

    fn drain(&mut self) {
        let outputs = &mut self.outputs;
        self.node.drain_batches().for_each(|batch| outputs.on_output(&batch));
        self.node.drain().app.iter().for_each(|message| outputs.on_delivered(&message.message_id));
    }

    /// # Errors
    /// What differs.
    pub fn compare_outputs(self, engine: Outputs) -> Result<(), String> {
        let is_ordered = self.validation == Validation::Immediate;
        let [engine, node] =
            [engine, self.outputs].map(|outputs| outputs.without(&self.declined, is_ordered));
        if engine == node { Ok(()) } else { Err(format!("the engine has {engine:?}\nand a node {node:?}")) }
    }

    /// # Errors
    /// What differs.
    pub fn compare_state(&self, engine: View<ScheduledNetwork>, now: Timestamp) -> Result<(), String> {
        for (engine, node) in parts(engine).iter().zip(parts(self.node.view(now))) {
            if *engine != node {
                return Err(format!("the engine has {engine}\nand a node {node}"));
            }
        }
        Ok(())
    }
}

/// The parts of a state, with sorted lists.
fn parts(view: View<ScheduledNetwork>) -> [String; 8] {
    let View { heartbeat_ticks, connections, scores, mesh, fanout, backoff, .. } = &view;
    let (mut cached, mut seen) = (view.cached.clone(), view.seen.clone());
    cached.sort_by(|one, other| one.id.cmp(&other.id));
    seen.sort_by(|one, other| one.id.cmp(&other.id));
    [
        format!("heartbeats: {heartbeat_ticks}, gossip: {:?}", view.gossip),
        format!("connections: {connections:?}"),
        format!("scores: {scores:?}"),
        format!("mesh: {mesh:?}"),
        format!("fanout: {fanout:?}"),
        format!("backoffs: {backoff:?}"),
        format!("history: {cached:?}"),
        format!("seen: {seen:?}"),
    ]
}

impl Schedule {
    /// Runs a step. The engine of a compared schedule is settled before and after a step whose result depends on when it
    /// reaches the topics.
    pub async fn run_step_in_order(&mut self, step: Step) {
        if step == Step::Tick && self.plan.settles_heartbeats {
            return self.settled_heartbeat().await;
        }
        let Some(reference) = &self.reference else { return self.run_step(step).await };
        let reads_scores = matches!(step, Step::Control | Step::Membership | Step::Publish);
        if matches!(step, Step::Time | Step::Batch) || reads_scores && reference.has_penalised {
            self.settle().await;
        }
        self.run_step(step).await;
        let is_penalty = self.reference.as_mut().is_some_and(Reference::take_penalty);
        if is_penalty || step == Step::Batch {
            self.settle().await;
        }
    }

    pub async fn settle_if_compared(&mut self) {
        if self.reference.is_some() {
            self.settle().await;
        }
    }

    /// Settles the engine.
    pub async fn settle(&mut self) {
        let worker = self.worker.clone();
        self.spawn_settling("settle", async move { worker.settle().await });
        self.drain().await;
    }

    /// Compares the state of the engine with that of the node, if it is a compared schedule, after the engine has settled.
    pub async fn compare_state(&mut self) {
        if self.reference.is_none() {
            return;
        }
        let state = Rc::new(Cell::new(None));
        let (worker, view) = (self.worker.clone(), Rc::clone(&state));
        self.spawn("state", async move { view.set(worker.state().await.ok()) });
        self.drain().await;
        // An engine that has shut down has no state, and the future may have been dropped.
        if let (Some(reference), Some(view)) = (&self.reference, state.take()) {
            let result = reference.compare_state(view, self.clock.now());
            self.checks.borrow_mut().rule(result.is_ok(), || result.unwrap_err());
        }
    }

    /// Compares all at the end of the steps, when the streams are read to their ends.
    pub async fn compare_all(&mut self) {
        if self.reference.is_some() {
            self.settle().await;
            self.compare_state().await;
        }
        let Some(reference) = self.reference.take() else { return };
        let mut checks = self.checks.borrow_mut();
        let outputs = checks.outputs.take().filter(|_| !checks.stream_dropped);
        if let Some(outputs) = outputs {
            let result = reference.compare_outputs(outputs);
            checks.rule(result.is_ok(), || result.unwrap_err());
        }
    }
}

//! The supervisor actor: runs the peers' side, and in `topics` spawns topics, watches and respawns them, and
//! keeps those that need no actor. Translates, calls, flushes; never decides.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
};

use actix::{Actor, ActorContext, AsyncContext, Context};
use foldhash::fast::FixedState;
use tokio::sync::oneshot;

use super::{
    messages::{SupervisorItem, TopicLocation},
    restarts::Restarts,
};
use crate::{
    actors::{
        arbiter::{
            mailbox::{Envelope, TopicAddr},
            outgoing::Outgoing,
        },
        diagnostics::{journal::Note, log, sampler::LatencySampler},
        inbox::poll::{InboxActor, PollInbox},
        mesh::{
            messages::{Snapshot, TopicItem},
            validation,
        },
        pool::Pool,
        router::messages::RouterItem,
        shared::Shared,
    },
    input_recorder::RecordedInput,
    metrics::{Handled, Said},
    network::{Direction, Network, PeerKind, Validity},
    protocol::{
        connection::ConnectionId,
        event::Event,
        exchange::{Outbox, event::TopicEvent},
        inspect::{footprint::Footprint, view::View},
        outcome::{
            AddPeer, PruneOutcome,
            decision::{PeerDecision, Penalty},
            labels::Input,
        },
        peers::{Peers, PeersOutbox, decisions::decisions_of, heartbeat::HeartbeatBudget},
        topic::TopicState,
    },
    timestamp::Timestamp,
};

/// After this many items the actor lets others of its arbiter run.
const BUDGET: usize = 128;

/// Of how many topics a heartbeat does something before others run: few enough for a message, which may have the
/// orders of two such turns before it, not to wait long; and no more than 128 turns for each half, however many topics
/// there are.
fn pace(topics: usize) -> HeartbeatBudget {
    let at_once = (topics / 128).max(128);
    HeartbeatBudget { refresh_step: at_once, max_in_flight: at_once }
}

/// The actor that owns peers and scores.
pub(crate) struct SupervisorActor<N: Network> {
    pub(super) shared: Arc<Shared<N>>,
    pub(super) pool: Pool,
    pub(super) peers: Peers<N>,
    /// In an order of the engine's seed: each heartbeat finds each topic twice.
    pub(super) topics: HashMap<N::Topic, Slot<N>, FixedState>,
    pub(super) restarts: Restarts<N::Topic>,
    pub(super) backlog: VecDeque<SupervisorItem<N>>,
    /// Of topics that have no actor, and what is counted here.
    pub(super) outbox: Outbox<N>,
    /// What is gathered of what they leave behind; empty in between.
    pub(super) outgoing: Outgoing<N>,
    pub(super) sampler: LatencySampler,
    /// When the heartbeat under way began.
    pub(super) beat_began: Option<Timestamp>,
    /// No timers: the engine is driven by hand.
    pub(super) manual: bool,
    pub(super) batch_timer: bool,
    /// Something found no room while what peers owe at this heartbeat was asked for.
    pub(super) overloaded: bool,
}

/// How the supervisor holds a topic.
pub(in crate::actors) enum Slot<N: Network> {
    /// It has an actor.
    Running(TopicAddr<N>),
    /// Its actor was told to retire; this came meanwhile.
    Retiring(Vec<SupervisorItem<N>>),
    /// It needs no actor: only what peers said of it is kept.
    Dormant(Box<TopicState<N>>),
}

impl<N: Network> SupervisorActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>, pool: Pool, mut peers: Peers<N>, manual: bool) -> Self {
        peers.scores.track_changes();
        let seed = shared.seed;
        Self {
            shared,
            pool,
            peers,
            topics: HashMap::with_hasher(FixedState::with_seed(seed)),
            restarts: Restarts::new(),
            backlog: VecDeque::new(),
            outbox: Outbox::default(),
            outgoing: Outgoing::default(),
            sampler: LatencySampler::default(),
            beat_began: None,
            manual,
            batch_timer: false,
            overloaded: false,
        }
    }

    /// Handles an item; tells whether there was one.
    fn attend_next(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        if self.backlog.is_empty() {
            self.shared.supervisor.take(&mut self.backlog, waker);
        }
        let Some(item) = self.backlog.pop_front() else { return false };
        let sample = self.sampler.begin(&self.shared, || Handled::Supervisor, || None);
        self.handle_item(item, ctx);
        self.apply_outputs();
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    pub(in crate::actors) fn handle_item(&mut self, item: SupervisorItem<N>, ctx: &mut Context<Self>) {
        match item {
            SupervisorItem::Connect { peer, direction, kind, connection_id } => {
                self.connect(&peer, direction, kind, connection_id)
            }
            SupervisorItem::Disconnect { peer, at } => self.disconnect(&peer, at),
            SupervisorItem::SetApplicationScore { peer, score } => {
                self.peers.set_application_score(&peer, score)
            }
            SupervisorItem::SlowPeer(peer) => {
                self.peers.on_slow_peer(peer.clone());
                self.note(&peer, None, self.shared.now(), PeerDecision::Penalised(Penalty::SlowPeer));
            }
            SupervisorItem::SetUnreachablePoint(point) => self.peers.set_unreachable_point(point),
            SupervisorItem::Topic { topic, item } => self.route(topic, item),
            SupervisorItem::Spawn { topic, address } => self.spawn(topic, address),
            SupervisorItem::Facts { topic, facts, at } => self.fold(&topic, facts, at),
            SupervisorItem::Idle(topic, commands) => self.retire(topic, commands),
            SupervisorItem::Retired(state) => self.retired(state, ctx),
            SupervisorItem::Panicked(topic) => self.restart(topic),
            SupervisorItem::Tick => self.tick(),
            SupervisorItem::CheckParked => self.check_parked(),
            SupervisorItem::ProcessBatch => self.process_batch(),
            SupervisorItem::BatchVerdicts { batch, verdicts } => {
                self.peers.apply_batch_verdicts(batch, verdicts)
            }
            SupervisorItem::Inspect(reply) => self.inspect(reply),
            SupervisorItem::Look(look) => look(&self.peers),
            SupervisorItem::Topics(after, limit, reply) => drop(reply.send(self.places(after, limit))),
            SupervisorItem::Delays(reply) => drop(reply.send(self.peers.reconnection_delays())),
            SupervisorItem::BatchDeadline(reply) => drop(reply.send(self.peers.batch_deadline())),
            SupervisorItem::Stop(reply) => self.stop(reply, ctx),
        }
    }

    fn connect(&mut self, peer: &N::Peer, direction: Direction, kind: PeerKind, connection_id: ConnectionId) {
        let outcome = self.peers.connect(peer, connection_id, kind.trusted);
        self.outbox.tally.input(Input::AddPeer, &outcome);
        log::connection(peer, outcome.name(), Some((direction, kind)));
        if outcome == AddPeer::Added {
            self.note(peer, None, self.shared.now(), PeerDecision::Connected);
        }
    }

    fn disconnect(&mut self, peer: &N::Peer, at: Timestamp) {
        let known = self.peers.connection_id(peer).is_some();
        let outcome = self.peers.disconnect(peer, at);
        self.outbox.tally.input(Input::RemovePeer, &outcome);
        log::connection(peer, outcome.name(), None);
        if known {
            self.note(peer, None, at, PeerDecision::Disconnected);
        }
    }

    pub(in crate::actors) fn fold(&mut self, topic: &N::Topic, facts: Vec<TopicEvent<N>>, at: Timestamp) {
        for fact in facts {
            log::fact(topic, &fact, |peer| self.peers.scores.get(peer));
            let decided = decisions_of(topic, &fact, &self.peers.scores, self.overloaded);
            let from = if let TopicEvent::PxOffered(from, _) = &fact { Some(from.clone()) } else { None };
            let px = self.peers.apply_event(topic, fact, at);
            for (peer, decision) in decided {
                self.note(&peer, Some(topic), at, decision);
            }
            if let Some(outcome) = &px {
                self.outbox.tally.input(Input::Prune, outcome);
            }
            if let (Some(from), Some(PruneOutcome::ScoreTooLow { .. })) = (from, px) {
                self.note(&from, Some(topic), at, PeerDecision::PxRefused);
            }
        }
    }

    /// Notes a decision, with the score that the peer has now.
    fn note(&self, peer: &N::Peer, topic: Option<&N::Topic>, at: Timestamp, decision: PeerDecision) {
        let score = self.peers.scores.get(peer);
        self.shared.journal.decided(Note { peer: Some(peer), topic, score, at }, decision);
    }

    fn tick(&mut self) {
        if self.peers.in_heartbeat() {
            return self.shared.skip_heartbeat(self.peers.tick());
        }
        let _span = tracing::debug_span!("heartbeat", tick = self.peers.tick() + 1).entered();
        self.shared.record(RecordedInput::Heartbeat);
        self.shared.returns.clear();
        self.shared.directory.clear_heartbeat_quotas();
        self.shared.directory.advance_idontwant();
        // They tell at this heartbeat.
        drop(self.shared.take_credited());
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        self.peers.heartbeat_budget = pace(topics.len());
        let now = self.shared.now();
        self.overloaded = self.shared.is_overloaded();
        self.peers.begin_heartbeat(topics, self.overloaded, now);
        self.beat_began = Some(now);
        self.sampler.heartbeat(true);
        self.shared.metrics.heartbeat();
        self.shared.pulse.beat(self.peers.tick(), now);
        self.shared.observe(&Event::Heartbeat { tick: self.peers.tick() });
    }

    /// Brings up to date what is shown as of a heartbeat.
    fn show(&self) {
        let (shared, metrics) = (&self.shared, &self.shared.metrics);
        metrics.gauges.set_held(&shared.footprint(self.footprint()));
        metrics.gauges.set_queues(&shared.queues());
        metrics.gauges.set_company(&self.peers.company());
        if let Some(stats) = shared.ask(|| shared.network.transport_stats()) {
            metrics.gauges.set_transport_stats(stats);
        }
    }

    /// What is held here, by the directory and by topics without an actor.
    fn footprint(&self) -> Footprint {
        let mut held = self.peers.footprint();
        held += self.shared.directory.footprint();
        for slot in self.topics.values() {
            if let Slot::Dormant(state) = slot {
                held += state.footprint();
            }
        }
        held
    }

    /// A message at whose id the application panics is dropped: it would panic at each heartbeat.
    fn check_parked(&mut self) {
        let shared = &self.shared;
        shared.record(RecordedInput::CheckParked);
        let judge = |id: &N::MessageId| shared.ask(|| shared.network.validate_id(id));
        self.peers.check_parked(|id| judge(id).unwrap_or(Validity::Outdated));
    }

    /// A panic of the application's verdict is as good as none.
    fn process_batch(&mut self) {
        let batch = self.peers.take_batch();
        if batch.is_empty() {
            return;
        }
        self.shared.record(RecordedInput::ProcessBatch);
        let network = &self.shared.network;
        match self.shared.ask(|| network.validate_batch_async(&batch)).flatten() {
            Some(verdicts) => validation::start_batch(batch, verdicts, &self.shared),
            None => {
                let verdicts = self.shared.ask(|| network.validate_batch(&batch)).unwrap_or_default();
                self.peers.apply_batch_verdicts(batch, verdicts);
            }
        }
    }

    /// Carries out what the peers' side wants, and what follows from it.
    fn apply_outputs(&mut self) {
        loop {
            let PeersOutbox { p2p, commands: orders, events, throttled, penalties } = self.peers.drain();
            self.shared.metrics.penalised(&penalties);
            if !orders.is_empty() {
                self.publish_scores();
            }
            self.shared.metrics.validations_throttled(throttled);
            if !p2p.is_empty() {
                self.shared.metrics.count_said(&Said::of(&p2p, &*self.shared.network));
            }
            self.shared.emit(p2p.into_iter().map(RouterItem::P2p));
            events.iter().for_each(|event| self.shared.observe(event));
            if orders.is_empty() {
                break;
            }
            for (topic, order) in orders {
                self.route(topic, TopicItem::Command(order));
            }
        }
        if !self.manual && self.peers.batch_deadline().is_some_and(|deadline| deadline <= self.shared.now()) {
            self.process_batch();
            return self.apply_outputs();
        }
        self.note_heartbeat();
        self.shared.in_heartbeat.store(self.peers.in_heartbeat(), Ordering::Release);
    }

    fn note_heartbeat(&mut self) {
        if let Some(began) = self.beat_began.take_if(|_| !self.peers.in_heartbeat()) {
            self.shared.metrics.heartbeat_took(self.shared.now().saturating_since(began));
            self.show();
        }
    }

    /// Topics choose by scores: they see a change before they are told what follows from it.
    fn publish_scores(&mut self) {
        let changed = self.peers.scores.take_changed();
        if changed.is_empty() {
            return;
        }
        // First: where it says nothing, each score is looked at.
        self.shared.directory.publish_min_score(self.peers.scores.min_score());
        for (peer, score) in changed {
            self.shared.directory.publish_score(&peer, score);
        }
    }

    fn publish_state(&mut self) {
        self.shared.metrics.flush(&mut self.outbox.tally);
        let stats = self.peers.stats();
        *self.shared.peer_stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    fn inspect(&self, reply: oneshot::Sender<Snapshot<N>>) {
        if self.topics.values().any(|slot| matches!(slot, Slot::Retiring(_))) {
            // Its state is on its way here: ask again behind it.
            let _ = self.shared.supervisor.push(SupervisorItem::Inspect(reply));
        } else {
            // Nobody waits for the answer any more: as good as told.
            let _ = reply.send(self.inspection());
        }
    }

    fn inspection(&self) -> Snapshot<N> {
        let mut view = View { time: self.shared.now(), ..View::default() };
        self.peers.view(&mut view);
        let quotas = self.shared.directory.heartbeat_quotas();
        for (peer, quota) in &quotas {
            view.count_quota(peer, *quota);
        }
        let mut topics = Vec::new();
        for slot in self.topics.values() {
            match slot {
                Slot::Running(address) => topics.push(address.clone()),
                Slot::Retiring(_) => {}
                Slot::Dormant(state) => state.view(&self.shared.limits, &mut view),
            }
        }
        Snapshot { view, topics }
    }

    /// The topics that follow `after`, in order.
    fn places(&self, after: Option<N::Topic>, limit: usize) -> Vec<TopicLocation<N>> {
        let follows = |(topic, _): &(&N::Topic, _)| after.as_ref().is_none_or(|after| *topic > after);
        let mut following: Vec<_> = self.topics.iter().filter(follows).collect();
        if following.len() > limit {
            following.select_nth_unstable_by_key(limit, |(topic, _)| *topic);
            following.truncate(limit);
        }
        following.sort_unstable_by_key(|(topic, _)| *topic);
        let place = |(topic, slot): (&N::Topic, &Slot<N>)| match slot {
            Slot::Running(address) => (topic.clone(), Some(address.clone())),
            Slot::Retiring(_) | Slot::Dormant(_) => (topic.clone(), None),
        };
        following.into_iter().map(place).collect()
    }

    fn stop(&mut self, reply: oneshot::Sender<()>, ctx: &mut Context<Self>) {
        for slot in std::mem::take(&mut self.topics).into_values() {
            if let Slot::Running(address) = slot {
                address.push(TopicItem::Stop);
            }
        }
        self.shared.desks.iter().for_each(|desk| drop(desk.inbox.push(Envelope::Stop)));
        self.shared.topic_table.clear();
        let _ = self.shared.router.push(RouterItem::Stop);
        // Nobody waits for it any more: as good as told.
        let _ = reply.send(());
        // A heartbeat that comes now finds it closed: in an open inbox it would wait for nobody.
        self.shared.supervisor.close();
        ctx.stop();
    }

    /// The batch's verdict is due at a time, not at an input.
    fn arm_batch_timer(&mut self, ctx: &mut Context<Self>) {
        if self.manual || self.batch_timer {
            return;
        }
        if let Some(deadline) = self.peers.batch_deadline() {
            self.batch_timer = true;
            let wait = deadline.saturating_since(self.shared.now());
            ctx.run_later(wait, |actor, ctx| {
                actor.batch_timer = false;
                actor.apply_outputs();
                actor.arm_batch_timer(ctx);
            });
        }
    }
}

impl<N: Network> Actor for SupervisorActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

impl<N: Network> InboxActor for SupervisorActor<N> {
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        let is_used_up = (0..BUDGET).all(|_| self.attend_next(ctx, waker));
        if self.peers.has_more() {
            self.peers.advance(self.shared.now());
            self.apply_outputs();
        }
        self.publish_scores();
        self.publish_state();
        let more = is_used_up || self.peers.has_more();
        if !more {
            drop(self.shared.supervisor.rest(&mut self.backlog));
        }
        self.arm_batch_timer(ctx);
        more
    }
}

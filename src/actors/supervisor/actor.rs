//! The supervisor's state and handlers. [`topics`](super::topics) has its part about topics,
//! [`heartbeat`](super::heartbeat) its part about heartbeats and batches.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, dev::EnvelopeProxy};
use foldhash::fast::FixedState;

use super::{
    messages::{
        Connect, Disconnect, ListTopics, PeersQuery, ProtocolViolation, ReportPeerFeedback,
        SetApplicationScore, SetUnreachablePoint, SlowPeer, Snapshot, SupervisorItem, TakeSnapshot,
    },
    topics::{Restarts, SupervisedTopic},
};
use crate::{
    actors::{
        diagnostics::{journal::EventContext, log, sampler::LatencySampler},
        inbox::{InboxActor, PollInbox},
        mesh::{messages::TopicItem, run::Outgoing},
        router::messages::RouterItem,
        shared::Shared,
    },
    metrics::{Handled, OutputCounts},
    network::{Network, hooks::Hook},
    protocol::{
        event::Event,
        exchange::{Outbox, event::TopicEvent},
        inspect::view::View,
        outcome::{
            AddPeer, PruneOutcome,
            decision::PeerDecision,
            labels::Input,
            reason::{Penalty, ScoreAction},
        },
        peers::{
            Peers, PeersOutbox,
            decisions::decisions_of,
            peer_event::{PeerEvent, report_topic_event},
        },
    },
    timestamp::Timestamp,
};

/// The number of items after which the actor yields to the other tasks of its arbiter.
const BUDGET: usize = 128;

/// The actor that owns peers and scores.
pub(crate) struct SupervisorActor<N: Network> {
    pub(super) shared: Arc<Shared<N>>,
    pub(super) peers: Peers<N>,
    /// The topics that have an actor. The iteration order follows from the engine's seed: a heartbeat goes through all of
    /// them twice.
    pub(super) topics: HashMap<N::Topic, SupervisedTopic<N>, FixedState>,
    pub(super) restarts: Restarts<N::Topic>,
    backlog: VecDeque<SupervisorItem<N>>,
    /// The effects of inputs of passive topics, and the supervisor's own counters.
    pub(super) outbox: Outbox<N>,
    /// The results of inputs of passive topics. Empty between items.
    pub(super) outgoing: Outgoing<N>,
    pub(super) sampler: LatencySampler,
    /// When the heartbeat in progress started.
    pub(super) heartbeat_started: Option<Timestamp>,
    /// The engine is driven by hand: there are no timers.
    pub(super) manual: bool,
    pub(super) batch_timer: bool,
    /// Inputs were refused or outputs dropped while the IWANT promises that this heartbeat checks were made.
    pub(super) overloaded: bool,
}

impl<N: Network> SupervisorActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>, mut peers: Peers<N>, manual: bool) -> Self {
        peers.track_score_changes();
        let seed = shared.seed;
        Self {
            shared,
            peers,
            topics: HashMap::with_hasher(FixedState::with_seed(seed)),
            restarts: Restarts::new(),
            backlog: VecDeque::new(),
            outbox: Outbox::default(),
            outgoing: Outgoing::default(),
            sampler: LatencySampler::default(),
            heartbeat_started: None,
            manual,
            batch_timer: false,
            overloaded: false,
        }
    }
}

impl<N: Network> Actor for SupervisorActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

// === The inbox ===

impl<N: Network> InboxActor for SupervisorActor<N> {
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        let budget_exhausted = (0..BUDGET).all(|_| self.handle_next(ctx, waker));
        if self.peers.has_more() {
            self.peers.advance(self.shared.now());
            self.apply_outputs();
        }
        self.publish_scores();
        self.publish_state();
        let more = budget_exhausted || self.peers.has_more();
        if !more {
            drop(self.shared.supervisor.try_idle(&mut self.backlog));
        }
        self.arm_batch_timer(ctx);
        more
    }

    fn is_inbox_closed(&self) -> bool {
        self.shared.supervisor.is_closed()
    }
}

impl<N: Network> SupervisorActor<N> {
    /// Handles an item; returns false if there was none.
    fn handle_next(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        if self.backlog.is_empty() {
            self.shared.supervisor.drain(&mut self.backlog, waker);
        }
        let Some(item) = self.backlog.pop_front() else { return false };
        let sample = self.sampler.begin(&self.shared, || Handled::Supervisor, || None);
        self.handle_item(item, ctx);
        self.apply_outputs();
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    pub(super) fn handle_item(&mut self, item: SupervisorItem<N>, ctx: &mut Context<Self>) {
        match item {
            SupervisorItem::Message(mut message) => message.handle(self, ctx),
            SupervisorItem::Topic { topic, item } => self.send_to_topic(topic, item),
            SupervisorItem::Spawn { topic, address } => self.spawn(topic, address),
            SupervisorItem::Events { topic, events, now } => self.apply_events(&topic, events, now),
            SupervisorItem::CanRetire { topic, commands } => self.retire(topic, commands),
            SupervisorItem::Retired { topic, backoffs } => self.retired(topic, Some(backoffs), ctx),
            SupervisorItem::Panicked { topic, unconfirmed } => self.restart(topic, unconfirmed, ctx),
            SupervisorItem::Tick => self.tick(),
            SupervisorItem::CheckParked => self.check_parked(),
            SupervisorItem::ProcessBatch => self.process_batch(),
            SupervisorItem::BatchVerdicts(verdicts) => self.peers.apply_batch_verdicts(verdicts),
        }
    }

    pub(super) fn apply_events(&mut self, topic: &N::Topic, events: Vec<TopicEvent<N>>, now: Timestamp) {
        for event in events {
            log::topic_event(topic, &event, |peer| self.peers.scores().get(peer));
            let decisions = decisions_of(topic, &event, self.peers.scores(), self.overloaded);
            let from = if let TopicEvent::PxOffered(from, _) = &event { Some(from.clone()) } else { None };
            if let Some(listener) = &self.shared.peer_listener {
                let report = || report_topic_event(topic, &event, &self.peers, &**listener);
                let _ = self.shared.network.contain(Hook::Observer, report);
            }
            let px = self.peers.apply_event(topic, event, now);
            for (peer, decision) in decisions {
                self.record(&peer, Some(topic), now, decision);
            }
            if let Some(outcome) = &px {
                self.outbox.counters.input(Input::Prune, outcome);
            }
            if let (Some(from), Some(PruneOutcome::ScoreTooLow { .. })) = (from, px) {
                self.record(&from, Some(topic), now, PeerDecision::PxRefused);
            }
        }
    }

    /// Records a decision with the score that the peer has now.
    fn record(&self, peer: &N::Peer, topic: Option<&N::Topic>, time: Timestamp, decision: PeerDecision) {
        let score = self.peers.scores().get(peer);
        let context = EventContext { peer: Some(peer), topic, score, time };
        self.shared.event_log.record_decision(context, decision);
        self.shared.report_peer_event(|| PeerEvent::of_decision(peer, topic, decision));
    }
}

// === Actix messages ===

impl<N: Network> Handler<Connect<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, message: Connect<N>, _: &mut Self::Context) {
        let Connect { peer, direction, kind, remote_ip, connection_id } = message;
        let outcome = self.peers.connect(&peer, connection_id, kind);
        self.outbox.counters.input(Input::AddPeer, &outcome);
        log::connection(&peer, outcome.name(), Some((direction, kind, connection_id.is_floodsub())));
        if outcome == AddPeer::Added {
            self.peers.set_addresses(&peer, remote_ip.as_slice());
            self.record(&peer, None, self.shared.now(), PeerDecision::Connected);
        }
    }
}

impl<N: Network> Handler<Disconnect<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, message: Disconnect<N>, _: &mut Self::Context) {
        let Disconnect { peer, disconnected_at } = message;
        let was_connected = self.peers.connection_id(&peer).is_some();
        let outcome = self.peers.disconnect(&peer, disconnected_at);
        self.outbox.counters.input(Input::RemovePeer, &outcome);
        log::connection(&peer, outcome.name(), None);
        if was_connected {
            self.record(&peer, None, disconnected_at, PeerDecision::Disconnected);
        }
    }
}

impl<N: Network> Handler<SlowPeer<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SlowPeer(peer): SlowPeer<N>, _: &mut Self::Context) {
        self.peers.on_slow_peer(peer.clone());
        self.record(&peer, None, self.shared.now(), PeerDecision::Penalised(Penalty::SlowPeer));
    }
}

impl<N: Network> Handler<ProtocolViolation<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, ProtocolViolation(peer): ProtocolViolation<N>, _: &mut Self::Context) {
        let now = self.shared.now();
        log::protocol_violation(&peer, self.peers.scores().get(&peer));
        self.peers.on_protocol_violation(peer.clone(), now);
        self.record(&peer, None, now, PeerDecision::Penalised(Penalty::ProtocolViolation));
    }
}

impl<N: Network> Handler<SetUnreachablePoint<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetUnreachablePoint(point): SetUnreachablePoint<N>, _: &mut Self::Context) {
        self.peers.set_unreachable_point(point);
    }
}

impl<N: Network> Handler<SetApplicationScore<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, message: SetApplicationScore<N>, _: &mut Self::Context) {
        self.peers.set_application_score(&message.peer, message.score);
    }
}

impl<N: Network> Handler<ReportPeerFeedback<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, message: ReportPeerFeedback<N>, _: &mut Self::Context) {
        let ReportPeerFeedback { peer, topic, feedback } = message;
        self.apply_events(&topic, vec![TopicEvent::of_feedback(peer, feedback)], self.shared.now());
    }
}

impl<N: Network, F, T> Handler<PeersQuery<F, T>> for SupervisorActor<N>
where
    F: FnOnce(&Peers<N>) -> T + 'static,
    T: 'static,
{
    type Result = MessageResult<PeersQuery<F, T>>;

    fn handle(&mut self, query: PeersQuery<F, T>, _: &mut Self::Context) -> Self::Result {
        MessageResult((query.read)(&self.peers))
    }
}

impl<N: Network> Handler<ListTopics<N>> for SupervisorActor<N> {
    type Result = MessageResult<ListTopics<N>>;

    fn handle(&mut self, message: ListTopics<N>, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.list_topics(message))
    }
}

impl<N: Network> Handler<TakeSnapshot<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, message: TakeSnapshot<N>, _: &mut Self::Context) {
        if self.topics.values().any(|topic| matches!(topic, SupervisedTopic::Retiring { .. })) {
            // The state of that topic is on its way here: the message waits behind it.
            let _ = self.shared.supervisor.push(SupervisorItem::message(message));
        } else {
            // The reply fails if the caller was cancelled.
            let _ = message.reply.send(self.snapshot());
        }
    }
}

impl<N: Network> SupervisorActor<N> {
    fn snapshot(&self) -> Snapshot<N> {
        let mut view = View { time: self.shared.now(), ..View::default() };
        self.peers.view(&mut view);
        let quotas = self.shared.directory.heartbeat_quotas();
        for (peer, quota) in &quotas {
            view.count_quota(peer, *quota);
        }
        let mut topics = Vec::new();
        for topic in self.topics.values() {
            match topic {
                SupervisedTopic::Active(address) => topics.push(address.clone()),
                SupervisedTopic::Retiring { .. } => {}
            }
        }
        Snapshot { view, topics }
    }
}

// === Results ===

impl<N: Network> SupervisorActor<N> {
    /// Sends what the peers' state machine put out, and what follows from it.
    pub(super) fn apply_outputs(&mut self) {
        loop {
            let PeersOutbox { p2p, commands, events, throttled, expired, penalties } = self.peers.drain();
            self.shared.metrics.penalised(&penalties);
            if !commands.is_empty() {
                self.publish_scores();
            }
            self.shared.metrics.validations_throttled(throttled);
            self.shared.metrics.validations_expired(expired);
            if !p2p.is_empty() {
                self.shared.metrics.count_outputs(&OutputCounts::of(&p2p, &self.shared.network));
                self.shared
                    .router
                    .extend(p2p.into_iter().map(|output| RouterItem::p2p(output, &self.shared.network)));
            }
            events.iter().for_each(|event| self.observe(event));
            if commands.is_empty() {
                break;
            }
            for (topic, command) in commands {
                self.send_to_topic(topic, TopicItem::Command(command));
            }
        }
        if !self.manual && self.peers.batch_deadline().is_some_and(|deadline| deadline <= self.shared.now()) {
            self.process_batch();
            return self.apply_outputs();
        }
        self.finish_heartbeat();
        self.shared.heartbeat_in_progress.store(self.peers.in_heartbeat(), Ordering::Release);
    }

    /// Makes changed scores visible to the topics, before they receive a command that follows from a change.
    fn publish_scores(&mut self) {
        let changed = self.peers.take_changed_scores();
        if changed.is_empty() {
            return;
        }
        // First the minimum: a topic for which it is too low reads each score.
        self.shared.directory.publish_min_score(self.peers.scores().min_score());
        let limits = self.shared.limits.load();
        for (peer, score) in changed {
            let graylisted = self.shared.directory.publish_score(&peer, score, &limits);
            // The score of a peer that is forgotten has not recovered.
            if let (Some(graylisted), Some(_)) = (graylisted, score) {
                let action = if graylisted { ScoreAction::Graylist } else { ScoreAction::LeaveGraylist };
                self.record_action(&peer, action);
            }
        }
    }

    /// Passes an event of the peers' side to the observer.
    fn observe(&self, event: &Event<N>) {
        if let Event::LowScore { peer, ban_duration, .. } = event {
            self.record_action(peer, ScoreAction::of_low_score(*ban_duration));
        }
        self.shared.observe(event);
    }

    /// Records what was done about a peer because of its score.
    fn record_action(&self, peer: &N::Peer, action: ScoreAction) {
        self.shared.metrics.acted_on_score(action);
        log::score_action(peer, action, self.peers.scores().get(peer));
        self.record(peer, None, self.shared.now(), PeerDecision::ActedOnScore(action));
    }

    fn publish_state(&mut self) {
        self.shared.metrics.flush(&mut self.outbox.counters);
        let stats = self.peers.stats();
        *self.shared.peer_stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

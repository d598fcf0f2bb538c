//! Runs a topic on the messages of peers other than full messages, and reports each outcome to the counters, the log and the event
//! log. The mesh actors use it and, for passive topics, the supervisor.

use super::messages::PeerMessage;
use crate::{
    actors::{
        diagnostics::{
            journal::EventContext,
            log::{BeforeGraft, PeerLog},
        },
        shared::Shared,
    },
    directory::connection::ConnectionRecord,
    limits::Limits,
    network::{Network, P2pMessage, PxPeer},
    protocol::{
        exchange::{
            Context, Outbox,
            peer_view::{PeerStatus, is_graylisted},
        },
        outcome::{
            GraftOutcome, IWantOutcome, SubscribeOutcome, decision::PeerDecision, labels::Input,
            reason::LeaveReason,
        },
        passive::TopicRef,
        peers::idontwant::{PeerIDontWant, check_idontwant},
        topic::TopicState,
    },
    timestamp::Timestamp,
};

/// Runs a topic on a message of a peer other than a full message.
pub(in crate::actors) fn handle_peer<N: Network>(
    mut topic: TopicRef<'_, N>,
    input: PeerMessage<N>,
    shared: &Shared<N>,
    outbox: &mut Outbox<N>,
) {
    let PeerMessage { from, connection, message, received_at, credit: _credit } = input;
    let connection = connection.as_deref();
    let status =
        connection.map_or_else(|| shared.directory.status_of_disconnected(&from), ConnectionRecord::status);
    let limits = shared.limits.load();
    // The peer was graylisted after its message was queued.
    if is_graylisted(status, &limits) {
        return outbox.counters.graylisted(&message);
    }
    let handler = PeerInputHandler { peer: &from, connection, status, received_at, shared, limits: &limits };
    let topic = &mut topic;
    match message {
        P2pMessage::Subscribe { .. } => handler.subscribe(topic, outbox),
        P2pMessage::Unsubscribe { .. } => handler.unsubscribe(topic, outbox),
        P2pMessage::Graft { .. } => handler.graft(topic, outbox),
        P2pMessage::Prune { px, backoff, .. } => handler.prune(topic, px, backoff, outbox),
        P2pMessage::IHave { message_ids, .. } => handler.ihave(topic, message_ids, outbox),
        P2pMessage::IWant { message_ids } => handler.iwant(topic, message_ids, outbox),
        // A full message has an item of its own, the handle handles an IDONTWANT, and a ping has no effect.
        P2pMessage::FullMessage(_) | P2pMessage::IDontWant { .. } | P2pMessage::Ping => {}
    }
}

/// Stores the ids of an IDONTWANT. Called by the handle: an IDONTWANT belongs to no topic.
pub(crate) fn handle_idontwant<N: Network>(
    shared: &Shared<N>,
    peer: &N::Peer,
    connection: Option<&ConnectionRecord>,
    ids: Vec<N::MessageId>,
    now: Timestamp,
) {
    let _entered = shared.span.enter();
    let connection = connection.filter(|connection| connection.is_connected());
    let status =
        connection.map_or_else(|| shared.directory.status_of_disconnected(peer), ConnectionRecord::status);
    let count = ids.len();
    let limits = shared.limits.load();
    let outcome = match check_idontwant(status, &limits) {
        Ok(()) => {
            let ids = PeerIDontWant::sized(ids, &shared.network);
            shared.directory.insert_idontwant(peer, ids, &limits)
        }
        Err(refused) => refused,
    };
    shared.metrics.idontwant_received(count, &outcome);
    PeerLog::<N> { peer, status }.idontwant(count, outcome);
    if let Some(decision) = PeerDecision::of_idontwant(outcome) {
        let context = EventContext { peer: Some(peer), topic: None, score: status.score, time: now };
        shared.event_log.record_decision(context, decision);
    }
}

/// Handles a message of one peer.
struct PeerInputHandler<'a, N: Network> {
    peer: &'a N::Peer,
    /// The connection over which the message was received, if the peer was connected.
    connection: Option<&'a ConnectionRecord>,
    status: PeerStatus,
    received_at: Timestamp,
    shared: &'a Shared<N>,
    limits: &'a Limits<N::Topic>,
}

impl<N: Network> PeerInputHandler<'_, N> {
    fn context(&self) -> Context<'_, N> {
        self.shared.context(self.limits, self.received_at)
    }

    fn subscribe(&self, topic: &mut TopicRef<'_, N>, outbox: &mut Outbox<N>) {
        let cx = self.context();
        let connection = self.connection;
        let was_subscriber = connection.is_some_and(|it| topic.is_subscriber(self.peer, it.connection_id()));
        let outcome = self.with_subscription(
            topic,
            |topic, below_topic_limit| {
                topic.subscribe(self.peer, self.status, below_topic_limit, &cx, outbox)
            },
            SubscribeOutcome::is_subscribed,
        );
        outbox.counters.input(Input::Subscribe, &outcome);
        self.log().subscribe(topic.name(), outcome);
        self.record(topic, PeerDecision::of_subscribe(outcome));
        if outcome.is_subscribed() && !was_subscriber {
            self.shared.waiting_publishers.notify(topic.name());
        }
    }

    fn unsubscribe(&self, topic: &mut TopicRef<'_, N>, outbox: &mut Outbox<N>) {
        let counted = self.counts_subscription(topic);
        if let Some(connection) =
            self.connection.filter(|it| counted && topic.is_subscriber(self.peer, it.connection_id()))
        {
            connection.release_subscription();
        }
        let is_in_mesh =
            |topic: &TopicRef<'_, N>| topic.state().is_some_and(|state| state.is_in_mesh(self.peer));
        let in_mesh = is_in_mesh(topic);
        let outcome = topic.unsubscribe(self.peer, self.status, outbox);
        outbox.counters.input(Input::Unsubscribe, &outcome);
        self.log().unsubscribe(topic.name(), outcome);
        let left = in_mesh && !is_in_mesh(topic);
        self.record(topic, left.then_some(PeerDecision::Pruned(LeaveReason::Unsubscribed)));
    }

    fn graft(&self, topic: &mut TopicRef<'_, N>, outbox: &mut Outbox<N>) {
        let before = BeforeGraft::of(topic.state(), self.peer, self.received_at);
        let cx = self.context();
        let outcome = self.with_subscription(
            topic,
            |topic, below_topic_limit| topic.graft(self.peer, self.status, below_topic_limit, &cx, outbox),
            |outcome| outcome == GraftOutcome::Grafted,
        );
        outbox.counters.input(Input::Graft, &outcome);
        let degree_high = topic.state().map_or(0, |state| state.parameters().degrees.degree_high);
        self.log().graft(topic.name(), outcome, before, degree_high);
        self.record(topic, Some(PeerDecision::Graft(outcome)));
        if outcome == GraftOutcome::Grafted {
            self.shared.waiting_publishers.notify(topic.name());
        }
    }

    /// Counts a PRUNE only if it is refused: the supervisor decides about the px of any other, and counts that.
    fn prune(
        &self,
        topic: &mut TopicRef<'_, N>,
        px: Vec<PxPeer<N::Peer>>,
        backoff: std::time::Duration,
        outbox: &mut Outbox<N>,
    ) {
        let cx = self.context();
        let outcome = topic.prune(self.peer, self.status, px, backoff, &cx, outbox);
        self.log().prune(topic.name(), outcome.as_ref());
        match outcome {
            Some(refused) => outbox.counters.input(Input::Prune, &refused),
            None => self.record(topic, Some(PeerDecision::Pruned(LeaveReason::RemotePrune))),
        }
    }

    fn ihave(&self, topic: &mut TopicRef<'_, N>, ids: Vec<N::MessageId>, outbox: &mut Outbox<N>) {
        outbox.counters.ihave_ids(ids.len());
        let (directory, limits) = (&self.shared.directory, self.limits);
        let cx = self.context();
        let outcome = directory.with_heartbeat_quota(self.peer, ids.len(), limits, |quota| {
            topic.ihave(self.peer, self.status, ids, quota, &cx, outbox)
        });
        outbox.counters.input(Input::IHave, &outcome);
        self.log().ihave(topic.name(), &outcome);
        self.record(topic, PeerDecision::of_ihave(&outcome));
    }

    fn iwant(&self, topic: &mut TopicRef<'_, N>, ids: Vec<N::MessageId>, outbox: &mut Outbox<N>) {
        outbox.counters.iwant_ids(ids.len());
        let (directory, limits) = (&self.shared.directory, self.limits);
        let mut take_answer = |bytes, max| directory.take_answer(self.peer, bytes, max, limits);
        let cx = self.context();
        let outcome = topic.iwant(self.peer, self.status, ids, &mut take_answer, &cx, outbox);
        outbox.counters.input(Input::IWant, &outcome);
        if let IWantOutcome::Answered { ids } = &outcome {
            ids.values().for_each(|answer| outbox.counters.iwant_response(answer.into()));
        }
        self.log().iwant(topic.name(), &outcome);
        self.record(topic, PeerDecision::of_iwant(&outcome));
    }

    /// Reserves one of the peer's `max_topics_per_peer` subscriptions while `handle` runs, and releases it if the peer
    /// did not subscribe. A subscription that does not count needs none. `subscribes`: whether the peer is subscribed after
    /// this outcome.
    fn with_subscription<T: Copy>(
        &self,
        topic: &mut TopicRef<'_, N>,
        handle: impl FnOnce(&mut TopicRef<'_, N>, bool) -> T,
        subscribes: impl FnOnce(T) -> bool,
    ) -> T {
        let subscribed = self.connection.is_some_and(|it| topic.is_subscriber(self.peer, it.connection_id()));
        let counted = self.counts_subscription(topic);
        let allowed =
            self.connection.filter(|connection| !counted || connection.reserve_subscription(self.limits));
        let outcome = handle(topic, allowed.is_some());
        if let Some(connection) = allowed.filter(|_| counted && (subscribed || !subscribes(outcome))) {
            connection.release_subscription();
        }
        outcome
    }

    /// Whether a subscription to the topic counts for `max_topics_per_peer` now. The topic counts those that it has on their
    /// connections when it is joined or left.
    fn counts_subscription(&self, topic: &TopicRef<'_, N>) -> bool {
        self.limits.counts_subscription(topic.state().is_some_and(TopicState::is_joined))
    }

    fn log(&self) -> PeerLog<'_, N> {
        PeerLog { peer: self.peer, status: self.status }
    }

    fn record(&self, topic: &TopicRef<'_, N>, decision: Option<PeerDecision>) {
        if let Some(decision) = decision {
            let (topic, score) = (Some(topic.name()), self.status.score);
            self.shared.event_log.record_decision(
                EventContext { peer: Some(self.peer), topic, score, time: self.received_at },
                decision,
            );
        }
    }
}

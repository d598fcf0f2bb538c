//! The state machine of one topic: subscribers, mesh or fanout, backoffs and messages. Connections and scores of peers
//! belong to the peers' side and come in as plain values.
//!
//! | file | protocol rule |
//! |---|---|
//! | `mod.rs` | SUBSCRIBE, UNSUBSCRIBE, commands of the peers' side |
//! | `mesh.rs`, `interest.rs` | GRAFT, PRUNE, join, leave, relay |
//! | `first_messages.rs` | GRAFT of a new subscriber, and what it is offered |
//! | `px.rs` | peers offered in a PRUNE |
//! | `receive.rs`, `batch.rs`, `publish.rs`, `further.rs` | full messages |
//! | `pending_validation.rs` | asynchronous validation, late verdicts |
//! | `gossip.rs`, `promises.rs`, `requests.rs` | IHAVE, IWANT, broken promises, requests from one peer at a time |
//! | `idontwant.rs` | IDONTWANT, both ways |
//! | `heartbeat.rs`, `fanout.rs` | maintenance at each heartbeat |
//! | `settings.rs` | what the application changes: the topic's parameters, direct peers |
//! | `inspect.rs` | snapshots of the state |
//!
//! The other files hold one collection each.

mod answered;
mod batch;
pub(in crate::protocol) mod delivery_counts;
mod fanout;
mod first_messages;
mod further;
pub(in crate::protocol) mod gossip;
mod heartbeat;
mod history;
pub(in crate::protocol) mod idontwant;
pub(crate) mod inspect;
pub(crate) mod interest;
mod invalid_cache;
pub(in crate::protocol) mod mesh;
mod pending_validation;
mod promises;
mod publish;
mod px;
pub(crate) mod receive;
mod requests;
mod seen;
mod settings;
pub(in crate::protocol) mod subscribers;

use std::collections::BTreeMap;

use derive_where::derive_where;

use self::{
    answered::AnsweredConnections,
    delivery_counts::DeliveryCounts,
    fanout::Fanout,
    first_messages::UnservedMessages,
    history::History,
    idontwant::SentIDontWant,
    interest::Interests,
    invalid_cache::InvalidCache,
    pending_validation::{ParkedIds, PendingValidations},
    promises::Promises,
    requests::Requests,
    seen::SeenIds,
    subscribers::Subscribers,
};
use super::{
    backoff::Backoffs,
    connection::ConnectionId,
    exchange::{
        Context, Outbox,
        command::TopicCommand,
        event::{PeerDeliveries, PrunedPeer, TopicEvent},
        peer_view::PeerStatus,
    },
    outcome::{SubscribeOutcome, UnsubscribeOutcome, counters::PromiseEvent, reason::LeaveReason},
    rng::{ProtocolRng, rng_for},
};
use crate::{
    admission::totals::{Remembered, Totals},
    limits::{Limits, TopicParameters},
    network::{Network, PeerAction},
};

/// The state of one topic.
#[derive_where(Debug)]
pub(crate) struct TopicState<N: Network> {
    topic: N::Topic,
    /// The parameters of this topic, found when the state was made and when the limits changed.
    parameters: TopicParameters,
    rng: ProtocolRng,
    /// The subscribed connections.
    subscribers: Subscribers,
    /// The direct peers among the subscribers, each with its latest connection.
    direct: BTreeMap<N::Peer, ConnectionId>,
    /// The subscribers that speak floodsub, each with its latest connection.
    floodsub: BTreeMap<N::Peer, ConnectionId>,
    /// The interests of the application in the topic.
    interests: Interests,
    /// The mesh. It is `Some` exactly while the topic is joined; its peers are subscribed, and neither direct nor in
    /// `floodsub`.
    mesh: Option<BTreeMap<N::Peer, ConnectionId>>,
    /// The fanout. It can be `Some` only while the topic is not joined.
    fanout: Option<Fanout<N>>,
    backoffs: Backoffs<N::Peer>,
    history: History<N>,
    seen: SeenIds<N>,
    /// Deliveries that have not been reported to the peers' side.
    delivery_counts: DeliveryCounts<N>,
    /// Messages under asynchronous validation, each with its senders so far.
    pending_validations: PendingValidations<N>,
    /// Messages in the pending batch or in one that is being validated, each with its senders so far.
    batched: PendingValidations<N>,
    /// The ids of messages that the peers' side has parked.
    parked_ids: ParkedIds<N>,
    /// Requested messages that peers have promised by IHAVE.
    promises: Promises<N>,
    /// Messages that are requested by IWANT and have not come.
    requests: Requests<N>,
    /// Recent invalid messages, so that no copy is validated again.
    invalid_cache: InvalidCache<N>,
    /// The ids for which this topic has sent IDONTWANT in this heartbeat.
    sent_idontwant: SentIDontWant<N>,
    /// The connections whose GRAFTs were answered by a PRUNE in this heartbeat.
    answered_grafts: AnsweredConnections,
    /// The connections whose SUBSCRIBEs were answered by a GRAFT in this heartbeat.
    answered_subscribes: AnsweredConnections,
    /// The mesh peers with a further connection since the last heartbeat that have not subscribed again.
    to_graft_again: AnsweredConnections,
    /// Own messages that were sent to few peers.
    unserved: UnservedMessages<N>,
    /// The bytes that were sent beyond the mesh or fanout in this heartbeat.
    flooded_bytes: usize,
    /// Peers pruned in the first phase of a heartbeat. Their PRUNEs are sent in the second phase.
    pruned: Vec<PrunedPeer<N>>,
    /// The former mesh of a topic that was left. Its PRUNEs are sent when the leave is confirmed.
    leave_prunes: Vec<PrunedPeer<N>>,
}

impl<N: Network> TopicState<N> {
    pub(crate) fn new(
        topic: N::Topic,
        parameters: TopicParameters,
        limits: &Limits<N::Topic>,
        totals: &Totals,
        seed: u64,
    ) -> Self {
        Self {
            parameters,
            rng: rng_for(seed, "topic", &topic),
            topic,
            subscribers: Subscribers::default(),
            direct: BTreeMap::new(),
            floodsub: BTreeMap::new(),
            interests: Interests::default(),
            mesh: None,
            fanout: None,
            backoffs: Backoffs::new(limits.bounds.max_backoffs_per_topic, totals.share(Remembered::Backoffs)),
            history: History::new(limits, totals),
            seen: SeenIds::new(limits, totals),
            delivery_counts: DeliveryCounts::default(),
            pending_validations: PendingValidations::asynchronous(limits),
            batched: PendingValidations::batched(limits),
            parked_ids: ParkedIds::default(),
            promises: Promises::default(),
            requests: Requests::default(),
            invalid_cache: InvalidCache::new(limits, totals),
            sent_idontwant: SentIDontWant::default(),
            answered_grafts: AnsweredConnections::default(),
            answered_subscribes: AnsweredConnections::default(),
            to_graft_again: AnsweredConnections::default(),
            unserved: UnservedMessages::default(),
            flooded_bytes: 0,
            pruned: Vec::new(),
            leave_prunes: Vec::new(),
        }
    }

    /// The state of a topic that becomes active, or whose state was lost in a panic.
    pub(crate) fn restored<'a>(
        topic: N::Topic,
        parameters: TopicParameters,
        limits: &Limits<N::Topic>,
        totals: &Totals,
        seed: u64,
        subscribers: impl Iterator<Item = (&'a N::Peer, ConnectionId, bool)>,
        backoffs: Option<Backoffs<N::Peer>>,
    ) -> Self {
        let mut state = Self::new(topic, parameters, limits, totals, seed);
        let mut connection_ids = Vec::new();
        for (peer, connection_id, direct) in subscribers {
            connection_ids.push(connection_id);
            state.add_unmeshed(peer, connection_id, direct);
        }
        state.subscribers = connection_ids.into();
        state.backoffs = backoffs.unwrap_or(state.backoffs);
        state
    }

    pub(crate) fn name(&self) -> &N::Topic {
        &self.topic
    }

    pub(crate) fn into_name(self) -> N::Topic {
        self.topic
    }

    /// Takes what is remembered of a topic that becomes passive.
    pub(crate) fn take_backoffs(&mut self) -> Backoffs<N::Peer> {
        self.backoffs.take()
    }

    /// Clears the state that matters only while the topic is joined.
    fn clear_pending(&mut self, outbox: &mut Outbox<N>) {
        outbox.counters.promise(PromiseEvent::Cancelled, self.promises.len());
        self.promises = Promises::default();
        self.requests = Requests::default();
        self.invalid_cache.clear();
        self.parked_ids = ParkedIds::default();
        self.sent_idontwant = SentIDontWant::default();
    }

    /// Whether there are deliveries that have not been reported to the peers' side.
    pub(crate) fn has_unflushed_deliveries(&self) -> bool {
        !self.delivery_counts.is_empty()
    }

    /// The deliveries that have not been reported to the peers' side.
    pub(in crate::protocol) fn unflushed_deliveries(&self) -> &[PeerDeliveries<N>] {
        self.delivery_counts.as_slice()
    }

    /// Reports all deliveries to the peers' side. It must be called before an event that changes what a delivery is
    /// worth (graft, prune, leave) and before scores are inspected.
    pub(crate) fn flush_delivery_counts(&mut self, outbox: &mut Outbox<N>) {
        self.delivery_counts.flush(outbox);
    }

    /// Reports what the peers' side and the index of message ids must know of a state that is dropped after a panic.
    pub(crate) fn abandon(&mut self, outbox: &mut Outbox<N>) {
        self.flush_delivery_counts(outbox);
        self.history.clear(outbox);
    }

    /// Whether the application has joined the topic or relays it.
    pub(crate) fn is_joined(&self) -> bool {
        self.mesh.is_some()
    }

    /// Whether the topic needs a state machine: it is joined, has a fanout, or remembers messages.
    pub(crate) fn is_active(&self) -> bool {
        let has_peers = self.mesh.is_some() || self.fanout.is_some();
        let awaits_verdicts = !self.pending_validations.is_empty() || !self.batched.is_empty();
        has_peers || awaits_verdicts || !self.history.is_empty() || !self.seen.is_empty()
    }

    /// Whether nothing is known of the topic.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_active() && self.subscribers.is_empty() && self.backoffs.is_empty()
    }

    /// Whether a connection is subscribed.
    pub(crate) fn is_subscriber(&self, connection_id: ConnectionId) -> bool {
        self.subscribers.contains(connection_id)
    }

    /// Handles a SUBSCRIBE. `below_topic_limit`: whether the peer may subscribe to one more topic.
    pub(crate) fn subscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> SubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return SubscribeOutcome::UnknownPeer };
        self.drop_stale_connection(peer, connection_id, outbox);
        if self.is_subscriber(connection_id) {
            self.graft_again(peer, connection_id, outbox);
            return SubscribeOutcome::Subscribed;
        }
        if !below_topic_limit {
            outbox.events.push(TopicEvent::TopicLimitExceeded(peer.clone()));
            return SubscribeOutcome::TopicLimitExceeded;
        }
        if !cx.network.peer_filter(peer, PeerAction::Subscribe(&self.topic)) {
            return SubscribeOutcome::Filtered;
        }
        self.add_subscriber(peer, connection_id, status.direct, outbox);
        let grafted = self.graft_subscriber(peer, connection_id, status, cx, outbox);
        self.offer_unserved(peer, status, cx, outbox);
        if grafted { SubscribeOutcome::Grafted } else { SubscribeOutcome::Subscribed }
    }

    /// Handles an UNSUBSCRIBE. The peer leaves the mesh and the fanout too.
    pub(crate) fn unsubscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        outbox: &mut Outbox<N>,
    ) -> UnsubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return UnsubscribeOutcome::UnknownPeer };
        if self.subscribers.remove(connection_id) {
            outbox.events.push(TopicEvent::Unsubscribed(peer.clone(), connection_id));
        }
        let mesh = self.mesh.as_ref();
        if mesh.and_then(|mesh| mesh.get(peer)).is_some_and(|known| *known <= connection_id) {
            self.remove_from_mesh(peer, LeaveReason::Unsubscribed, outbox);
        }
        self.remove_connections_until(peer, connection_id, outbox);
        UnsubscribeOutcome::Unsubscribed
    }

    /// Handles a command of the peers' side.
    pub(crate) fn handle_command(
        &mut self,
        command: TopicCommand<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        match command {
            TopicCommand::JoinConfirmed => self.announce_join(outbox),
            TopicCommand::LeaveConfirmed => self.announce_leave(cx, outbox),
            TopicCommand::PeerDisconnected(peer, connection_id) => {
                self.on_disconnected(&peer, connection_id, outbox)
            }
            TopicCommand::GraftAgain(peer, connection_id) => {
                self.graft_again_later(&peer, connection_id, outbox)
            }
            TopicCommand::SetDirect(peer, connection_id, direct) => {
                self.set_direct(peer, connection_id, direct, cx, outbox)
            }
            TopicCommand::LimitsChanged => self.update_parameters(cx),
            TopicCommand::Retry(delivery, validation_mode) => {
                self.retry_parked(delivery, validation_mode, cx, outbox)
            }
            TopicCommand::ForgetBatched(message) => self.forget_batched(&message),
            TopicCommand::ForgetParked(ids) => ids.iter().for_each(|id| self.parked_ids.remove(id)),
            TopicCommand::Verdicts(verdicts) => self.apply_batch_verdicts(verdicts, cx, outbox),
            TopicCommand::OfferMissed(peer, ids) => self.offer_missed(peer, ids, cx, outbox),
            TopicCommand::StartHeartbeat(tick) => self.heartbeat_maintain_mesh(tick, cx, outbox),
            TopicCommand::FinishHeartbeat => self.heartbeat_emit(cx, outbox),
        }
    }

    /// Removes a closed connection. The peers' side knows of it already, so no event is sent.
    fn on_disconnected(&mut self, peer: &N::Peer, connection_id: ConnectionId, outbox: &mut Outbox<N>) {
        self.subscribers.remove(connection_id);
        self.remove_connections_until(peer, connection_id, outbox);
    }

    /// Removes the state of an earlier connection of `peer` whose end has not been reported yet. Its entry among the
    /// subscribers stays until then, since that id no longer resolves to a peer.
    fn drop_stale_connection(&mut self, peer: &N::Peer, connection_id: ConnectionId, outbox: &mut Outbox<N>) {
        if !self.is_subscriber(connection_id) {
            self.remove_connections_until(peer, connection_id, outbox);
        }
    }

    fn add_subscriber(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        direct: bool,
        outbox: &mut Outbox<N>,
    ) {
        self.subscribers.insert(connection_id);
        self.add_unmeshed(peer, connection_id, direct);
        outbox.events.push(TopicEvent::Subscribed(peer.clone(), connection_id));
    }

    fn remove_from_mesh(&mut self, peer: &N::Peer, reason: LeaveReason, outbox: &mut Outbox<N>) {
        if let Some(connection_id) = self.mesh.as_mut().and_then(|mesh| mesh.remove(peer)) {
            self.flush_delivery_counts(outbox);
            outbox.events.push(TopicEvent::Pruned(peer.clone(), connection_id, reason));
            outbox.counters.removed(reason, 1);
        }
    }

    /// Removes a peer from the direct and floodsub peers, the mesh and the fanout, unless it is there with a later connection
    /// than `last`.
    fn remove_connections_until(&mut self, peer: &N::Peer, last: ConnectionId, outbox: &mut Outbox<N>) {
        let remove = |connection_ids: &mut BTreeMap<N::Peer, ConnectionId>| {
            let is_over = connection_ids.get(peer).is_some_and(|connection_id| *connection_id <= last);
            is_over && connection_ids.remove(peer).is_some()
        };
        remove(&mut self.direct);
        remove(&mut self.floodsub);
        if self.mesh.as_mut().is_some_and(remove) {
            outbox.counters.removed(LeaveReason::Disconnected, 1);
        }
        if let Some(fanout) = &mut self.fanout {
            remove(&mut fanout.peers);
        }
    }
}

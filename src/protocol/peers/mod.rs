//! The peers' side: connections, subscriptions, scores, px, reconnections, messages without a verdict, and the rounds
//! of the heartbeat. It receives events of topics and sends them commands.

mod batch;
mod connections;
pub(crate) mod decisions;
mod disconnect;
pub(crate) mod dispatch;
pub(crate) mod heartbeat;
pub(crate) mod idontwant;
pub(crate) mod missed;
mod parked;
pub(in crate::protocol) mod passive_backoffs;
pub(crate) mod peer_event;
mod px;
mod queries;
pub(in crate::protocol) mod reconnect;
mod settings;
mod subscriptions;
pub(crate) mod summary;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use derive_where::derive_where;

use self::{
    dispatch::PendingDispatch,
    heartbeat::{HeartbeatBudget, HeartbeatRound},
    passive_backoffs::PassiveBackoffs,
    reconnect::ReconnectBackoff,
    settings::in_both,
};
use super::{
    connection::ConnectionId,
    event::Event,
    exchange::{
        command::{TopicCommand, ValidationMode},
        event::TopicEvent,
        peer_view::PeerStatus,
    },
    options::NodeOptions,
    outcome::{AddPeer, PruneOutcome, RemovePeer, counters::Penalties, reason::Penalty},
    output::pending::PendingOutput,
    rate_limit::RateLimit,
    rng::{ProtocolRng, rng_for},
    score::Scores,
};
use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::{Network, PeerKind, hooks::Hooks},
    timestamp::Timestamp,
};

/// A connected peer.
#[derive_where(Debug)]
struct Connection<N: Network> {
    connection_id: ConnectionId,
    /// The peer is a direct peer.
    direct: bool,
    /// Whether that has changed since the peer connected. Topics may then have taken the peer for what it was before.
    direct_changed: bool,
    /// The subscribed topics.
    topics: BTreeSet<N::Topic>,
    /// The bytes of their names.
    names: Share,
}

/// The effects of the inputs that the peers' side has handled.
#[derive_where(Debug, Default)]
pub(crate) struct PeersOutbox<N: Network> {
    pub(crate) p2p: Vec<PendingOutput<N>>,
    /// Commands to topics.
    pub(crate) commands: Vec<(N::Topic, TopicCommand<N>)>,
    pub(crate) events: Vec<Event<N>>,
    /// The number of messages dropped because too many wait for a verdict.
    pub(crate) throttled: usize,
    /// The number of messages dropped because they were parked for too long.
    pub(crate) expired: usize,
    pub(crate) penalties: Penalties,
}

/// The state of the peers' side.
#[derive_where(Debug)]
pub(crate) struct Peers<N: Network> {
    #[derive_where(skip)]
    network: Hooks<N>,
    limits: Arc<Limits<N::Topic>>,
    totals: Totals,
    self_peer: Option<N::Peer>,
    rng: ProtocolRng,
    connections: BTreeMap<N::Peer, Connection<N>>,
    /// The number of bootstrap peers in `connections`, which is read after each input.
    bootstrap_connections: usize,
    /// The number of peers in `connections` that speak floodsub.
    floodsub_connections: usize,
    scores: Scores<N>,
    /// The trusted peers. Their number is bounded by the configuration of the p2p layer.
    trusted: BTreeSet<N::Peer>,
    /// The peers of which the application decided whether they are direct peers. Their number is bounded by its calls.
    direct: BTreeMap<N::Peer, bool>,
    unreachable: ReconnectBackoff<N::Point>,
    joined: BTreeSet<N::Topic>,
    /// The topics that have a state machine.
    active: BTreeSet<N::Topic>,
    passive_backoffs: PassiveBackoffs<N>,
    pending_dispatch: PendingDispatch<N>,
    round: Option<HeartbeatRound<N>>,
    heartbeat_budget: HeartbeatBudget,
    ticks: u64,
    recv_prunes: u64,
    topic_limit_events: RateLimit,
    protocol_violation_events: RateLimit,
    outbox: PeersOutbox<N>,
}

impl<N: Network> Peers<N> {
    pub(crate) fn new(
        network: Hooks<N>,
        limits: Arc<Limits<N::Topic>>,
        totals: Totals,
        options: &NodeOptions<N>,
    ) -> Self {
        Self {
            self_peer: options.self_peer.clone(),
            rng: rng_for(options.seed, "peers", &()),
            connections: BTreeMap::new(),
            bootstrap_connections: 0,
            floodsub_connections: 0,
            scores: Scores::new(network.clone(), Arc::clone(&limits)),
            trusted: BTreeSet::new(),
            direct: BTreeMap::new(),
            unreachable: ReconnectBackoff::new(),
            joined: BTreeSet::new(),
            active: BTreeSet::new(),
            passive_backoffs: PassiveBackoffs::new(totals.clone()),
            pending_dispatch: PendingDispatch::new(&limits.bounds, options.batch_interval),
            round: None,
            heartbeat_budget: HeartbeatBudget::UNLIMITED,
            ticks: 0,
            recv_prunes: 0,
            topic_limit_events: RateLimit::new(limits.bounds.event_interval),
            protocol_violation_events: RateLimit::new(limits.bounds.event_interval),
            outbox: PeersOutbox::default(),
            network,
            limits,
            totals,
        }
    }

    /// Whether the outbox is empty.
    pub(crate) fn is_outbox_empty(&self) -> bool {
        let PeersOutbox { p2p, commands, events, throttled, expired, penalties: _ } = &self.outbox;
        p2p.is_empty() && commands.is_empty() && events.is_empty() && throttled + expired == 0
    }

    /// Takes the effects of the handled inputs.
    pub(crate) fn drain(&mut self) -> PeersOutbox<N> {
        std::mem::take(&mut self.outbox)
    }

    /// Handles a new connection. Its id is greater than those of earlier connections of the peer.
    pub(crate) fn connect(&mut self, peer: &N::Peer, connection_id: ConnectionId, kind: PeerKind) -> AddPeer {
        if let Some(point) = self.network.reachable_point(peer) {
            self.unreachable.reached(&point);
        }
        if self.connections.contains_key(peer) {
            return AddPeer::AlreadyKnown;
        }
        let names = self.totals.share(Remembered::TopicNames);
        let direct = self.direct.get(peer).copied().unwrap_or(kind.direct);
        let topics = BTreeSet::new();
        let connection = Connection { connection_id, direct, direct_changed: false, topics, names };
        self.connections.insert(peer.clone(), connection);
        self.bootstrap_connections += usize::from(connection_id.is_bootstrap());
        self.floodsub_connections += usize::from(connection_id.is_floodsub());
        self.scores.connect(peer);
        if kind.trusted {
            self.trusted.insert(peer.clone());
        }
        AddPeer::Added
    }

    /// Handles a closed connection, and notifies those of its topics that have a state machine.
    pub(crate) fn disconnect(&mut self, peer: &N::Peer, now: Timestamp) -> RemovePeer {
        self.outbox.penalties[Penalty::MeshDeficit] += self.scores.disconnect(peer, now);
        if let Some(Connection { connection_id, topics, .. }) = self.connections.remove(peer) {
            self.bootstrap_connections -= usize::from(connection_id.is_bootstrap());
            self.floodsub_connections -= usize::from(connection_id.is_floodsub());
            let disconnected = |topic| (topic, TopicCommand::PeerDisconnected(peer.clone(), connection_id));
            let both = in_both(&topics, &self.active).cloned();
            self.outbox.commands.extend(both.map(disconnected));
        }
        RemovePeer::Removing
    }

    /// Handles a slow-peer report of the transport.
    pub(crate) fn on_slow_peer(&mut self, peer: N::Peer) {
        let penalty = self.limits.extensions.slow_peer_penalty;
        self.scores.penalise(&peer, penalty);
        self.count_penalty(Penalty::SlowPeer, penalty > 0.0);
        self.outbox.events.push(Event::SlowPeer { peer });
    }

    /// Handles a violation of the protocol that the transport reported, or that a topic found in a message.
    pub(crate) fn on_protocol_violation(&mut self, peer: N::Peer, now: Timestamp) {
        let penalty = self.limits.extensions.protocol_violation_penalty;
        self.scores.penalise(&peer, penalty);
        self.count_penalty(Penalty::ProtocolViolation, penalty > 0.0);
        if self.protocol_violation_events.try_acquire(now) {
            self.outbox.events.push(Event::ProtocolViolation { peer });
        }
    }

    /// Sets the application score (P5) of a peer.
    pub(crate) fn set_application_score(&mut self, peer: &N::Peer, score: f64) {
        self.scores.set_application_score(peer, score);
    }

    /// An attempt to reach a point failed.
    pub(crate) fn set_unreachable_point(&mut self, point: N::Point) {
        self.unreachable.failed(point, self.ticks, &self.limits.bounds);
    }

    /// Each unreachable point with the ticks until it may be dialled, negative if that tick has passed.
    pub(crate) fn reconnection_delays(&self) -> Vec<(N::Point, i64)> {
        self.unreachable.delays(self.ticks).map(|(point, ticks)| (point.clone(), ticks)).collect()
    }

    /// Applies an event of a topic. Returns the outcome of a PRUNE if the event is [`TopicEvent::PxOffered`].
    pub(crate) fn apply_event(
        &mut self,
        topic: &N::Topic,
        event: TopicEvent<N>,
        now: Timestamp,
    ) -> Option<PruneOutcome<N>> {
        match event {
            TopicEvent::Subscribed(peer, connection_id) => self.subscribed(peer, connection_id, topic),
            TopicEvent::Unsubscribed(peer, connection_id) => {
                self.unsubscribed(&peer, connection_id, topic);
            }
            TopicEvent::BackedOff(peer) => {
                self.passive_backoffs.set(topic, &peer, &self.network, &self.limits, now)
            }
            TopicEvent::TopicLimitExceeded(peer) => self.topic_limit_exceeded(peer, now),
            TopicEvent::Grafted(peer, connection_id, _) => self.grafted(&peer, connection_id, topic, now),
            TopicEvent::Pruned(peer, connection_id, _) => self.pruned(&peer, connection_id, topic),
            TopicEvent::Delivered(deliveries) => self.scores.delivered(&deliveries, topic),
            TopicEvent::InvalidMessage(peer) => {
                self.scores.invalid_message(&peer, topic);
                self.count_penalty(Penalty::InvalidMessage, true);
            }
            TopicEvent::Misbehaved(peer, count) => {
                self.scores.penalise(&peer, f64::from(count));
                self.count_penalty(Penalty::GraftBackoff, true);
            }
            TopicEvent::ProtocolViolation(peer) => self.on_protocol_violation(peer, now),
            TopicEvent::PxOffered(from, px) => {
                self.recv_prunes += 1;
                return Some(self.handle_px(&from, px));
            }
            TopicEvent::Joined => self.topic_joined(topic),
            TopicEvent::Left => self.topic_left(topic),
            TopicEvent::Park(delivery) => self.park(delivery),
            TopicEvent::Batch(delivery) => self.add_to_batch(delivery, now),
            TopicEvent::Maintained(maintenance) => self.on_mesh_maintained(topic, maintenance, now),
            TopicEvent::HeartbeatFinished => self.on_finished(topic, now),
            TopicEvent::Dispatched => self.dispatched(),
        }
        None
    }

    /// Counts a penalty, if it was given.
    fn count_penalty(&mut self, penalty: Penalty, given: bool) {
        self.outbox.penalties[penalty] += u32::from(given);
    }

    pub(super) fn grafted(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        topic: &N::Topic,
        now: Timestamp,
    ) {
        if self.connection(peer, connection_id).is_some() {
            self.scores.graft(peer, topic, now);
        }
    }

    pub(super) fn pruned(&mut self, peer: &N::Peer, connection_id: ConnectionId, topic: &N::Topic) {
        if self.connection(peer, connection_id).is_some() {
            let has_deficit = self.scores.prune(peer, topic);
            self.count_penalty(Penalty::MeshDeficit, has_deficit);
        }
    }

    /// The connection with this id. An event of a closed connection has no effect.
    fn connection(&mut self, peer: &N::Peer, connection_id: ConnectionId) -> Option<&mut Connection<N>> {
        self.connections.get_mut(peer).filter(|connection| connection.connection_id == connection_id)
    }

    fn subscribed(&mut self, peer: N::Peer, connection_id: ConnectionId, topic: &N::Topic) {
        let name_bytes = self.network.topic_size(topic);
        match self.connection(&peer, connection_id) {
            Some(connection) => {
                if connection.topics.insert(topic.clone()) {
                    connection.names.add(name_bytes);
                }
                let direct = connection.direct_changed.then_some(connection.direct);
                let set = |direct| (topic.clone(), TopicCommand::SetDirect(peer, connection_id, direct));
                self.outbox.commands.extend(direct.map(set));
            }
            // The connection closed before this event arrived, so the topic was not notified.
            None => self
                .outbox
                .commands
                .push((topic.clone(), TopicCommand::PeerDisconnected(peer, connection_id))),
        }
    }

    fn unsubscribed(&mut self, peer: &N::Peer, connection_id: ConnectionId, topic: &N::Topic) {
        let name_bytes = self.network.topic_size(topic);
        if let Some(connection) = self.connection(peer, connection_id)
            && connection.topics.remove(topic)
        {
            connection.names.remove(name_bytes);
        }
    }

    fn topic_limit_exceeded(&mut self, peer: N::Peer, now: Timestamp) {
        if self.topic_limit_events.try_acquire(now) {
            let max_topics = self.limits.max_topics_per_peer;
            self.outbox.events.push(Event::SubscribeTopicCapExceeded { peer, max_topics });
        }
    }

    fn topic_joined(&mut self, topic: &N::Topic) {
        self.joined.insert(topic.clone());
        self.outbox.commands.push((topic.clone(), TopicCommand::JoinConfirmed));
    }

    fn topic_left(&mut self, topic: &N::Topic) {
        self.joined.remove(topic);
        self.outbox.commands.push((topic.clone(), TopicCommand::LeaveConfirmed));
    }

    /// The id of this node, if it is known.
    pub(crate) fn self_peer(&self) -> Option<&N::Peer> {
        self.self_peer.as_ref()
    }

    /// The id of a peer's connection.
    pub(crate) fn connection_id(&self, peer: &N::Peer) -> Option<ConnectionId> {
        self.connections.get(peer).map(|connection| connection.connection_id)
    }

    pub(crate) fn is_joined(&self, topic: &N::Topic) -> bool {
        self.joined.contains(topic)
    }

    pub(crate) fn joined_count(&self) -> usize {
        self.joined.len()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// The status of a peer.
    pub(super) fn status(&self, peer: &N::Peer) -> PeerStatus {
        let connection = self.connections.get(peer);
        PeerStatus {
            connection_id: connection.map(|connection| connection.connection_id),
            direct: connection.is_some_and(|connection| connection.direct),
            score: self.scores.get(peer),
        }
    }

    /// Whether no peer has a score below `score`.
    pub(super) fn min_score_at_least(&self, score: f64) -> bool {
        self.scores.min_score() >= score
    }

    /// How messages from the network are validated.
    pub(crate) fn validation_mode(&self) -> ValidationMode {
        self.pending_dispatch.validation_mode()
    }
}

//! The peers' side: connections, subscriptions, scores, and all that is not one topic's: px,
//! reconnections, messages that wait for a verdict, the heartbeat's rounds. Told facts by topics,
//! gives them orders; never looks into one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use derive_where::derive_where;

use super::{
    Timestamp,
    delivery::Handling,
    event::{Event, RateLimit},
    footprint::Footprint,
    link::Link,
    outbox::{Fact, Order},
    outcome::{AddPeer, IHaveOutcome, PruneOutcome, RemovePeer},
    reconnect::Unreachable,
    round::{Pace, Round},
    sample::{ProtocolRng, rng_for},
    score::Scores,
    stats::Stats,
    tally::{Penalties, Penalty},
    undecided::Undecided,
    unread::Unread,
    view::{ConnectionView, View},
};
use crate::{limits::Limits, network::Network};

/// What the p2p layer says of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerKind {
    /// Always forwarded to, never in a mesh.
    pub direct: bool,
    /// Dialled by us.
    pub outbound: bool,
    /// Dialled again when lost.
    pub trusted: bool,
    /// Gets control messages only.
    pub bootstrap: bool,
}

/// How a peer stands at the moment of an input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Its connection, if it has one.
    pub(crate) link: Option<Link>,
    /// Its score, if it has one; a peer that left may.
    pub(crate) score: Option<f64>,
}

/// What a peer used up in this heartbeat, over all topics (v1.1 "spam protection").
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    /// IHAVEs received from it.
    pub(crate) received: u32,
    /// Ids requested from it.
    pub(crate) requested: u32,
}

impl Quota {
    /// Of a peer for whom there is no place to count.
    pub(crate) const SPENT: Self = Self { received: u32::MAX, requested: u32::MAX };

    /// Whether it tells anything.
    pub(crate) fn is_kept(self) -> bool {
        self.received > 0 && self.received < u32::MAX
    }

    /// Counts an IHAVE, and tells whether it may be looked at.
    pub(crate) fn take_ihave<N: Network>(
        &mut self,
        limits: &Limits<N::Topic>,
    ) -> Result<(), IHaveOutcome<N>> {
        self.received = self.received.saturating_add(1);
        let max = limits.max_recv_ihave_per_heartbeat;
        if self.received > max {
            return Err(IHaveOutcome::TooManyIHaves { count: self.received, max });
        }
        let max = limits.max_sent_iwant_per_heartbeat;
        if self.requested >= max {
            return Err(IHaveOutcome::TooManyIWants { count: self.requested, max });
        }
        Ok(())
    }

    pub(crate) fn iwants_left<T>(&self, limits: &Limits<T>) -> usize {
        limits.max_sent_iwant_per_heartbeat.saturating_sub(self.requested) as usize
    }
}

/// A connected peer.
#[derive_where(Debug)]
pub(super) struct Connection<N: Network> {
    pub(super) link: Link,
    /// What it subscribed to.
    pub(super) topics: BTreeSet<N::Topic>,
}

/// What the peers' side leaves behind.
#[derive_where(Debug, Default)]
pub(crate) struct PeersOutbox<N: Network> {
    pub(crate) p2p: Vec<Unread<N>>,
    pub(crate) orders: Vec<(N::Topic, Order<N>)>,
    pub(crate) events: Vec<Event<N>>,
    /// Messages dropped because too many wait for a verdict.
    pub(crate) throttled: usize,
    pub(crate) penalties: Penalties,
}

/// How an engine is set up.
#[derive_where(Clone, Debug, Default)]
pub struct NodeOptions<N: Network> {
    /// This node's own peer: never connected to when peers advertise it.
    pub self_peer: Option<N::Peer>,
    /// Where every random choice comes from.
    pub seed: u64,
    /// Judge messages in batches, each open for this long; one by one when `None`.
    pub batch_interval: Option<Duration>,
}

/// The state of the peers' side.
#[derive_where(Debug)]
pub(crate) struct Peers<N: Network> {
    #[derive_where(skip)]
    pub(super) network: Arc<N>,
    pub(super) limits: Arc<Limits<N::Topic>>,
    pub(super) self_peer: Option<N::Peer>,
    pub(super) rng: ProtocolRng,
    pub(super) connections: BTreeMap<N::Peer, Connection<N>>,
    /// The connected peers as told to topics; made anew when asked for after a change.
    connected: Option<Arc<[N::Peer]>>,
    pub(crate) scores: Scores<N>,
    /// The peers to stay connected to. The p2p layer's configuration bounds them.
    pub(super) trusted: BTreeSet<N::Peer>,
    pub(super) unreachable: Unreachable<N::Point>,
    joined: BTreeSet<N::Topic>,
    pub(super) undecided: Undecided<N>,
    pub(super) round: Option<Round<N>>,
    pub(crate) pace: Pace,
    pub(super) ticks: u64,
    recv_prunes: u64,
    cap_events: RateLimit,
    pub(super) outbox: PeersOutbox<N>,
}

impl<N: Network> Peers<N> {
    pub(crate) fn new(network: Arc<N>, limits: Arc<Limits<N::Topic>>, options: &NodeOptions<N>) -> Self {
        Self {
            self_peer: options.self_peer.clone(),
            rng: rng_for(options.seed, "peers", &()),
            connections: BTreeMap::new(),
            connected: None,
            scores: Scores::new(Arc::clone(&limits)),
            trusted: BTreeSet::new(),
            unreachable: Unreachable::new(),
            joined: BTreeSet::new(),
            undecided: Undecided::new(&limits.bounds, options.batch_interval),
            round: None,
            pace: Pace::WHOLE,
            ticks: 0,
            recv_prunes: 0,
            cap_events: RateLimit::new(limits.bounds.event_interval),
            outbox: PeersOutbox::default(),
            network,
            limits,
        }
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_silent(&self) -> bool {
        let PeersOutbox { p2p, orders, events, throttled, penalties: _ } = &self.outbox;
        p2p.is_empty() && orders.is_empty() && events.is_empty() && *throttled == 0
    }

    /// Takes what is to be done.
    pub(crate) fn drain(&mut self) -> PeersOutbox<N> {
        std::mem::take(&mut self.outbox)
    }

    /// A connection is up. Its `link` is greater than those that the peer had before.
    pub(crate) fn connect(&mut self, peer: &N::Peer, link: Link, trusted: bool) -> AddPeer {
        if let Some(point) = self.network.reachable_point(peer) {
            self.unreachable.reached(&point);
        }
        if self.connections.contains_key(peer) {
            return AddPeer::AlreadyKnown;
        }
        self.connections.insert(peer.clone(), Connection { link, topics: BTreeSet::new() });
        self.connected = None;
        self.scores.connect(peer);
        if trusted {
            self.trusted.insert(peer.clone());
        }
        let announce = |topic: &N::Topic| (topic.clone(), Order::Announce(peer.clone()));
        self.outbox.orders.extend(self.joined.iter().map(announce));
        AddPeer::Added
    }

    /// A connection is gone; its topics are told.
    pub(crate) fn disconnect(&mut self, peer: &N::Peer, now: Timestamp) -> RemovePeer {
        self.scores.disconnect(peer, now);
        if let Some(Connection { link, topics }) = self.connections.remove(peer) {
            self.connected = None;
            let gone = |topic| (topic, Order::Gone(peer.clone(), link));
            self.outbox.orders.extend(topics.into_iter().map(gone));
        }
        RemovePeer::Removing
    }

    /// Whether a peer's cap allows it one more topic.
    pub(crate) fn has_room(&self, peer: &N::Peer) -> bool {
        let subscribed = self.connections.get(peer).map_or(0, |connection| connection.topics.len());
        subscribed < self.limits.max_topics_per_peer
    }

    /// The connected subscribers of a topic, for one that lost its state.
    pub(crate) fn subscribers<'a>(
        &'a self,
        topic: &'a N::Topic,
    ) -> impl Iterator<Item = (&'a N::Peer, Link)> {
        let subscribed = self.connections.iter().filter(|(_, connection)| connection.topics.contains(topic));
        subscribed.map(|(peer, connection)| (peer, connection.link))
    }

    /// The p2p layer finds a peer too slow to be told what it must be told.
    pub(crate) fn slow_peer(&mut self, peer: N::Peer) {
        let penalty = self.limits.extensions.slow_peer_penalty;
        self.scores.penalise(&peer, penalty);
        self.count_penalty(Penalty::SlowPeer, penalty > 0.0);
        self.outbox.events.push(Event::SlowPeer { peer });
    }

    /// P5.
    pub(crate) fn set_application_score(&mut self, peer: &N::Peer, score: f64) {
        self.scores.set_application_score(peer, score);
    }

    /// An attempt to reach a point failed.
    pub(crate) fn set_unreachable_point(&mut self, point: N::Point) {
        self.unreachable.failed(point, self.ticks, &self.limits.bounds);
    }

    /// Each unreachable point with the ticks until it may be tried; negative when that tick is past.
    pub(crate) fn reconnection_delays(&self) -> Vec<(N::Point, i64)> {
        self.unreachable.delays(self.ticks).map(|(point, ticks)| (point.clone(), ticks)).collect()
    }

    /// A topic came to know something. Answers what became of a PRUNE's px, if this was one.
    pub(crate) fn fold(
        &mut self,
        topic: &N::Topic,
        fact: Fact<N>,
        now: Timestamp,
    ) -> Option<PruneOutcome<N>> {
        match fact {
            Fact::Subscribed(peer, link) => self.subscribed(peer, link, topic),
            Fact::Unsubscribed(peer, link) => {
                if let Some(connection) = self.connection(&peer, link) {
                    connection.topics.remove(topic);
                }
            }
            Fact::TopicLimitExceeded(peer) => self.topic_limit_exceeded(peer, now),
            Fact::Grafted(peer, link) => self.grafted(&peer, link, topic, now),
            Fact::Pruned(peer, link) => self.pruned(&peer, link, topic),
            Fact::Delivered(deliveries) => self.scores.delivered(&deliveries, topic),
            Fact::InvalidMessage(peer) => {
                self.scores.invalid_message(&peer, topic);
                self.count_penalty(Penalty::InvalidMessage, true);
            }
            Fact::Misbehaved(peer, count) => {
                self.scores.penalise(&peer, f64::from(count));
                self.count_penalty(Penalty::GraftBackoff, true);
            }
            Fact::PxOffered(from, px) => {
                self.recv_prunes += 1;
                return Some(self.judge_px(&from, px));
            }
            Fact::Joined => self.topic_joined(topic),
            Fact::Left => self.topic_left(topic),
            Fact::Park(delivery) => self.park(delivery),
            Fact::Batch(delivery) => self.await_batch(delivery, now),
            Fact::Maintained(maintenance) => self.maintained(topic, maintenance, now),
            Fact::Concluded => self.concluded(topic, now),
            Fact::Dispatched => self.dispatched(),
        }
        None
    }

    pub(super) fn count_penalty(&mut self, penalty: Penalty, given: bool) {
        self.outbox.penalties[penalty] += u32::from(given);
    }

    pub(super) fn grafted(&mut self, peer: &N::Peer, link: Link, topic: &N::Topic, now: Timestamp) {
        if self.connection(peer, link).is_some() {
            self.scores.graft(peer, topic, now);
        }
    }

    pub(super) fn pruned(&mut self, peer: &N::Peer, link: Link, topic: &N::Topic) {
        if self.connection(peer, link).is_some() {
            self.scores.prune(peer, topic);
        }
    }

    /// A fact about a connection counts only while that connection is up.
    fn connection(&mut self, peer: &N::Peer, link: Link) -> Option<&mut Connection<N>> {
        self.connections.get_mut(peer).filter(|connection| connection.link == link)
    }

    fn subscribed(&mut self, peer: N::Peer, link: Link, topic: &N::Topic) {
        match self.connection(&peer, link) {
            Some(connection) => drop(connection.topics.insert(topic.clone())),
            // It ended before we heard of the subscription: the topic has not been told yet.
            None => self.outbox.orders.push((topic.clone(), Order::Gone(peer, link))),
        }
    }

    fn topic_limit_exceeded(&mut self, peer: N::Peer, now: Timestamp) {
        if self.cap_events.allows(now) {
            let max_topics = self.limits.max_topics_per_peer;
            self.outbox.events.push(Event::SubscribeTopicCapExceeded { peer, max_topics });
        }
    }

    fn topic_joined(&mut self, topic: &N::Topic) {
        self.joined.insert(topic.clone());
        let connected = self.connected();
        self.outbox.orders.push((topic.clone(), Order::Welcome(connected)));
    }

    fn topic_left(&mut self, topic: &N::Topic) {
        self.joined.remove(topic);
        let connected = self.connected();
        self.outbox.orders.push((topic.clone(), Order::Farewell(connected)));
    }

    fn connected(&mut self) -> Arc<[N::Peer]> {
        let connections = &self.connections;
        Arc::clone(self.connected.get_or_insert_with(|| connections.keys().cloned().collect()))
    }

    /// The peers' side's part of the statistics.
    pub(crate) fn stats(&self) -> Stats {
        let bootstrap = self.connections.values().filter(|connection| connection.link.is_bootstrap());
        Stats {
            count_topics: self.joined.len() as u64,
            count_connections: self.connections.len() as u64,
            count_bootstrap_connections: bootstrap.count() as u64,
            count_recv_prunes: self.recv_prunes,
            ..Stats::default()
        }
    }

    /// The peers' side's part of a view.
    pub(crate) fn view(&self, view: &mut View<N>) {
        self.view_with(&self.scores, view);
    }

    /// As [`view`](Self::view), with scores that know more.
    pub(super) fn view_with(&self, scores: &Scores<N>, view: &mut View<N>) {
        view.heartbeat_ticks = self.ticks;
        view.scores = scores.view();
        view.connections =
            self.connections.iter().map(|(peer, c)| (peer.clone(), self.connection_view(peer, c))).collect();
    }

    fn connection_view(&self, peer: &N::Peer, connection: &Connection<N>) -> ConnectionView<N> {
        let Connection { link, topics } = connection;
        ConnectionView {
            topics: topics.clone(),
            direct: link.is_direct(),
            outbound: link.is_outbound(),
            bootstrap: link.is_bootstrap(),
            trusted: self.trusted.contains(peer),
        }
    }

    /// A connected peer, if it is.
    pub(crate) fn connection_of(&self, peer: &N::Peer) -> Option<ConnectionView<N>> {
        self.connections.get(peer).map(|connection| self.connection_view(peer, connection))
    }

    /// The connected peers that follow `after`, in order: as many as have `max` entries together, a peer and
    /// each of its topics being one; at least one peer, if there is one.
    pub(crate) fn connections_after(
        &self,
        after: Option<&N::Peer>,
        max: usize,
    ) -> Vec<(N::Peer, ConnectionView<N>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = 0;
        let within = |(_, connection): &(&N::Peer, &Connection<N>)| {
            let fits = entries == 0 || entries < max;
            entries += 1 + connection.topics.len();
            fits
        };
        let connections = self.connections.range::<N::Peer, _>((from, Bound::Unbounded)).take_while(within);
        connections.map(|(peer, c)| (peer.clone(), self.connection_view(peer, c))).collect()
    }

    /// How much it holds.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint {
            connections: self.connections.len(),
            subscriptions: self.connections.values().map(|connection| connection.topics.len()).sum(),
            scores: self.scores.len(),
            trusted: self.trusted.len(),
            unreachable: self.unreachable.len(),
            joined: self.joined.len(),
            parked: self.undecided.parked.len(),
            parked_bytes: self.undecided.parked.bytes(),
            batched: self.undecided.batch.len(),
            ..Footprint::default()
        }
    }

    /// A peer's connection, as topics know it.
    pub(crate) fn link(&self, peer: &N::Peer) -> Option<Link> {
        self.connections.get(peer).map(|connection| connection.link)
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

    /// How a peer stands.
    pub(super) fn standing(&self, peer: &N::Peer) -> Standing {
        Standing { link: self.link(peer), score: self.scores.get(peer) }
    }

    /// Whether surely nobody's score is below this.
    pub(super) fn none_below(&self, score: f64) -> bool {
        self.scores.lowest() >= score
    }

    /// How messages from the network are judged.
    pub(crate) fn handling(&self) -> Handling {
        self.undecided.handling()
    }
}

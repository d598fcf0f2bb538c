//! One topic: who subscribed to it, its mesh or fanout, its backoffs and its messages. A state
//! machine that knows no other topic; peers' connections and scores belong to
//! [`Peers`](super::peers::Peers) and come in as plain values.
//!
//! Its inputs are handled in files of their own: [`mesh`](super::topic::mesh) (graft, prune, join, leave),
//! [`delivery`](super::topic::receive) (receive, publish), [`gossip`](super::topic::gossip) (ihave, iwant),
//! [`maintenance`](super::topic::heartbeat) and [`fanout`](super::topic::fanout) (the heartbeat).

mod backoff;
pub(in crate::protocol) mod delivery_counts;
mod fanout;
mod gossip;
mod heartbeat;
pub(in crate::protocol) mod idontwant;
pub(crate) mod inspect;
mod invalid_cache;
mod mesh;
pub(in crate::protocol) mod messages;
mod pending_validation;
mod promises;
mod receive;
pub(in crate::protocol) mod subscribers;

use std::collections::{BTreeMap, BTreeSet};

use derive_where::derive_where;

use self::{
    backoff::Backoffs,
    delivery_counts::DeliveryCounts,
    idontwant::SentIDontWant,
    invalid_cache::InvalidCache,
    messages::{Cached, Seen},
    pending_validation::PendingValidations,
    promises::Promises,
    subscribers::Subscribers,
};
use super::{
    connection::ConnectionId,
    exchange::{
        Context, Outbox,
        command::TopicCommand,
        event::{PeerDeliveries, Pruned, TopicEvent},
        peer_view::PeerStatus,
    },
    inspect::{
        footprint::Footprint,
        view::{CachedView, FanoutView, SeenView, View},
    },
    outcome::{
        SubscribeOutcome, UnsubscribeOutcome,
        counters::{PromiseEvent, Removed},
    },
    rng::{ProtocolRng, rng_for},
    time_cache::TimeCache,
};
use crate::{
    limits::Limits,
    network::{Network, P2pMessage},
    timestamp::Timestamp,
};

/// The state of one topic.
#[derive_where(Debug)]
pub(crate) struct TopicState<N: Network> {
    pub(crate) topic: N::Topic,
    rng: ProtocolRng,
    /// The connections that are subscribed.
    subscribers: Subscribers,
    /// The direct peers among them, each by its last connection.
    direct: BTreeMap<N::Peer, ConnectionId>,
    /// Present exactly while we take part in the topic. Its peers are subscribed and not direct.
    mesh: Option<BTreeMap<N::Peer, ConnectionId>>,
    /// Present only while there is no mesh.
    fanout: Option<Fanout<N>>,
    backoffs: Backoffs<N::Peer>,
    /// The messages that can be asked for.
    history: TimeCache<N::MessageId, Cached<N>>,
    /// What they hold together.
    history_bytes: usize,
    /// The ids that are not handled again.
    seen: TimeCache<N::MessageId, Seen<N>>,
    /// What deliveries are worth and the peers' side was not told.
    credits: DeliveryCounts<N>,
    /// The messages that wait for a verdict, each with its deliverers so far.
    validating: PendingValidations<N>,
    /// What peers offered and were asked for.
    promises: Promises<N>,
    /// The messages that need no second verdict.
    invalid: InvalidCache<N>,
    /// The messages of which the mesh was told in this heartbeat that we don't want them.
    declined: SentIDontWant<N>,
    /// What the first half of a heartbeat pruned, to be told in the second half.
    pruned: Vec<Pruned<N>>,
    /// The mesh that was left, to be told at the farewell.
    parting: Vec<Pruned<N>>,
}

/// Peers for a topic that we publish to without taking part.
#[derive_where(Clone, Debug)]
pub(super) struct Fanout<N: Network> {
    pub(super) peers: BTreeMap<N::Peer, ConnectionId>,
    pub(super) last_published: Timestamp,
}

impl<N: Network> TopicState<N> {
    pub(crate) fn new(topic: N::Topic, limits: &Limits<N::Topic>, seed: u64) -> Self {
        Self {
            rng: rng_for(seed, "topic", &topic),
            topic,
            subscribers: Subscribers::default(),
            direct: BTreeMap::new(),
            mesh: None,
            fanout: None,
            backoffs: Backoffs::new(limits.bounds.max_backoffs_per_topic),
            history: TimeCache::new(limits.history_length),
            history_bytes: 0,
            seen: TimeCache::new(limits.seen_history_length),
            credits: DeliveryCounts::default(),
            validating: PendingValidations::new(&limits.bounds),
            promises: Promises::default(),
            invalid: InvalidCache::new(limits),
            declined: SentIDontWant::default(),
            pruned: Vec::new(),
            parting: Vec::new(),
        }
    }

    /// We take no part any more: what only matters to who does is forgotten.
    pub(super) fn forget_messages_in_doubt(&mut self, limits: &Limits<N::Topic>, outbox: &mut Outbox<N>) {
        outbox.tally.promise(PromiseEvent::Void, self.promises.len());
        self.promises = Promises::default();
        self.invalid = InvalidCache::new(limits);
        self.declined = SentIDontWant::default();
    }

    /// Whether the peers' side was not told of all deliveries.
    pub(crate) fn has_credits(&self) -> bool {
        !self.credits.is_empty()
    }

    /// The deliveries that the peers' side was not told of.
    pub(super) fn credits(&self) -> &[PeerDeliveries<N>] {
        self.credits.as_slice()
    }

    /// Tells the peers' side of all deliveries: before anything that changes what they are worth, and before
    /// anybody looks.
    pub(crate) fn tell_credits(&mut self, outbox: &mut Outbox<N>) {
        self.credits.tell(outbox);
    }

    /// Whether we take part in the topic.
    pub(crate) fn is_joined(&self) -> bool {
        self.mesh.is_some()
    }

    /// Whether it needs the attention of a running actor: it is joined, published to, or has
    /// messages to remember.
    pub(crate) fn is_active(&self) -> bool {
        let takes_part = self.mesh.is_some() || self.fanout.is_some();
        takes_part || !self.history.is_empty() || !self.seen.is_empty() || !self.validating.is_empty()
    }

    /// Whether it remembers nothing, and can be dropped.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_active() && self.subscribers.is_empty() && self.backoffs.is_empty()
    }

    /// Whether this connection is subscribed.
    pub(crate) fn is_subscriber(&self, connection_id: ConnectionId) -> bool {
        self.subscribers.contains(connection_id)
    }

    /// Whether to remember it after an input, while `idle` topics are remembered that we don't take part
    /// in. Backoffs alone make a peer's grafts cheap to refuse, not worth memory without end.
    pub(crate) fn is_worth_keeping(&self, idle: usize, limits: &Limits<N::Topic>) -> bool {
        let room = idle < limits.bounds.max_idle_topics;
        self.is_active() || !self.subscribers.is_empty() || (room && !self.backoffs.is_empty())
    }

    /// Takes a subscriber up again after the topic's state was lost.
    pub(crate) fn restore_subscriber(&mut self, peer: &N::Peer, connection_id: ConnectionId) {
        self.subscribers.insert(connection_id);
        if connection_id.is_direct() {
            self.direct.insert(peer.clone(), connection_id);
        }
    }

    /// A peer subscribes. `room` tells whether its cap allows one more topic.
    pub(crate) fn subscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        room: bool,
        outbox: &mut Outbox<N>,
    ) -> SubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return SubscribeOutcome::UnknownPeer };
        self.drop_older(peer, connection_id, outbox);
        if !self.is_subscriber(connection_id) {
            if !room {
                outbox.facts.push(TopicEvent::TopicLimitExceeded(peer.clone()));
                return SubscribeOutcome::TopicLimitExceeded;
            }
            self.add_subscriber(peer, connection_id, outbox);
        }
        SubscribeOutcome::Subscribed
    }

    /// A peer unsubscribes: it leaves the mesh and the fanout too.
    pub(crate) fn unsubscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        outbox: &mut Outbox<N>,
    ) -> UnsubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return UnsubscribeOutcome::UnknownPeer };
        if self.subscribers.remove(connection_id) {
            outbox.facts.push(TopicEvent::Unsubscribed(peer.clone(), connection_id));
        }
        let mesh = self.mesh.as_ref();
        if mesh.and_then(|mesh| mesh.get(peer)).is_some_and(|known| *known <= connection_id) {
            self.remove_from_mesh(peer, Removed::Unsubscribed, outbox);
        }
        self.remove_up_to(peer, connection_id, outbox);
        UnsubscribeOutcome::Unsubscribed
    }

    /// Executes an order of the peers' side.
    pub(crate) fn execute(&mut self, order: TopicCommand<N>, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        match order {
            TopicCommand::JoinConfirmed(connected) => self.welcome(&connected, outbox),
            TopicCommand::LeaveConfirmed(connected) => self.farewell(&connected, cx, outbox),
            TopicCommand::PeerConnected(peer) => self.announce(peer, outbox),
            TopicCommand::PeerDisconnected(peer, connection_id) => self.gone(&peer, connection_id, outbox),
            TopicCommand::Retry(delivery, validation_mode) => {
                self.retry(delivery, validation_mode, cx, outbox)
            }
            TopicCommand::Verdicts(verdicts) => self.verdicts(verdicts, cx, outbox),
            TopicCommand::StartHeartbeat(tick) => self.maintain(tick, cx, outbox),
            TopicCommand::FinishHeartbeat => self.conclude(cx, outbox),
        }
    }

    /// A peer connected while we take part.
    fn announce(&mut self, peer: N::Peer, outbox: &mut Outbox<N>) {
        if self.is_joined() {
            outbox.send(peer, None, P2pMessage::subscribe(self.topic.clone()));
        }
    }

    /// A connection ended. The scores know by themselves: no fact is owed.
    fn gone(&mut self, peer: &N::Peer, connection_id: ConnectionId, outbox: &mut Outbox<N>) {
        self.subscribers.remove(connection_id);
        self.remove_up_to(peer, connection_id, outbox);
    }

    /// What `peer` had under an earlier connection is void, though the word of its end is still on
    /// its way. Among the subscribers it stands until then: nobody answers to that connection_id any more.
    pub(super) fn drop_older(&mut self, peer: &N::Peer, connection_id: ConnectionId, outbox: &mut Outbox<N>) {
        if !self.is_subscriber(connection_id) {
            self.remove_up_to(peer, connection_id, outbox);
        }
    }

    pub(super) fn add_subscriber(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        outbox: &mut Outbox<N>,
    ) {
        self.subscribers.insert(connection_id);
        if connection_id.is_direct() {
            // What an earlier connection said may come late.
            let known = self.direct.entry(peer.clone()).or_insert(connection_id);
            *known = connection_id.max(*known);
        }
        outbox.facts.push(TopicEvent::Subscribed(peer.clone(), connection_id));
    }

    pub(super) fn remove_from_mesh(&mut self, peer: &N::Peer, why: Removed, outbox: &mut Outbox<N>) {
        if let Some(connection_id) = self.mesh.as_mut().and_then(|mesh| mesh.remove(peer)) {
            self.tell_credits(outbox);
            outbox.facts.push(TopicEvent::Pruned(peer.clone(), connection_id));
            outbox.tally.removed(why, 1);
        }
    }

    /// Takes a peer out of wherever it stands by its name, unless under a later connection than this.
    fn remove_up_to(&mut self, peer: &N::Peer, last: ConnectionId, outbox: &mut Outbox<N>) {
        let remove = |connection_ids: &mut BTreeMap<N::Peer, ConnectionId>| {
            let is_over = connection_ids.get(peer).is_some_and(|connection_id| *connection_id <= last);
            is_over && connection_ids.remove(peer).is_some()
        };
        remove(&mut self.direct);
        if self.mesh.as_mut().is_some_and(remove) {
            outbox.tally.removed(Removed::Disconnected, 1);
        }
        if let Some(fanout) = &mut self.fanout {
            remove(&mut fanout.peers);
        }
    }

    /// Whether we take part, its subscribers, the peers of its mesh, and those of them that we dialled.
    pub(crate) fn census(&self) -> [usize; 4] {
        let mesh = self.mesh.iter().flatten();
        let outbound = mesh.filter(|(_, connection_id)| connection_id.is_outbound()).count();
        let size = self.mesh.as_ref().map_or(0, BTreeMap::len);
        [usize::from(self.is_joined()), self.subscribers.len(), size, outbound]
    }

    /// How much it holds.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint {
            topics: 1,
            subscribers: self.subscribers.len(),
            mesh: self.mesh.as_ref().map_or(0, BTreeMap::len),
            fanout: self.fanout.as_ref().map_or(0, |fanout| fanout.peers.len()),
            backoffs: self.backoffs.len(),
            history: self.history.len(),
            history_bytes: self.history_bytes,
            seen: self.seen.len(),
            validating: self.validating.len(),
            invalid: self.invalid.len(),
            invalid_bytes: self.invalid.bytes(),
            promises: self.promises.len(),
            declined: self.declined.len(),
            ..Footprint::default()
        }
    }

    /// Adds the topic's part to a view.
    pub(crate) fn view(&self, limits: &Limits<N::Topic>, view: &mut View<N>) {
        let keys = |connection_ids: &BTreeMap<N::Peer, ConnectionId>| {
            connection_ids.keys().cloned().collect::<BTreeSet<_>>()
        };
        if let Some(mesh) = &self.mesh {
            view.mesh.insert(self.topic.clone(), keys(mesh));
        }
        if let Some(fanout) = &self.fanout {
            let fanout = FanoutView { peers: keys(&fanout.peers), last_published: fanout.last_published };
            view.fanout.insert(self.topic.clone(), fanout);
        }
        if !self.backoffs.is_empty() {
            let backoffs = self.backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect();
            view.backoff.insert(self.topic.clone(), backoffs);
        }
        if self.mesh.is_some() || self.fanout.is_some() {
            view.gossip.insert(self.topic.clone(), self.gossip_ids(limits));
        }
        view.cached.extend(self.history.iter().map(|(id, cached)| CachedView {
            topic: self.topic.clone(),
            id: id.clone(),
            accesses: cached.accesses.clone(),
        }));
        view.seen.extend(self.seen.iter().map(|(id, seen)| SeenView {
            topic: self.topic.clone(),
            id: id.clone(),
            first_seen: seen.first_seen,
            senders: seen.deliverers().cloned().collect(),
        }));
    }
}

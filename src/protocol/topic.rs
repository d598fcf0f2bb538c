//! One topic: who subscribed to it, its mesh or fanout, its backoffs and its messages. A state
//! machine that knows no other topic; peers' connections and scores belong to
//! [`Peers`](super::peers::Peers) and come in as plain values.
//!
//! Its inputs are handled in files of their own: [`mesh`](super::mesh) (graft, prune, join, leave),
//! [`delivery`](super::delivery) (receive, publish), [`gossip`](super::gossip) (ihave, iwant),
//! [`maintenance`](super::maintenance) and [`fanout`](super::fanout) (the heartbeat).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use derive_where::derive_where;

use super::{
    Timestamp,
    backoff::Backoffs,
    credits::{Credits, Deliveries},
    footprint::Footprint,
    invalid::Invalid,
    link::Link,
    outbox::{Context, Fact, Order, Outbox, Pruned},
    outcome::{SubscribeOutcome, UnsubscribeOutcome},
    peers::Standing,
    promises::Promises,
    sample::{ProtocolRng, rng_for},
    stats::TopicCounts,
    subscribers::Subscribers,
    tally::{Promised, Removed},
    unwanted::Declined,
    validating::Validating,
    view::{CachedView, FanoutView, SeenView, View},
    window::Window,
};
use crate::{
    limits::Limits,
    network::{FullMessage, Network, P2pMessage},
};

/// The state of one topic.
#[derive_where(Debug)]
pub(crate) struct TopicState<N: Network> {
    pub(crate) topic: N::Topic,
    pub(super) rng: ProtocolRng,
    /// The connections that are subscribed.
    pub(super) subscribers: Subscribers,
    /// The direct peers among them, each by its last connection.
    pub(super) direct: BTreeMap<N::Peer, Link>,
    /// Present exactly while we take part in the topic. Its peers are subscribed and not direct.
    pub(super) mesh: Option<BTreeMap<N::Peer, Link>>,
    /// Present only while there is no mesh.
    pub(super) fanout: Option<Fanout<N>>,
    pub(super) backoffs: Backoffs<N::Peer>,
    /// The messages that can be asked for.
    pub(super) history: Window<N::MessageId, Cached<N>>,
    /// What they hold together.
    pub(super) history_bytes: usize,
    /// The ids that are not handled again.
    pub(super) seen: Window<N::MessageId, Seen<N>>,
    /// What deliveries are worth and the peers' side was not told.
    pub(super) credits: Credits<N>,
    /// The messages that wait for a verdict, each with its deliverers so far.
    pub(super) validating: Validating<N>,
    /// What peers offered and were asked for.
    pub(super) promises: Promises<N>,
    /// The messages that need no second verdict.
    pub(super) invalid: Invalid<N>,
    /// The messages of which the mesh was told in this heartbeat that we don't want them.
    pub(super) declined: Declined<N>,
    /// What the first half of a heartbeat pruned, to be told in the second half.
    pub(super) pruned: Vec<Pruned<N>>,
    /// The mesh that was left, to be told at the farewell.
    pub(super) parting: Vec<Pruned<N>>,
}

/// Peers for a topic that we publish to without taking part.
#[derive_where(Clone, Debug)]
pub(super) struct Fanout<N: Network> {
    pub(super) peers: BTreeMap<N::Peer, Link>,
    pub(super) last_published: Timestamp,
}

/// A message of the history.
#[derive_where(Clone, Debug)]
pub(super) struct Cached<N: Network> {
    pub(super) message: Arc<FullMessage<N>>,
    pub(super) bytes: usize,
    /// How often each peer asked for it.
    pub(super) accesses: BTreeMap<N::Peer, u32>,
}

/// A seen id.
#[derive_where(Clone, Debug)]
pub(super) struct Seen<N: Network> {
    pub(super) first_seen: Timestamp,
    /// Who delivered it first; nobody, if we published it.
    pub(super) deliverer: Option<N::Peer>,
    /// Who else delivered it before it was accepted, and who was credited for a copy since; few.
    pub(super) others: Vec<N::Peer>,
}

impl<N: Network> Seen<N> {
    /// Whether a copy from `peer` is worth anything to it.
    pub(super) fn credits(&mut self, peer: &N::Peer, limits: &Limits<N::Topic>) -> bool {
        if self.deliverers().any(|known| known == peer) {
            return false;
        }
        if !limits.extensions.credit_duplicates_once {
            return true;
        }
        let room = self.others.len() < limits.bounds.max_co_senders;
        if room {
            self.others.push(peer.clone());
        }
        room
    }

    fn deliverers(&self) -> impl Iterator<Item = &N::Peer> {
        self.deliverer.iter().chain(&self.others)
    }

    /// It was accepted again, from these.
    pub(super) fn join(&mut self, deliverer: Option<N::Peer>, others: Vec<N::Peer>) {
        for peer in deliverer.into_iter().chain(others) {
            if !self.deliverers().any(|known| *known == peer) {
                self.others.push(peer);
            }
        }
    }
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
            history: Window::new(limits.history_length),
            history_bytes: 0,
            seen: Window::new(limits.seen_history_length),
            credits: Credits::default(),
            validating: Validating::new(&limits.bounds),
            promises: Promises::default(),
            invalid: Invalid::new(limits),
            declined: Declined::default(),
            pruned: Vec::new(),
            parting: Vec::new(),
        }
    }

    /// We take no part any more: what only matters to who does is forgotten.
    pub(super) fn forget_messages_in_doubt(&mut self, limits: &Limits<N::Topic>, outbox: &mut Outbox<N>) {
        outbox.tally.promise(Promised::Void, self.promises.len());
        self.promises = Promises::default();
        self.invalid = Invalid::new(limits);
        self.declined = Declined::default();
    }

    /// Whether the peers' side was not told of all deliveries.
    pub(crate) fn has_credits(&self) -> bool {
        !self.credits.is_empty()
    }

    /// The deliveries that the peers' side was not told of.
    pub(super) fn credits(&self) -> &[Deliveries<N>] {
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
    pub(crate) fn is_subscriber(&self, link: Link) -> bool {
        self.subscribers.contains(link)
    }

    /// Whether to remember it after an input, while `idle` topics are remembered that we don't take part
    /// in. Backoffs alone make a peer's grafts cheap to refuse, not worth memory without end.
    pub(crate) fn is_worth_keeping(&self, idle: usize, limits: &Limits<N::Topic>) -> bool {
        let room = idle < limits.bounds.max_idle_topics;
        self.is_active() || !self.subscribers.is_empty() || (room && !self.backoffs.is_empty())
    }

    /// Takes a subscriber up again after the topic's state was lost.
    pub(crate) fn restore_subscriber(&mut self, peer: &N::Peer, link: Link) {
        self.subscribers.insert(link);
        if link.is_direct() {
            self.direct.insert(peer.clone(), link);
        }
    }

    /// A peer subscribes. `room` tells whether its cap allows one more topic.
    pub(crate) fn subscribe(
        &mut self,
        peer: &N::Peer,
        standing: Standing,
        room: bool,
        outbox: &mut Outbox<N>,
    ) -> SubscribeOutcome {
        let Some(link) = standing.link else { return SubscribeOutcome::UnknownPeer };
        self.drop_older(peer, link, outbox);
        if !self.is_subscriber(link) {
            if !room {
                outbox.facts.push(Fact::TopicLimitExceeded(peer.clone()));
                return SubscribeOutcome::TopicLimitExceeded;
            }
            self.add_subscriber(peer, link, outbox);
        }
        SubscribeOutcome::Subscribed
    }

    /// A peer unsubscribes: it leaves the mesh and the fanout too.
    pub(crate) fn unsubscribe(
        &mut self,
        peer: &N::Peer,
        standing: Standing,
        outbox: &mut Outbox<N>,
    ) -> UnsubscribeOutcome {
        let Some(link) = standing.link else { return UnsubscribeOutcome::UnknownPeer };
        if self.subscribers.remove(link) {
            outbox.facts.push(Fact::Unsubscribed(peer.clone(), link));
        }
        let mesh = self.mesh.as_ref();
        if mesh.and_then(|mesh| mesh.get(peer)).is_some_and(|known| *known <= link) {
            self.remove_from_mesh(peer, Removed::Unsubscribed, outbox);
        }
        self.remove_up_to(peer, link, outbox);
        UnsubscribeOutcome::Unsubscribed
    }

    /// Executes an order of the peers' side.
    pub(crate) fn execute(&mut self, order: Order<N>, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        match order {
            Order::Welcome(connected) => self.welcome(&connected, outbox),
            Order::Farewell(connected) => self.farewell(&connected, cx, outbox),
            Order::Announce(peer) => self.announce(peer, outbox),
            Order::Gone(peer, link) => self.gone(&peer, link, outbox),
            Order::Retry(delivery, handling) => self.retry(delivery, handling, cx, outbox),
            Order::Verdicts(verdicts) => self.verdicts(verdicts, cx, outbox),
            Order::Maintain(tick) => self.maintain(tick, cx, outbox),
            Order::Conclude => self.conclude(cx, outbox),
        }
    }

    /// A peer connected while we take part.
    fn announce(&mut self, peer: N::Peer, outbox: &mut Outbox<N>) {
        if self.is_joined() {
            outbox.send(peer, None, P2pMessage::Subscribe { topic: self.topic.clone() });
        }
    }

    /// A connection ended. The scores know by themselves: no fact is owed.
    fn gone(&mut self, peer: &N::Peer, link: Link, outbox: &mut Outbox<N>) {
        self.subscribers.remove(link);
        self.remove_up_to(peer, link, outbox);
    }

    /// What `peer` had under an earlier connection is void, though the word of its end is still on
    /// its way. Among the subscribers it stands until then: nobody answers to that link any more.
    pub(super) fn drop_older(&mut self, peer: &N::Peer, link: Link, outbox: &mut Outbox<N>) {
        if !self.is_subscriber(link) {
            self.remove_up_to(peer, link, outbox);
        }
    }

    pub(super) fn add_subscriber(&mut self, peer: &N::Peer, link: Link, outbox: &mut Outbox<N>) {
        self.subscribers.insert(link);
        if link.is_direct() {
            // What an earlier connection said may come late.
            let known = self.direct.entry(peer.clone()).or_insert(link);
            *known = link.max(*known);
        }
        outbox.facts.push(Fact::Subscribed(peer.clone(), link));
    }

    pub(super) fn remove_from_mesh(&mut self, peer: &N::Peer, why: Removed, outbox: &mut Outbox<N>) {
        if let Some(link) = self.mesh.as_mut().and_then(|mesh| mesh.remove(peer)) {
            self.tell_credits(outbox);
            outbox.facts.push(Fact::Pruned(peer.clone(), link));
            outbox.tally.removed(why, 1);
        }
    }

    /// Takes a peer out of wherever it stands by its name, unless under a later connection than this.
    fn remove_up_to(&mut self, peer: &N::Peer, last: Link, outbox: &mut Outbox<N>) {
        let remove = |links: &mut BTreeMap<N::Peer, Link>| {
            let is_over = links.get(peer).is_some_and(|link| *link <= last);
            is_over && links.remove(peer).is_some()
        };
        remove(&mut self.direct);
        if self.mesh.as_mut().is_some_and(remove) {
            outbox.tally.removed(Removed::Disconnected, 1);
        }
        if let Some(fanout) = &mut self.fanout {
            remove(&mut fanout.peers);
        }
    }

    /// The numbers that the topic's gauges publish.
    pub(crate) fn census(&self) -> TopicCounts {
        let mesh = self.mesh.iter().flatten();
        TopicCounts {
            joined: usize::from(self.is_joined()),
            subscribers: self.subscribers.len(),
            mesh: self.mesh.as_ref().map_or(0, BTreeMap::len),
            outbound_mesh: mesh.filter(|(_, link)| link.is_outbound()).count(),
        }
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
            sent_idontwant: self.declined.len(),
            ..Footprint::default()
        }
    }

    /// Adds the topic's part to a view.
    pub(crate) fn view(&self, limits: &Limits<N::Topic>, view: &mut View<N>) {
        let keys = |links: &BTreeMap<N::Peer, Link>| links.keys().cloned().collect::<BTreeSet<_>>();
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

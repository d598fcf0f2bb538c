//! TODO header.

use crate::{
    network::{Delivery, Network},
    protocol::connection::Link,
};
use derive_where::derive_where;

/// What a topic tells the peers' side. Facts of one topic are folded in the order they came about.
#[derive_where(Clone, Debug)]
pub(crate) enum Fact<N: Network> {
    /// A connection is subscribed to the topic now.
    Subscribed(N::Peer, Link),
    /// It is not any more.
    Unsubscribed(N::Peer, Link),
    /// A SUBSCRIBE was refused for the cap on topics.
    TopicLimitExceeded(N::Peer),
    Grafted(N::Peer, Link),
    Pruned(N::Peer, Link),
    /// Each peer once.
    Delivered(Vec<Deliveries<N>>),
    InvalidMessage(N::Peer),
    /// P7.
    Misbehaved(N::Peer, u32),
    /// A PRUNE of a mesh peer carried these peers.
    PxOffered(N::Peer, Vec<N::Peer>),
    /// The topic was joined, and waits for [`Order::Welcome`].
    Joined,
    /// The topic was left, and waits for [`Order::Farewell`].
    Left,
    /// A message whose validity is unknown.
    Park(Delivery<N>),
    /// A message for the pending batch.
    Batch(Delivery<N>),
    /// The order to maintain is done; the topic waits for [`Order::Conclude`].
    Maintained(Maintenance<N>),
    /// The order to conclude is done: the topic's part of the heartbeat is.
    Concluded,
    /// An order to retry or to apply verdicts is done.
    Dispatched,
}

/// What a heartbeat changed in a mesh, and found.
#[derive_where(Clone, Debug, Default)]
pub(crate) struct Maintenance<N: Network> {
    pub(crate) grafted: Vec<(N::Peer, Link)>,
    pub(crate) pruned: Vec<Pruned<N>>,
    /// Who broke a promise.
    pub(crate) broken: Vec<N::Peer>,
}

impl<N: Network> Maintenance<N> {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { grafted, pruned, broken } = self;
        grafted.is_empty() && pruned.is_empty() && broken.is_empty()
    }
}

/// A peer that a heartbeat pruned.
#[derive_where(Clone, Debug)]
pub(crate) struct Pruned<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) link: Link,
    /// Its score is negative: it gets no px.
    pub(crate) no_px: bool,
}

/// What one peer delivered.
#[derive_where(Clone, Debug)]
pub(crate) struct Deliveries<N: Network> {
    pub(crate) peer: N::Peer,
    /// Messages that it was the first to deliver (P2, P3).
    pub(crate) first: u32,
    /// Copies that came soon after the first (P3).
    pub(crate) near_first: u32,
}

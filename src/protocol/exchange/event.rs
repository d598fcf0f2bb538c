//! TODO header.

use crate::{
    network::{Delivery, Network},
    protocol::connection::ConnectionId,
};
use derive_where::derive_where;

/// What a topic tells the peers' side. Facts of one topic are folded in the order they came about.
#[derive_where(Clone, Debug)]
pub(crate) enum TopicEvent<N: Network> {
    /// A connection is subscribed to the topic now.
    Subscribed(N::Peer, ConnectionId),
    /// It is not any more.
    Unsubscribed(N::Peer, ConnectionId),
    /// A SUBSCRIBE was refused for the cap on topics.
    TopicLimitExceeded(N::Peer),
    Grafted(N::Peer, ConnectionId),
    Pruned(N::Peer, ConnectionId),
    /// Each peer once.
    Delivered(Vec<PeerDeliveries<N>>),
    InvalidMessage(N::Peer),
    /// P7.
    Misbehaved(N::Peer, u32),
    /// A PRUNE of a mesh peer carried these peers.
    PxOffered(N::Peer, Vec<N::Peer>),
    /// The topic was joined, and waits for [`TopicCommand::JoinConfirmed`].
    Joined,
    /// The topic was left, and waits for [`TopicCommand::LeaveConfirmed`].
    Left,
    /// A message whose validity is unknown.
    Park(Delivery<N>),
    /// A message for the pending batch.
    Batch(Delivery<N>),
    /// The order to maintain is done; the topic waits for [`TopicCommand::FinishHeartbeat`].
    Maintained(Maintenance<N>),
    /// The order to conclude is done: the topic's part of the heartbeat is.
    Concluded,
    /// An order to retry or to apply verdicts is done.
    Dispatched,
}

/// What a heartbeat changed in a mesh, and found.
#[derive_where(Clone, Debug, Default)]
pub(crate) struct Maintenance<N: Network> {
    pub(crate) grafted: Vec<(N::Peer, ConnectionId)>,
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
    pub(crate) connection_id: ConnectionId,
    /// Its score is negative: it gets no px.
    pub(crate) no_px: bool,
}

/// What one peer delivered.
#[derive_where(Clone, Debug)]
pub(crate) struct PeerDeliveries<N: Network> {
    pub(crate) peer: N::Peer,
    /// Messages that it was the first to deliver (P2, P3).
    pub(crate) first: u32,
    /// Copies that came soon after the first (P3).
    pub(crate) near_first: u32,
}

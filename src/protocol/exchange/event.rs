//! The events that a topic reports to the peers' side.

use crate::{
    network::{Delivery, Network, PeerFeedback, PxPeer},
    protocol::{
        connection::ConnectionId,
        outcome::reason::{GraftReason, LeaveReason},
    },
};
use derive_where::derive_where;

/// An event of a topic. The events of one topic are applied in the order in which they happened.
#[derive_where(Clone, Debug)]
pub(crate) enum TopicEvent<N: Network> {
    /// A connection subscribed to the topic.
    Subscribed(N::Peer, ConnectionId),
    /// A connection unsubscribed from the topic.
    Unsubscribed(N::Peer, ConnectionId),
    /// A GRAFT of a passive topic was refused, so the peer is backed off.
    BackedOff(N::Peer),
    /// A SUBSCRIBE was refused: the peer has `max_topics_per_peer` subscriptions.
    TopicLimitExceeded(N::Peer),
    /// A peer entered the mesh.
    Grafted(N::Peer, ConnectionId, GraftReason),
    /// A peer left the mesh.
    Pruned(N::Peer, ConnectionId, LeaveReason),
    /// The deliveries of some peers since the last report, each peer once.
    Delivered(Vec<PeerDeliveries<N>>),
    /// A peer delivered an invalid message (P4).
    InvalidMessage(N::Peer),
    /// A peer sent a message that breaks the network's rules, on a topic that is not joined (P7).
    ProtocolViolation(N::Peer),
    /// A peer misbehaved this many times (P7).
    Misbehaved(N::Peer, u32),
    /// A PRUNE of a mesh peer offered these peers (px), some with signed records that nobody has verified yet.
    PxOffered(N::Peer, Vec<PxPeer<N::Peer>>),
    /// The topic was joined and waits for [`TopicCommand::JoinConfirmed`](super::command::TopicCommand::JoinConfirmed).
    Joined,
    /// The topic was left and waits for [`TopicCommand::LeaveConfirmed`](super::command::TopicCommand::LeaveConfirmed).
    Left,
    /// A message of unknown validity, to be parked.
    Park(Delivery<N>),
    /// A message for the pending batch: its first copy. The topic keeps the senders of the others.
    Batch(Delivery<N>),
    /// The first phase of the heartbeat is done; the topic waits for
    /// [`TopicCommand::FinishHeartbeat`](super::command::TopicCommand::FinishHeartbeat).
    Maintained(Maintenance<N>),
    /// The second phase, and with it the heartbeat of this topic, is done.
    HeartbeatFinished,
    /// A command to retry or to apply verdicts is done.
    Dispatched,
}

impl<N: Network> TopicEvent<N> {
    /// The event that has the same effect as what the application reports about a peer.
    pub(crate) fn of_feedback(peer: N::Peer, feedback: PeerFeedback) -> Self {
        match feedback {
            PeerFeedback::FirstDelivery => {
                Self::Delivered(vec![PeerDeliveries { peer, first: 1, duplicate_in_window: 0 }])
            }
            PeerFeedback::InvalidMessage => Self::InvalidMessage(peer),
        }
    }
}

/// The result of the first phase of a topic's heartbeat.
#[derive_where(Clone, Debug, Default)]
pub(crate) struct Maintenance<N: Network> {
    pub(crate) grafted: Vec<GraftedPeer<N>>,
    pub(crate) pruned: Vec<PrunedPeer<N>>,
    /// The peers that broke an IWANT promise, once for each promise.
    pub(crate) broken: Vec<N::Peer>,
}

impl<N: Network> Maintenance<N> {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { grafted, pruned, broken } = self;
        grafted.is_empty() && pruned.is_empty() && broken.is_empty()
    }
}

/// A peer that the heartbeat grafted.
#[derive_where(Clone, Debug)]
pub(crate) struct GraftedPeer<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) connection_id: ConnectionId,
    pub(crate) reason: GraftReason,
}

/// A peer that a heartbeat or a leave of the topic pruned.
#[derive_where(Clone, Debug)]
pub(crate) struct PrunedPeer<N: Network> {
    pub(crate) peer: N::Peer,
    pub(crate) connection_id: ConnectionId,
    pub(crate) reason: LeaveReason,
    /// The peer has a negative score, so the PRUNE carries no px.
    pub(crate) no_px: bool,
}

/// The deliveries of one peer in one topic.
#[derive_where(Clone, Debug)]
pub(crate) struct PeerDeliveries<N: Network> {
    pub(crate) peer: N::Peer,
    /// Messages that the peer was the first to deliver (P2, P3).
    pub(crate) first: u32,
    /// Duplicates that arrived within the delivery window (P3).
    pub(crate) duplicate_in_window: u32,
}

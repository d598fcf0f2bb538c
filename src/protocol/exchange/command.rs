//! TODO header.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    network::{Delivery, Network, Validity},
    protocol::connection::ConnectionId,
};

/// What the peers' side tells a topic.
#[derive_where(Clone, Debug)]
pub(crate) enum TopicCommand<N: Network> {
    /// These peers are connected: tell them that we joined.
    JoinConfirmed(Arc<[N::Peer]>),
    /// These peers are connected: tell them that we left.
    LeaveConfirmed(Arc<[N::Peer]>),
    /// A peer connected: tell it that we are in this topic.
    PeerConnected(N::Peer),
    /// A connection is gone.
    PeerDisconnected(N::Peer, ConnectionId),
    /// A parked message is decidable.
    Retry(Delivery<N>, ValidationMode),
    /// The verdicts on a batch's messages of this topic; `None` where the application gave none.
    Verdicts(Vec<(Delivery<N>, Option<Validity>)>),
    /// First half of a heartbeat: clean up and maintain; answered by [`TopicEvent::Maintained`].
    StartHeartbeat(u64),
    /// Second half: all topics' changes are in the scores; send prunes and gossip. Answered by
    /// [`TopicEvent::Concluded`].
    FinishHeartbeat,
}

/// How messages from the network are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationMode {
    /// Each on its own, at once.
    Sequential,
    /// Together with the others of its batch.
    Batched,
}

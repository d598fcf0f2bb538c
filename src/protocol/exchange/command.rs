//! The commands that the peers' side sends to a topic.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    network::{Delivery, FullMessage, Network, Validity},
    protocol::connection::ConnectionId,
};

/// A command of the peers' side to a topic.
#[derive_where(Clone, Debug)]
pub(crate) enum TopicCommand<N: Network> {
    /// The peers' side has registered the join. The topic announces it (SUBSCRIBE).
    JoinConfirmed,
    /// The peers' side has registered the leave. The topic announces it (UNSUBSCRIBE).
    LeaveConfirmed,
    /// A connection closed.
    PeerDisconnected(N::Peer, ConnectionId),
    /// If the peer is in the mesh, send it a GRAFT: it may have started again and not know of it.
    GraftAgain(N::Peer, ConnectionId),
    /// A connected subscriber is a direct peer from now on, or no more.
    SetDirect(N::Peer, ConnectionId, bool),
    /// The limits of the context are new.
    LimitsChanged,
    /// Handle a parked message again: its validity can be decided now.
    Retry(Delivery<N>, ValidationMode),
    /// The verdicts on the messages of a batch that belong to this topic.
    Verdicts(Vec<(Delivery<N>, Validity)>),
    /// A message for the batch gets no verdict: the batch was full, or its validation took too long or panicked.
    ForgetBatched(Arc<FullMessage<N>>),
    /// These messages were dropped while they were parked.
    ForgetParked(Vec<N::MessageId>),
    /// Offer these messages, which a connected peer was not sent because a queue was full, to it by IHAVE.
    OfferMissed(N::Peer, Vec<N::MessageId>),
    /// First phase of a heartbeat: expire state and maintain the mesh. The topic replies with
    /// [`TopicEvent::Maintained`](super::event::TopicEvent::Maintained).
    StartHeartbeat(u64),
    /// Second phase, after the changes of all topics are in the scores: send prunes and gossip. The topic replies with
    /// [`TopicEvent::HeartbeatFinished`](super::event::TopicEvent::HeartbeatFinished).
    FinishHeartbeat,
}

/// How messages from the network are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationMode {
    /// Each message on its own, at once.
    Sequential,
    /// Together with the other messages of its batch.
    Batched,
}

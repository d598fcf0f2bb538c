//! Outputs that are queued for the p2p layer. Those to one connection, and gossip to many, hold connection ids, eight bytes
//! each; they are resolved to peers when the output is read. So an output never reaches the peer's next connection.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use derive_where::derive_where;

use super::{Lane, OutputBatch, announcements::Announcements, expand::OutputBatchIter};
use crate::{
    admission::charge::Charge,
    network::{AppOutput, FullMessage, Network, P2pMessage, P2pOutput, hooks::Hooks},
    protocol::connection::{ConnectionId, ConnectionIndex},
};

/// A queued output, which is [resolved](Self::resolve) when it is read.
#[derive_where(Clone, Debug)]
pub(crate) enum PendingOutput<N: Network> {
    /// A full message to these peers, ascending.
    Broadcast {
        to: Vec<N::Peer>,
        message: Arc<FullMessage<N>>,
        /// The bytes of all this in memory.
        bytes: usize,
        lane: Lane,
        /// The topic is sent first within its lane.
        sent_first: bool,
        /// Dropping it ends the charge.
        charge: Charge,
    },
    /// An IHAVE or IDONTWANT to the peers of these connections.
    Gossip {
        to: Vec<ConnectionId>,
        message: P2pMessage<N>,
    },
    /// Any other message to the peer of this connection.
    Message {
        to: ConnectionId,
        message: P2pMessage<N>,
    },
    /// A message to a peer that has no connection. It is for no later connection either.
    ToUnconnected {
        to: N::Peer,
        message: P2pMessage<N>,
    },
    /// A SUBSCRIBE of each announced topic to the peer of a new connection, before any other output for that connection; or
    /// again to a peer that may have started again.
    Connected(ConnectionId),
    /// A SUBSCRIBE (`joined`) or UNSUBSCRIBE of this topic to each peer to which topics were announced.
    Announcement {
        topic: N::Topic,
        joined: bool,
    },
    Output(P2pOutput<N>),
}

/// The outputs that a queued output stands for when it is read.
pub(crate) enum Resolved<N: Network> {
    Batch(OutputBatch<N>),
    /// Announcements, each an output of its own.
    Announcements(OutputBatchIter<N>),
}

impl<N: Network> PendingOutput<N> {
    /// The room that the output takes in a queue: the number of recipients. An announcement takes the room of one
    /// recipient, however many outputs it becomes.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Broadcast { to, .. } => to.len(),
            Self::Gossip { to, .. } => to.len(),
            _ => 1,
        }
    }

    /// The approximate bytes that the output keeps in memory while it is queued.
    pub(crate) fn bytes(&self, network: &Hooks<N>) -> usize {
        let contents = match self {
            Self::Broadcast { bytes, .. } => return *bytes,
            Self::Gossip { to, message } => size_of_val(&**to) + message.bytes(network),
            Self::Message { message, .. } | Self::ToUnconnected { message, .. } => message.bytes(network),
            Self::Announcement { topic, .. } => network.topic_size(topic),
            Self::Output(P2pOutput::Connect { record: Some(record), .. }) => record.len(),
            Self::Connected(_) | Self::Output(_) => 0,
        };
        size_of::<Self>() + contents
    }

    /// The lane of the output.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Broadcast { lane, .. } => *lane,
            Self::Gossip { .. } => Lane::Gossip,
            Self::Message { message, .. } | Self::ToUnconnected { message, .. } => Lane::of_message(message),
            Self::Connected(_) | Self::Announcement { .. } => Lane::Control,
            Self::Output(output) => Lane::of(output),
        }
    }

    /// The index of the queue that holds the output; see [`Lane::queue_index`].
    pub(crate) fn queue_index(&self) -> usize {
        let idontwant = matches!(self, Self::Gossip { message: P2pMessage::IDontWant { .. }, .. });
        self.lane().queue_index(idontwant, self.is_sent_first())
    }

    /// Whether it is a message of a topic that is sent first within its lane.
    pub(crate) fn is_sent_first(&self) -> bool {
        matches!(self, Self::Broadcast { sent_first: true, .. })
    }

    /// Whether the output is for one connection, and that is not in `index` any more.
    pub(crate) fn is_for_closed(&self, index: &ConnectionIndex<N::Peer>) -> bool {
        match self {
            Self::Message { to, .. } | Self::Connected(to) => !index.contains(*to),
            _ => false,
        }
    }

    /// Resolves connection ids to peers, and expands announcements. `open`: the open connections; it is called only if the
    /// output needs them. Closed connections are left out. Returns `None` if the output has no recipient any more.
    pub(crate) fn resolve<I: Deref<Target = ConnectionIndex<N::Peer>>>(
        self,
        announcements: &mut Announcements<N>,
        open: impl FnOnce() -> I,
        is_connected: impl FnOnce(&N::Peer) -> bool,
    ) -> Option<Resolved<N>> {
        Some(match self {
            Self::Broadcast { to, message, lane, sent_first, .. } => {
                Resolved::Batch(OutputBatch::Broadcast { to, message, lane, sent_first })
            }
            Self::Gossip { to, message } => {
                let to = open().resolve(&to);
                if to.is_empty() {
                    return None;
                }
                Resolved::Batch(OutputBatch::Gossip { to, message })
            }
            Self::Message { to, message } => {
                let to_peer = open().peer(to)?.clone();
                Resolved::Batch(OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }))
            }
            Self::ToUnconnected { to, .. } if is_connected(&to) => return None,
            Self::ToUnconnected { to, message } => {
                Resolved::Batch(OutputBatch::Output(P2pOutput::OutMessage { to_peer: to, message }))
            }
            Self::Connected(connection_id) => {
                Resolved::Announcements(announcements.connected(connection_id, &open())?)
            }
            Self::Announcement { topic, joined } => {
                Resolved::Announcements(announcements.changed(topic, joined, &open()))
            }
            Self::Output(output) => Resolved::Batch(OutputBatch::Output(output)),
        })
    }
}

/// A message for the application, with what is charged for it until it is read.
#[derive_where(Clone, Debug)]
pub(crate) struct PendingDelivery<N: Network> {
    /// The peer that delivered the message first.
    pub(crate) sender: N::Peer,
    pub(crate) message: AppOutput<N>,
    pub(crate) charge: Charge,
}

impl<N: Network> From<P2pOutput<N>> for PendingOutput<N> {
    fn from(output: P2pOutput<N>) -> Self {
        Self::Output(output)
    }
}

/// Outputs that make the p2p layer forget the peers that `origin` offered by px, each once.
pub(in crate::protocol) fn forget_all<N: Network>(
    origin: &N::Peer,
    px: impl IntoIterator<Item = N::Peer>,
) -> impl Iterator<Item = PendingOutput<N>> {
    let distinct: BTreeSet<_> = px.into_iter().collect();
    let forget = move |peer| PendingOutput::from(P2pOutput::Forget { peer, origin: origin.clone() });
    distinct.into_iter().map(forget).collect::<Vec<_>>().into_iter()
}

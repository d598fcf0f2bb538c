//! Outputs that are queued for the p2p layer. Gossip to many peers holds connection ids, eight bytes each; they are
//! resolved to peers when the output is read.

use std::{collections::BTreeSet, sync::Arc};

use derive_where::derive_where;

use super::{Lane, OutputBatch};
use crate::{
    admission::charge::Charge,
    network::{AppOutput, FullMessage, Network, P2pMessage, P2pOutput, hooks::Hooks},
    protocol::connection::ConnectionId,
};

/// A queued output, which becomes an [`OutputBatch`] when it is read.
#[derive_where(Clone, Debug)]
pub(crate) enum PendingOutput<N: Network> {
    /// A full message to these peers, ascending.
    Broadcast {
        to: Vec<N::Peer>,
        message: Arc<FullMessage<N>>,
        /// The bytes of all this in memory.
        bytes: usize,
        lane: Lane,
        #[expect(dead_code, reason = "dropping it ends the charge")]
        charge: Charge,
    },
    /// An IHAVE or IDONTWANT to the peers of these connections.
    Gossip {
        to: Vec<ConnectionId>,
        message: P2pMessage<N>,
    },
    Output(P2pOutput<N>),
}

impl<N: Network> PendingOutput<N> {
    /// The number of recipients: the room that the output takes in a queue.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Broadcast { to, .. } => to.len(),
            Self::Gossip { to, .. } => to.len(),
            Self::Output(_) => 1,
        }
    }

    /// The approximate bytes that the output keeps in memory while it is queued.
    pub(crate) fn bytes(&self, network: &Hooks<N>) -> usize {
        let contents = match self {
            Self::Broadcast { bytes, .. } => return *bytes,
            Self::Gossip { to, message } => size_of_val(&**to) + message.bytes(network),
            Self::Output(P2pOutput::OutMessage { message, .. }) => message.bytes(network),
            Self::Output(_) => 0,
        };
        size_of::<Self>() + contents
    }

    /// The lane of the output.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Broadcast { lane, .. } => *lane,
            Self::Gossip { .. } => Lane::Gossip,
            Self::Output(output) => Lane::of(output),
        }
    }

    /// The index of the queue that holds the output; see [`Lane::queue_index`].
    pub(crate) fn queue_index(&self) -> usize {
        let idontwant = match self {
            Self::Gossip { message, .. } | Self::Output(P2pOutput::OutMessage { message, .. }) => {
                matches!(message, P2pMessage::IDontWant { .. })
            }
            Self::Broadcast { .. } | Self::Output(_) => false,
        };
        self.lane().queue_index(idontwant)
    }

    /// Resolves connection ids to peers by `resolve`. Peers that have disconnected are left out, so the batch may be
    /// empty.
    pub(crate) fn resolve(self, resolve: impl FnOnce(&[ConnectionId]) -> Vec<N::Peer>) -> OutputBatch<N> {
        match self {
            Self::Broadcast { to, message, lane, .. } => OutputBatch::Broadcast { to, message, lane },
            Self::Gossip { to, message } => OutputBatch::Gossip { to: resolve(&to), message },
            Self::Output(output) => OutputBatch::Output(output),
        }
    }
}

/// A message for the application, with what is charged for it until it is read.
#[derive_where(Clone, Debug)]
pub(crate) struct PendingDelivery<N: Network> {
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

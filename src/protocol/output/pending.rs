//! An output for the p2p layer that nobody has read yet: what is gossiped to many goes by their connection_ids, a few bytes
//! each, and they get their names when it is read. Orders nothing anew.

use std::{collections::BTreeSet, sync::Arc};

use derive_where::derive_where;

use super::{Lane, OutputBatch};
use crate::{
    network::{FullMessage, Network, P2pMessage, P2pOutput},
    protocol::connection::ConnectionId,
};

/// What becomes an [`OutputBatch`].
#[derive_where(Clone, Debug)]
pub(crate) enum PendingOutput<N: Network> {
    /// A full message, to these peers, ascending.
    Broadcast {
        to: Vec<N::Peer>,
        message: Arc<FullMessage<N>>,
        lane: Lane,
    },
    /// An IHAVE or IDONTWANT, to the peers of those of these connections that are still up.
    Gossip {
        to: Vec<ConnectionId>,
        message: P2pMessage<N>,
    },
    Output(P2pOutput<N>),
}

impl<N: Network> PendingOutput<N> {
    /// Of how many of the seed's items it takes the room.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Broadcast { to, .. } => to.len(),
            Self::Gossip { to, .. } => to.len(),
            Self::Output(_) => 1,
        }
    }

    /// How urgent it is.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Broadcast { lane, .. } => *lane,
            Self::Gossip { .. } => Lane::Gossip,
            Self::Output(output) => Lane::of(output),
        }
    }

    /// Where it waits, as [`Lane::place`] tells.
    pub(crate) fn place(&self) -> usize {
        let idontwant = match self {
            Self::Gossip { message, .. } | Self::Output(P2pOutput::OutMessage { message, .. }) => {
                matches!(message, P2pMessage::IDontWant { .. })
            }
            Self::Broadcast { .. } | Self::Output(_) => false,
        };
        self.lane().place(idontwant)
    }

    /// As it is read; for fewer than it was meant for, or for nobody, if they are gone. `peers` answers whose
    /// connections are up of these.
    pub(crate) fn read(self, peers: impl FnOnce(&[ConnectionId]) -> Vec<N::Peer>) -> OutputBatch<N> {
        match self {
            Self::Broadcast { to, message, lane } => OutputBatch::Broadcast { to, message, lane },
            Self::Gossip { to, message } => OutputBatch::Gossip { to: peers(&to), message },
            Self::Output(output) => OutputBatch::Output(output),
        }
    }
}

impl<N: Network> From<P2pOutput<N>> for PendingOutput<N> {
    fn from(output: P2pOutput<N>) -> Self {
        Self::Output(output)
    }
}

/// Tells the p2p layer that none of the peers that `origin` offered is wanted, each once.
pub(in crate::protocol) fn forget_all<N: Network>(
    origin: &N::Peer,
    px: impl IntoIterator<Item = N::Peer>,
) -> impl Iterator<Item = PendingOutput<N>> {
    let distinct: BTreeSet<_> = px.into_iter().collect();
    let forget = move |peer| PendingOutput::from(P2pOutput::Forget { peer, origin: origin.clone() });
    distinct.into_iter().map(forget).collect::<Vec<_>>().into_iter()
}

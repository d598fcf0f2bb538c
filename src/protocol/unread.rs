//! An output that nobody has read yet. What is gossiped to many goes by their links, a few bytes each, until it is
//! read: then they get their names. Orders nothing anew.

use derive_where::derive_where;

use super::{
    link::Link,
    outbox::{Emission, Lane},
};
use crate::network::{Network, P2pMessage, P2pOutput};

/// One output for the p2p layer, as it waits to be read.
#[derive_where(Clone, Debug)]
pub(crate) enum Unread<N: Network> {
    /// It is as it will be read.
    Emission(Emission<N>),
    /// To be told to the peers of all these connections that are still up: an IHAVE, or an IDONTWANT.
    Gossip { to: Vec<Link>, message: P2pMessage<N> },
}

impl<N: Network> Unread<N> {
    /// Of how many of the seed's items room is taken for it.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Emission(emission) => emission.count(),
            Self::Gossip { to, .. } => to.len(),
        }
    }

    /// How urgent it is.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Emission(emission) => emission.lane(),
            Self::Gossip { .. } => Lane::Gossip,
        }
    }

    /// Where it waits, as [`Lane::place`] tells.
    pub(crate) fn place(&self) -> usize {
        let idontwant = match self {
            Self::Gossip { message, .. }
            | Self::Emission(Emission::Output(P2pOutput::OutMessage { message, .. })) => {
                matches!(message, P2pMessage::IDontWant { .. })
            }
            Self::Emission(_) => false,
        };
        self.lane().place(idontwant)
    }

    /// As it is read, and how many of those it was for are gone. `name` knows who is connected.
    pub(crate) fn read(self, name: impl Fn(Link) -> Option<N::Peer>) -> (Emission<N>, usize) {
        match self {
            Self::Emission(emission) => (emission, 0),
            Self::Gossip { to: links, message } => {
                let mut to = Vec::with_capacity(links.len());
                to.extend(links.iter().filter_map(|link| name(*link)));
                let gone = links.len() - to.len();
                (Emission::Gossip { to, message }, gone)
            }
        }
    }
}

impl<N: Network> From<P2pOutput<N>> for Unread<N> {
    fn from(output: P2pOutput<N>) -> Self {
        Self::Emission(Emission::Output(output))
    }
}

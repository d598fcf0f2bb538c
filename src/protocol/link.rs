//! A connection of a peer, as topics know it: a number, which takes a quarter of a name's room or less, and tells
//! what kind of connection it is. Knows no name: that is the [`Roster`](super::outbox::Roster)'s.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;

use super::peers::PeerKind;

/// One connection of one peer. Links order as the connections came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link(u64);

/// The peers whose connections are up, by their links; as many as are connected.
pub(crate) type Names<P> = HashMap<Link, P, RandomState>;

const DIRECT: u64 = 1;
const OUTBOUND: u64 = 2;
const BOOTSTRAP: u64 = 4;
/// How many bits of a link tell its kind; above them is its generation.
const KIND: u32 = 3;

impl Link {
    /// The link of the connection of this generation: below 2^61, and a later one's is greater.
    pub(crate) fn new(generation: u64, kind: PeerKind) -> Self {
        let bit = |is: bool, bit: u64| if is { bit } else { 0 };
        let kind = bit(kind.direct, DIRECT) | bit(kind.outbound, OUTBOUND) | bit(kind.bootstrap, BOOTSTRAP);
        Self(generation << KIND | kind)
    }

    /// Tells all connections apart, be they of one peer or of several.
    pub(crate) fn generation(self) -> u64 {
        self.0 >> KIND
    }

    /// Always forwarded to, never in a mesh.
    pub(crate) fn is_direct(self) -> bool {
        self.0 & DIRECT != 0
    }

    /// Dialled by us.
    pub(crate) fn is_outbound(self) -> bool {
        self.0 & OUTBOUND != 0
    }

    /// Gets control messages only.
    pub(crate) fn is_bootstrap(self) -> bool {
        self.0 & BOOTSTRAP != 0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |is: bool, name: &'static str| if is { name } else { "" };
        let direct = name(self.is_direct(), " direct");
        let outbound = name(self.is_outbound(), " outbound");
        let bootstrap = name(self.is_bootstrap(), " bootstrap");
        write!(f, "#{}{direct}{outbound}{bootstrap}", self.generation())
    }
}

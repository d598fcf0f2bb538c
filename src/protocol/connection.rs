//! A connection of a peer, as topics know it: a small number that tells its kind. Whose it is,
//! [`Connected`](super::connection::Connected) knows.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;

use crate::network::{Direction, PeerKind};

/// One connection of one peer. A later one has a greater link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link(u64);

const DIRECT: u64 = 1;

const OUTBOUND: u64 = 2;

const BOOTSTRAP: u64 = 4;

/// How many bits of a link tell its kind; above them is its generation.
const KIND: u32 = 3;

impl Link {
    /// `generation` is below 2^61, and no other connection's.
    pub(crate) fn new(generation: u64, direction: Direction, kind: PeerKind) -> Self {
        let PeerKind { direct, bootstrap, trusted: _ } = kind;
        let bits = [(direct, DIRECT), (direction.is_outbound(), OUTBOUND), (bootstrap, BOOTSTRAP)];
        let kind = bits.iter().filter(|(is, _)| *is).map(|(_, bit)| bit).sum::<u64>();
        Self(generation << KIND | kind)
    }

    fn generation(self) -> u64 {
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

/// The connected peers by their links. Only looked up: their order in it reaches no output.
#[derive(Debug)]
pub(crate) struct Connected<P> {
    names: HashMap<Link, P, RandomState>,
}

impl<P> Default for Connected<P> {
    fn default() -> Self {
        Self { names: HashMap::default() }
    }
}

impl<P: Clone> Connected<P> {
    pub(crate) fn insert(&mut self, link: Link, peer: P) {
        self.names.insert(link, peer);
    }

    pub(crate) fn remove(&mut self, link: Link) {
        self.names.remove(&link);
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The peers of those of these connections that are up, in their order.
    pub(crate) fn peers(&self, links: &[Link]) -> Vec<P> {
        let mut peers = Vec::with_capacity(links.len());
        peers.extend(links.iter().filter_map(|link| self.names.get(link).cloned()));
        peers
    }

    /// Those of these connections that are up, each with its peer, in their order.
    pub(crate) fn named(&self, links: &mut dyn Iterator<Item = Link>) -> Vec<(P, Link)> {
        links.filter_map(|link| Some((self.names.get(&link)?.clone(), link))).collect()
    }
}

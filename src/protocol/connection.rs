//! A connection of a peer, as topics know it: a small number that tells its kind. Whose it is,
//! [`ConnectionIndex`](super::connection::ConnectionIndex) knows.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;

use crate::network::{Direction, PeerKind};

/// One connection of one peer. A later one has a greater connection_id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

const DIRECT: u64 = 1;

const OUTBOUND: u64 = 2;

const BOOTSTRAP: u64 = 4;

/// How many bits of a connection_id tell its kind; above them is its generation.
const KIND: u32 = 3;

impl ConnectionId {
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

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |is: bool, name: &'static str| if is { name } else { "" };
        let direct = name(self.is_direct(), " direct");
        let outbound = name(self.is_outbound(), " outbound");
        let bootstrap = name(self.is_bootstrap(), " bootstrap");
        write!(f, "#{}{direct}{outbound}{bootstrap}", self.generation())
    }
}

/// The connected peers by their connection_ids. Only looked up: their order in it reaches no output.
#[derive(Debug)]
pub(crate) struct ConnectionIndex<P> {
    names: HashMap<ConnectionId, P, RandomState>,
}

impl<P> Default for ConnectionIndex<P> {
    fn default() -> Self {
        Self { names: HashMap::default() }
    }
}

impl<P: Clone> ConnectionIndex<P> {
    pub(crate) fn insert(&mut self, connection_id: ConnectionId, peer: P) {
        self.names.insert(connection_id, peer);
    }

    pub(crate) fn remove(&mut self, connection_id: ConnectionId) {
        self.names.remove(&connection_id);
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The peers of those of these connections that are up, in their order.
    pub(crate) fn peers(&self, connection_ids: &[ConnectionId]) -> Vec<P> {
        let mut peers = Vec::with_capacity(connection_ids.len());
        peers
            .extend(connection_ids.iter().filter_map(|connection_id| self.names.get(connection_id).cloned()));
        peers
    }

    /// Those of these connections that are up, each with its peer, in their order.
    pub(crate) fn named(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(P, ConnectionId)> {
        connection_ids
            .filter_map(|connection_id| Some((self.names.get(&connection_id)?.clone(), connection_id)))
            .collect()
    }
}

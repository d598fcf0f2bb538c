//! The id by which topics know a connection, and the index from ids to peers. An id is a `u64` that carries the
//! connection's flags, so that a topic stores eight bytes a subscriber.

use std::{collections::HashMap, fmt};

use foldhash::fast::RandomState;

use crate::network::{ConnectionInfo, PeerKind};

/// The id of one connection of one peer. A later connection of the same peer has a greater id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

const OUTBOUND: u64 = 1;
const BOOTSTRAP: u64 = 2;
const FLOODSUB: u64 = 4;

/// The number of low bits that hold flags; the bits above them hold the generation.
const FLAG_BITS: u32 = 3;

impl ConnectionId {
    /// Makes an id. `generation` is below 2^61 and unique among all connections of the engine. Whether the peer is a
    /// direct one is no part of it: that can change.
    pub(crate) fn new(generation: u64, info: &ConnectionInfo) -> Self {
        let PeerKind { direct: _, bootstrap, trusted: _ } = info.kind;
        let bits =
            [(info.direction.is_outbound(), OUTBOUND), (bootstrap, BOOTSTRAP), (info.floodsub, FLOODSUB)];
        let flags = bits.iter().filter(|(is, _)| *is).map(|(_, bit)| bit).sum::<u64>();
        Self(generation << FLAG_BITS | flags)
    }

    fn generation(self) -> u64 {
        self.0 >> FLAG_BITS
    }

    /// Whether this node dialled the connection.
    pub(crate) fn is_outbound(self) -> bool {
        self.0 & OUTBOUND != 0
    }

    /// Whether the peer is a bootstrap peer: it is sent control messages only.
    pub(crate) fn is_bootstrap(self) -> bool {
        self.0 & BOOTSTRAP != 0
    }

    /// Whether the peer speaks floodsub over this connection: it is in no mesh and is sent no control messages.
    pub(crate) fn is_floodsub(self) -> bool {
        self.0 & FLOODSUB != 0
    }

    /// Whether the peer may be sent IHAVE and IWANT.
    pub(crate) fn takes_gossip(self) -> bool {
        self.0 & (BOOTSTRAP | FLOODSUB) == 0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |is: bool, name: &'static str| if is { name } else { "" };
        let outbound = name(self.is_outbound(), " outbound");
        let bootstrap = name(self.is_bootstrap(), " bootstrap");
        let floodsub = name(self.is_floodsub(), " floodsub");
        write!(f, "#{}{outbound}{bootstrap}{floodsub}", self.generation())
    }
}

/// Maps connection ids to peers. It is only used for lookups, so the hash map's order reaches no output.
#[derive(Debug)]
pub(crate) struct ConnectionIndex<P> {
    peers: HashMap<ConnectionId, P, RandomState>,
}

impl<P> Default for ConnectionIndex<P> {
    fn default() -> Self {
        Self { peers: HashMap::default() }
    }
}

impl<P: Clone> ConnectionIndex<P> {
    pub(crate) fn insert(&mut self, connection_id: ConnectionId, peer: P) {
        self.peers.insert(connection_id, peer);
    }

    pub(crate) fn remove(&mut self, connection_id: ConnectionId) {
        self.peers.remove(&connection_id);
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether the connection is open.
    pub(crate) fn contains(&self, connection_id: ConnectionId) -> bool {
        self.peers.contains_key(&connection_id)
    }

    /// The peer of a connection; `None` if it is closed.
    pub(crate) fn peer(&self, connection_id: ConnectionId) -> Option<&P> {
        self.peers.get(&connection_id)
    }

    /// Returns the peers of `connection_ids`, in the same order. Closed connections are left out.
    pub(crate) fn resolve(&self, connection_ids: &[ConnectionId]) -> Vec<P> {
        let mut peers = Vec::with_capacity(connection_ids.len());
        peers
            .extend(connection_ids.iter().filter_map(|connection_id| self.peers.get(connection_id).cloned()));
        peers
    }

    /// Like [`resolve`](Self::resolve), and returns each peer together with its connection id.
    pub(crate) fn resolve_with_ids(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(P, ConnectionId)> {
        connection_ids
            .filter_map(|connection_id| Some((self.peers.get(&connection_id)?.clone(), connection_id)))
            .collect()
    }
}

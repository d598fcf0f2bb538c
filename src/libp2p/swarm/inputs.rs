//! The inputs of one peer on their way from the swarm to the engine. They use up the connection's read budget until the
//! engine has taken them.

use std::{collections::VecDeque, fmt};

use ::libp2p::PeerId;

use crate::{
    libp2p::{connection::read_budget::Permit, network::Libp2pNetwork},
    network::P2pInput,
};

/// Inputs for the engine, all of one peer. Iterates over the inputs that are not taken yet.
///
/// When the engine has no room, keep this value, and pass no later inputs of the same peer to the engine before it.
/// The connection of this peer is then read no further; other peers are not affected. Drop this value when it is empty
/// or when the peer has disconnected.
pub struct Inputs {
    peer: PeerId,
    pending: VecDeque<P2pInput<Libp2pNetwork>>,
    /// `None` for a connection or disconnection.
    permit: Option<Permit>,
    /// Whether the observer has seen the next input.
    observed: bool,
}

impl Inputs {
    pub(in crate::libp2p) fn new(
        peer: PeerId,
        inputs: impl IntoIterator<Item = P2pInput<Libp2pNetwork>>,
        permit: Option<Permit>,
    ) -> Self {
        Self { peer, pending: inputs.into_iter().collect(), permit, observed: false }
    }

    /// The peer of all these inputs.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The next input, which stays in place.
    pub fn front(&self) -> Option<&P2pInput<Libp2pNetwork>> {
        self.pending.front()
    }

    /// Puts an input back that the engine refused. It is the next one again.
    pub fn put_back(&mut self, input: P2pInput<Libp2pNetwork>) {
        self.pending.push_front(input);
    }

    pub(in crate::libp2p) fn is_observed(&self) -> bool {
        self.observed
    }

    /// The observer has seen the next input, which was put back.
    pub(in crate::libp2p) fn set_observed(&mut self) {
        self.observed = true;
    }
}

impl Iterator for Inputs {
    type Item = P2pInput<Libp2pNetwork>;

    fn next(&mut self) -> Option<Self::Item> {
        self.observed = false;
        self.pending.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.pending.len(), Some(self.pending.len()))
    }
}

impl ExactSizeIterator for Inputs {}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Inputs");
        out.field("peer", &self.peer).field("pending", &self.pending).field("permit", &self.permit.is_some());
        out.finish_non_exhaustive()
    }
}

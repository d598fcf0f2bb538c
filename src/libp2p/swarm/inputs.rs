//! What a peer said at once, on its way to the engine. As long as it is held, the peer's connection is
//! read only so far ahead.

use std::{collections::VecDeque, fmt};

use ::libp2p::PeerId;

use crate::{
    libp2p::{connection::read_budget::Debt, network::Libp2pNetwork},
    network::P2pInput,
};

/// Inputs for the engine, all of one peer: an iterator over what was not taken out yet.
///
/// Hold it, and read no others of this peer before it, while the engine has no room: the peer is then
/// slowed down, and nobody else. Drop it when it is empty, or when the peer is gone.
pub struct Inputs {
    peer: PeerId,
    waiting: VecDeque<P2pInput<Libp2pNetwork>>,
    /// None for a connection's coming or going.
    debt: Option<Debt>,
    /// Whether the owner has shown the next one already.
    announced: bool,
}

impl Inputs {
    pub(in crate::libp2p) fn new(
        peer: PeerId,
        inputs: impl IntoIterator<Item = P2pInput<Libp2pNetwork>>,
        debt: Option<Debt>,
    ) -> Self {
        Self { peer, waiting: inputs.into_iter().collect(), debt, announced: false }
    }

    /// Whom they are of.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The next one, which stays.
    pub fn front(&self) -> Option<&P2pInput<Libp2pNetwork>> {
        self.waiting.front()
    }

    pub(in crate::libp2p) fn is_announced(&self) -> bool {
        self.announced
    }

    /// The next one was shown, but stays.
    pub(in crate::libp2p) fn announced(&mut self) {
        self.announced = true;
    }
}

impl Iterator for Inputs {
    type Item = P2pInput<Libp2pNetwork>;

    fn next(&mut self) -> Option<Self::Item> {
        self.announced = false;
        self.waiting.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.waiting.len(), Some(self.waiting.len()))
    }
}

impl ExactSizeIterator for Inputs {}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Inputs");
        out.field("waiting", &self.waiting).field("debt", &self.debt.is_some()).finish()
    }
}

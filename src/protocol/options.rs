//! Options of a node in addition to the protocol parameters.

use std::time::Duration;

use derive_where::derive_where;

use crate::network::Network;

/// Options of a [`Node`](crate::protocol::Node).
#[derive_where(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeOptions<N: Network> {
    /// The id of this node. The node ignores it in peer exchange. `None` disables the check.
    pub self_peer: Option<N::Peer>,
    /// The seed of all random choices.
    pub seed: u64,
    /// The time for which a batch of messages is collected before its validation. `None` validates each message at
    /// once.
    pub batch_interval: Option<Duration>,
}

impl<N: Network> NodeOptions<N> {
    /// Applies `change` and returns the result: `NodeOptions::default().with(|o| o.seed = 1)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

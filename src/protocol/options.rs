//! The options of a node that are no protocol parameters.

use std::time::Duration;

use derive_where::derive_where;

use crate::network::Network;

/// The options of a [`Node`](crate::protocol::Node).
#[derive_where(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeOptions<N: Network> {
    /// The id of this node. The node ignores itself when a peer advertises it by px.
    pub self_peer: Option<N::Peer>,
    /// The seed of all random choices.
    pub seed: u64,
    /// Validate messages in batches, each of which stays open for this time. `None` validates each message at once.
    pub batch_interval: Option<Duration>,
}

impl<N: Network> NodeOptions<N> {
    /// RecycleBins these options with `change` applied: `NodeOptions::default().with(|o| o.seed = 1)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

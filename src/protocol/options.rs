//! TODO header.

use std::time::Duration;

use derive_where::derive_where;

use crate::network::Network;

/// How an engine is set up.
#[derive_where(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeOptions<N: Network> {
    /// This node's own peer: never connected to when peers advertise it.
    pub self_peer: Option<N::Peer>,
    /// Where every random choice comes from.
    pub seed: u64,
    /// Judge messages in batches, each open for this long; one by one when `None`.
    pub batch_interval: Option<Duration>,
}

impl<N: Network> NodeOptions<N> {
    /// RecycleBins these options with `change` applied: `NodeOptions::default().with(|o| o.seed = 1)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

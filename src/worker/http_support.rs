//! What only the HTTP scopes need of an engine.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Worker;
use crate::{metrics::StreamItem, network::Network};

impl<N: Network> Worker<N> {
    /// The permits for long lists, which all HTTP workers of this engine share.
    pub(crate) fn list_permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.shared.list_permits)
    }

    /// Counts what a reader of the stream did not get.
    pub(crate) fn count_unstreamed(&self, item: StreamItem, count: u64) {
        self.shared.metrics.unstreamed(item, count);
    }
}

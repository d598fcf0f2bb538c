//! Functions of an engine that only the HTTP scopes need.

use super::Worker;
use crate::{metrics::StreamItem, network::Network};

impl<N: Network> Worker<N> {
    /// Why a topic can't be joined, if it can't ([`Network::refuse_topic`]).
    pub(crate) fn refuse_topic(&self, topic: &N::Topic) -> Option<String> {
        self.shared.network.refuse_topic(topic)
    }

    /// Counts what a reader of the stream did not get.
    pub(crate) fn count_unstreamed(&self, item: StreamItem, count: u64) {
        self.shared.metrics.unstreamed(item, count);
    }
}

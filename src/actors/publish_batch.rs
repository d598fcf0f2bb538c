//! The publications of one batch. They may belong to topics of several arbiters; what these send is collected and leaves
//! together.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{router::messages::RouterItem, shared::Shared};
use crate::{
    network::Network,
    protocol::output::{pending::PendingOutput, spread::spread},
};

/// Each publication of the batch owns a share until it is handled or lost. The last one sends what all of them left here.
pub(crate) struct PublishBatch<N: Network> {
    outputs: Mutex<Vec<PendingOutput<N>>>,
    /// Weak, because queued publications are part of it.
    shared: Weak<Shared<N>>,
}

impl<N: Network> PublishBatch<N> {
    pub(crate) fn new(shared: &Arc<Shared<N>>) -> Self {
        Self { outputs: Mutex::default(), shared: Arc::downgrade(shared) }
    }

    /// Adds what a publication sends.
    pub(super) fn add(&self, outputs: impl Iterator<Item = PendingOutput<N>>) {
        // No code panics while it has the lock, and a list of outputs is whole after each.
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).extend(outputs);
    }
}

impl<N: Network> Drop for PublishBatch<N> {
    fn drop(&mut self) {
        let outputs = std::mem::take(self.outputs.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(shared) = self.shared.upgrade().filter(|_| !outputs.is_empty()) {
            let outputs = spread(outputs).into_iter();
            shared.router.extend(outputs.map(|output| RouterItem::p2p(output, &shared.network)));
        }
    }
}

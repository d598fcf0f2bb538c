//! The messages of one topic whose verdict is awaited.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, FullMessage, Network},
    timestamp::Timestamp,
};

/// The messages whose verdict is awaited, each once, with its senders and its time of arrival: those under asynchronous
/// validation and those in a batch.
#[derive_where(Debug)]
pub(super) struct PendingValidations<N: Network> {
    max_co_senders: usize,
    entries: BTreeMap<Arc<FullMessage<N>>, (Delivery<N>, Timestamp)>,
}

impl<N: Network> PendingValidations<N> {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { max_co_senders: bounds.max_co_senders, entries: BTreeMap::new() }
    }

    /// Adds the senders of a copy to a message that is under validation. Returns false if it is not.
    pub(super) fn join(&mut self, delivery: &Delivery<N>) -> bool {
        let Some((pending, _)) = self.entries.get_mut(&delivery.message) else { return false };
        pending.join(delivery.clone(), self.max_co_senders);
        true
    }

    /// Adds a message. Returns false if there are `max`.
    pub(super) fn add(&mut self, delivery: Delivery<N>, now: Timestamp, max: usize) -> bool {
        let below_limit = self.entries.len() < max;
        if below_limit {
            self.entries.insert(Arc::clone(&delivery.message), (delivery, now));
        }
        below_limit
    }

    pub(super) fn get(&self, message: &Arc<FullMessage<N>>) -> Option<&Delivery<N>> {
        self.entries.get(message).map(|(delivery, _)| delivery)
    }

    pub(super) fn remove(&mut self, message: &Arc<FullMessage<N>>) -> Option<(Delivery<N>, Timestamp)> {
        self.entries.remove(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

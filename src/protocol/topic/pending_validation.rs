//! The messages of one topic under asynchronous validation.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, FullMessage, Network},
    timestamp::Timestamp,
};

/// The messages under validation, each once, with its senders and its time of arrival.
#[derive_where(Debug)]
pub(super) struct PendingValidations<N: Network> {
    max: usize,
    max_co_senders: usize,
    entries: BTreeMap<Arc<FullMessage<N>>, (Delivery<N>, Timestamp)>,
}

impl<N: Network> PendingValidations<N> {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let Bounds { max_validating_per_topic, max_co_senders, .. } = *bounds;
        Self { max: max_validating_per_topic, max_co_senders, entries: BTreeMap::new() }
    }

    /// Adds the senders of a copy to a message that is under validation. Returns false if it is not.
    pub(super) fn join(&mut self, delivery: &Delivery<N>) -> bool {
        let Some((pending, _)) = self.entries.get_mut(&delivery.message) else { return false };
        pending.join(delivery.clone(), self.max_co_senders);
        true
    }

    /// Adds a message. Returns false if `max_validating_per_topic` is reached.
    pub(super) fn add(&mut self, delivery: Delivery<N>, now: Timestamp) -> bool {
        let below_limit = self.entries.len() < self.max;
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

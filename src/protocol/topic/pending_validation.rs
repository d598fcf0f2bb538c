//! The messages of one topic that wait for a verdict that comes later. Bounded; asks nobody.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, FullMessage, Network},
    timestamp::Timestamp,
};

/// Each waiting message once, with those who delivered it and when it first came.
#[derive_where(Debug)]
pub(super) struct PendingValidations<N: Network> {
    max: usize,
    max_co_senders: usize,
    waiting: BTreeMap<Arc<FullMessage<N>>, (Delivery<N>, Timestamp)>,
}

impl<N: Network> PendingValidations<N> {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let Bounds { max_validating_per_topic, max_co_senders, .. } = *bounds;
        Self { max: max_validating_per_topic, max_co_senders, waiting: BTreeMap::new() }
    }

    /// Adds the deliverers to those of the same message, if that waits already.
    pub(super) fn join(&mut self, delivery: &Delivery<N>) -> bool {
        let Some((waiting, _)) = self.waiting.get_mut(&delivery.message) else { return false };
        waiting.join(delivery.clone(), self.max_co_senders);
        true
    }

    /// Lets a message wait, if there is room.
    pub(super) fn add(&mut self, delivery: Delivery<N>, now: Timestamp) -> bool {
        let room = self.waiting.len() < self.max;
        if room {
            self.waiting.insert(Arc::clone(&delivery.message), (delivery, now));
        }
        room
    }

    pub(super) fn get(&self, message: &Arc<FullMessage<N>>) -> Option<&Delivery<N>> {
        self.waiting.get(message).map(|(delivery, _)| delivery)
    }

    pub(super) fn remove(&mut self, message: &Arc<FullMessage<N>>) -> Option<(Delivery<N>, Timestamp)> {
        self.waiting.remove(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

//! Messages that wait for one common verdict. Gathers; never judges.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use derive_where::derive_where;

use super::Timestamp;
use crate::network::{Delivery, FullMessage, Network};

/// The pending batch: each distinct message once, by topic, id and content.
#[derive_where(Debug)]
pub(crate) struct Batch<N: Network> {
    interval: Duration,
    max_items: usize,
    /// The entries' order is that of [`FullMessage`]: topic, id, content.
    entries: BTreeMap<Arc<FullMessage<N>>, Delivery<N>>,
    /// When the verdict is due.
    deadline: Option<Timestamp>,
}

impl<N: Network> Batch<N> {
    pub(crate) fn new(interval: Duration, max_items: usize) -> Self {
        Self { interval, max_items, entries: BTreeMap::new(), deadline: None }
    }

    /// Adds a delivery. The first one opens the batch; when it is full the verdict is due at once.
    pub(crate) fn add(&mut self, delivery: Delivery<N>, now: Timestamp) {
        self.deadline.get_or_insert(now.after(self.interval));
        match self.entries.get_mut(&delivery.message) {
            Some(pending) => pending.join(delivery),
            None => {
                self.entries.insert(Arc::clone(&delivery.message), delivery);
            }
        }
        if self.entries.len() >= self.max_items {
            self.deadline = Some(now);
        }
    }

    /// When the verdict is due, if anything waits for it.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Takes all that is pending, in order.
    pub(crate) fn take(&mut self) -> Vec<Delivery<N>> {
        self.deadline = None;
        std::mem::take(&mut self.entries).into_values().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

//! The pending batch: messages that are validated together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, FullMessage, Network},
    timestamp::Timestamp,
};

/// The pending batch: each distinct message once, by topic, id and content.
#[derive_where(Debug)]
pub(crate) struct Batch<N: Network> {
    interval: Duration,
    max_items: usize,
    /// A quarter of the bytes of all inputs, so that inputs are not refused for the rest of the interval.
    max_bytes: usize,
    /// The bytes that are charged for the entries.
    bytes: usize,
    max_co_senders: usize,
    /// Sorted as [`FullMessage`] is: by topic, id and content.
    entries: BTreeMap<Arc<FullMessage<N>>, Delivery<N>>,
    /// The time at which the batch is validated.
    deadline: Option<Timestamp>,
    /// The number of messages of the previous batch that are being validated. This batch waits for them.
    in_validation: usize,
}

impl<N: Network> Batch<N> {
    pub(crate) fn new(interval: Duration, bounds: &Bounds) -> Self {
        let Bounds { max_batch_items: max_items, max_co_senders, max_input_bytes, .. } = *bounds;
        Self {
            interval,
            max_items,
            max_bytes: max_input_bytes / 4,
            bytes: 0,
            max_co_senders,
            entries: BTreeMap::new(),
            deadline: None,
            in_validation: 0,
        }
    }

    /// Adds a delivery, and returns false if the batch is full. The first delivery starts the interval; a full batch is
    /// due at once.
    pub(crate) fn add(&mut self, delivery: Delivery<N>, now: Timestamp) -> bool {
        if let Some(pending) = self.entries.get_mut(&delivery.message) {
            pending.join(delivery, self.max_co_senders);
            return true;
        }
        if self.entries.len() >= self.max_items {
            return false;
        }
        self.deadline.get_or_insert(now.after(self.interval));
        self.bytes += delivery.charge.bytes();
        self.entries.insert(Arc::clone(&delivery.message), delivery);
        if self.entries.len() >= self.max_items || self.bytes > self.max_bytes {
            self.deadline = Some(now);
        }
        true
    }

    /// The time at which the batch is due; `None` if it is empty or the previous batch is being validated.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.in_validation == 0)
    }

    /// Takes all pending deliveries for validation, sorted. Returns none while the previous batch is being validated.
    pub(crate) fn take(&mut self) -> Vec<Delivery<N>> {
        if self.in_validation > 0 {
            return Vec::new();
        }
        self.deadline = None;
        self.bytes = 0;
        self.in_validation = self.entries.len();
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// The validation of this number of messages of the batch that was taken has ended.
    pub(crate) fn validated(&mut self, count: usize) {
        self.in_validation = self.in_validation.saturating_sub(count);
    }

    /// The number of messages that are pending or being validated.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.in_validation
    }
}

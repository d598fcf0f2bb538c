//! Messages that wait for one common verdict. Gathers; never judges.

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
    max_co_senders: usize,
    /// The entries' order is that of [`FullMessage`]: topic, id, content.
    entries: BTreeMap<Arc<FullMessage<N>>, Delivery<N>>,
    /// When the verdict is due.
    deadline: Option<Timestamp>,
    /// So many of another batch are being judged: this one waits.
    judging: usize,
}

impl<N: Network> Batch<N> {
    pub(crate) fn new(interval: Duration, bounds: &Bounds) -> Self {
        let Bounds { max_batch_items: max_items, max_co_senders, .. } = *bounds;
        Self { interval, max_items, max_co_senders, entries: BTreeMap::new(), deadline: None, judging: 0 }
    }

    /// Adds a delivery, if there is room. The first one opens the batch; when it is full the verdict is due
    /// at once.
    pub(crate) fn add(&mut self, delivery: Delivery<N>, now: Timestamp) -> bool {
        if let Some(pending) = self.entries.get_mut(&delivery.message) {
            pending.join(delivery, self.max_co_senders);
            return true;
        }
        if self.entries.len() >= self.max_items {
            return false;
        }
        self.deadline.get_or_insert(now.after(self.interval));
        self.entries.insert(Arc::clone(&delivery.message), delivery);
        if self.entries.len() >= self.max_items {
            self.deadline = Some(now);
        }
        true
    }

    /// When the verdict is due, if anything waits for it and nothing else is being judged.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.judging == 0)
    }

    /// Takes all that is pending, in order, to be judged; nothing while the last that was taken is.
    pub(crate) fn take(&mut self) -> Vec<Delivery<N>> {
        if self.judging > 0 {
            return Vec::new();
        }
        self.deadline = None;
        self.judging = self.entries.len();
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// What was taken has its verdicts.
    pub(crate) fn judged(&mut self) {
        self.judging = 0;
    }

    /// How many wait or are being judged.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.judging
    }
}

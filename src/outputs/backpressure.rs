//! The fill level of an output stream. Admission control reads one flag that seldom changes, not the length that
//! changes with each output.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;

use crate::admission::Admission;

/// The length of a queue and whether it has reached its limit.
pub(super) struct Backpressure {
    len: AtomicUsize,
    /// Every input reads it: padded, so that writes to `len` do not evict it from other cores' caches.
    full: CachePadded<AtomicBool>,
    limit: usize,
    /// Its waiters are notified when the queue is no longer full.
    admission: Arc<Admission>,
}

impl Backpressure {
    /// An empty queue that is full from `limit` items on.
    pub(super) fn new(limit: usize, admission: Arc<Admission>) -> Self {
        Self { len: AtomicUsize::new(0), full: AtomicBool::new(limit == 0).into(), limit, admission }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Sets the length. The caller has the queue's lock.
    pub(super) fn set(&self, len: usize) {
        self.len.store(len, Ordering::Release);
        let full = len >= self.limit;
        if full != self.is_full() {
            self.full.store(full, Ordering::Release);
            if !full {
                self.admission.notify_waiters();
            }
        }
    }
}

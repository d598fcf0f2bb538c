//! The fill level of an output stream. Admission control reads one flag that seldom changes, not the length that
//! changes with each output.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;

use crate::admission::Admission;

/// The length of a queue, its bytes, and whether it has reached one of its limits.
pub(super) struct Backpressure {
    len: AtomicUsize,
    bytes: AtomicUsize,
    /// Every input reads it: padded, so that writes to `len` do not evict it from other cores' caches.
    full: CachePadded<AtomicBool>,
    limit: usize,
    max_bytes: usize,
    /// Its waiters are notified when the queue is no longer full.
    admission: Arc<Admission>,
}

impl Backpressure {
    /// An empty queue that is full from `limit` items or `max_bytes` bytes on.
    pub(super) fn new(limit: usize, max_bytes: usize, admission: Arc<Admission>) -> Self {
        let full = AtomicBool::new(limit == 0 || max_bytes == 0).into();
        Self { len: AtomicUsize::new(0), bytes: AtomicUsize::new(0), full, limit, max_bytes, admission }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Sets the length and the bytes. The caller has the queue's lock.
    pub(super) fn set(&self, len: usize, bytes: usize) {
        self.len.store(len, Ordering::Release);
        self.bytes.store(bytes, Ordering::Release);
        let full = len >= self.limit || bytes >= self.max_bytes;
        if full != self.is_full() {
            self.full.store(full, Ordering::Release);
            if !full {
                self.admission.notify_waiters();
            }
        }
    }
}

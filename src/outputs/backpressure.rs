//! The fill level of an output stream. Admission control reads one flag that seldom changes, not the length that
//! changes with each output.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;

use crate::admission::Admission;

/// The number of queues for the application that are full, so that messages may have to be refused. Admission reads it for
/// each message, and looks for the queue of the message's topic only while it is not 0.
#[derive(Debug, Default)]
pub(crate) struct FullQueues(CachePadded<AtomicUsize>);

impl FullQueues {
    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// A queue has become full, or is full no longer.
    pub(super) fn changed(&self, full: bool) {
        if full {
            self.0.fetch_add(1, Ordering::AcqRel);
        } else {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

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
    /// Where the queue is counted while it is full, if it is for the application.
    full_queues: Option<Arc<FullQueues>>,
}

impl Backpressure {
    /// An empty queue that is full from `limit` items or `max_bytes` bytes on.
    pub(super) fn new(limit: usize, max_bytes: usize, admission: Arc<Admission>) -> Self {
        let full = AtomicBool::new(limit == 0 || max_bytes == 0).into();
        let (len, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { len, bytes, full, limit, max_bytes, admission, full_queues: None }
    }

    /// Counts the queue in `full_queues` while it is full.
    pub(super) fn counted_in(self, full_queues: Arc<FullQueues>) -> Self {
        Self { full_queues: Some(full_queues), ..self }
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
            self.full_queues.iter().for_each(|queues| queues.changed(full));
            if !full {
                self.admission.notify_waiters();
            }
        }
    }
}

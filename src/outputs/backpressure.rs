//! How full an output stream is, for those who would fill it: they look at one flag that seldom changes, and not at
//! what changes with each output. Holds nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;

use crate::admission::Admission;

/// How much waits in a stream, and whether that is a lot.
pub(super) struct Backpressure {
    len: AtomicUsize,
    /// Looked at for each input, and so apart from what changes with each.
    high: CachePadded<AtomicBool>,
    /// It is high from here on.
    mark: usize,
    /// What is refused meanwhile waits for room here.
    admission: Arc<Admission>,
}

impl Backpressure {
    pub(super) fn new(mark: usize, admission: Arc<Admission>) -> Self {
        let high = AtomicBool::new(mark == 0).into();
        Self { len: AtomicUsize::new(0), high, mark, admission }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn is_high(&self) -> bool {
        self.high.load(Ordering::Acquire)
    }

    /// So much waits now. By whoever holds the stream's lock.
    pub(super) fn set(&self, len: usize) {
        self.len.store(len, Ordering::Release);
        let high = len >= self.mark;
        if high != self.is_high() {
            self.high.store(high, Ordering::Release);
            if !high {
                self.admission.room_made();
            }
        }
    }
}

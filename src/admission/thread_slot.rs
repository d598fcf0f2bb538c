//! A small per-thread index, by which counters are sharded so that threads seldom write to the same cache line.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
};

/// The number of slots, a power of two. Threads beyond this number share a slot with others.
pub(super) const THREAD_SLOTS: usize = 16;

thread_local! {
    static CURRENT: Cell<Option<ThreadSlot>> = const { Cell::new(None) };
}

/// The slot of a thread. Threads get slots round-robin, at their first use of [`current`](Self::current).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadSlot(u8);

impl ThreadSlot {
    /// The slot of the calling thread.
    #[inline]
    pub(super) fn current() -> Self {
        CURRENT.get().unwrap_or_else(Self::assign)
    }

    #[cold]
    fn assign() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let slot = Self(NEXT.fetch_add(1, Ordering::Relaxed));
        CURRENT.set(Some(slot));
        slot
    }

    /// An index below [`THREAD_SLOTS`].
    #[inline]
    pub(super) fn index(self) -> usize {
        usize::from(self.0) % THREAD_SLOTS
    }
}

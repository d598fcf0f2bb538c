//! Which of a few threads this is. What threads write often is apart by this number, so that they seldom write where
//! others read. Counts nothing.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
};

/// Threads that do not share a thread_slot; a power of two.
pub(crate) const THREAD_SLOTS: usize = 16;

thread_local! {
    static OWN: Cell<Option<ThreadSlot>> = const { Cell::new(None) };
}

/// The number of a thread. Threads take them in turn; some share one where there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadSlot(u8);

impl ThreadSlot {
    #[inline]
    pub(crate) fn own() -> Self {
        OWN.get().unwrap_or_else(Self::assign)
    }

    #[cold]
    fn assign() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let own = Self(NEXT.fetch_add(1, Ordering::Relaxed));
        OWN.set(Some(own));
        own
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) % THREAD_SLOTS
    }
}

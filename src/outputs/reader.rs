//! TODO header.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::KEPT;

/// The reader's side of a queue.
#[derive(Default)]
pub(in crate::outputs) struct Reader {
    pub(super) reader: Option<Waker>,
    pub(super) closed: bool,
}

impl Reader {
    pub(in crate::outputs) fn poll<T>(&mut self, next: Option<T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if next.is_some() || self.closed {
            return Poll::Ready(next);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Wakes the reader, outside the lock.
pub(in crate::outputs) fn wake<T>(
    mut guard: MutexGuard<'_, T>,
    reader: impl FnOnce(&mut T) -> Option<Waker>,
) {
    let reader = reader(&mut guard);
    drop(guard);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// The first item. A burst once read leaves no room behind: each peer that connects is told of all topics.
pub(in crate::outputs) fn take_first<T>(items: &mut VecDeque<T>) -> Option<T> {
    let first = items.pop_front();
    if items.is_empty() && items.capacity() > 2 * KEPT {
        items.shrink_to(KEPT);
    }
    first
}

/// Nothing panics while one of these is held.
pub(in crate::outputs) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

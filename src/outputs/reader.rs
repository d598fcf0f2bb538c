//! The reading side that the queues share: the reader's waker, the closed flag, and how a queue gives capacity
//! back.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::RETAINED_CAPACITY;

/// The reader of a queue.
#[derive(Default)]
pub(super) struct Reader {
    waker: Option<Waker>,
    closed: bool,
}

impl Reader {
    /// Returns `next` if there is one or the queue is closed; else registers the task of `cx` to be woken.
    pub(super) fn poll<T>(&mut self, next: Option<T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if next.is_some() || self.closed {
            return Poll::Ready(next);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The task to wake, if one waits.
    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Wakes a reader after the lock is released.
pub(super) fn wake<T>(mut guard: MutexGuard<'_, T>, waker: impl FnOnce(&mut T) -> Option<Waker>) {
    let waker = waker(&mut guard);
    drop(guard);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Removes the first item. Frees the capacity of an earlier burst once the queue is empty: bursts are long because each
/// new peer is sent all our subscriptions.
pub(super) fn take_first<T>(items: &mut VecDeque<T>) -> Option<T> {
    let first = items.pop_front();
    if items.is_empty() && items.capacity() > 2 * RETAINED_CAPACITY {
        items.shrink_to(RETAINED_CAPACITY);
    }
    first
}

/// Locks a queue. No code panics while it has the lock, so a poisoned queue is consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

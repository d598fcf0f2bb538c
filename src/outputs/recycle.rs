//! Copies of messages that are of no more use go back to the threads that brought them, and are freed there: malloc's
//! free of another thread's memory waits for that thread's lock. Bounded, and empty after each heartbeat.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_utils::CachePadded;
use derive_where::derive_where;

use crate::{
    admission::thread_slot::{THREAD_SLOTS, ThreadSlot},
    network::{FullMessage, Network},
};

/// So many wait for one thread, at most; what is more is freed where it is.
const KEPT: usize = 512;
/// Freeing one that is larger costs little beside reading it.
const MAX_BYTES: usize = 4096;

/// All of them together.
pub(crate) const MAX_RECYCLED: usize = THREAD_SLOTS * KEPT;

/// A copy of a message that was had already.
type Copy<N> = Arc<FullMessage<N>>;

/// What waits for the threads it came from.
#[derive_where(Default)]
pub(crate) struct RecycleBins<N: Network> {
    bins: [CachePadded<Bin<N>>; THREAD_SLOTS],
}

#[derive_where(Default)]
struct Bin<N: Network> {
    filled: AtomicBool,
    copies: Mutex<Vec<Copy<N>>>,
}

/// What one thread gives back, gathered.
#[derive_where(Default)]
pub(crate) struct ToRecycle<N: Network> {
    by_till: [Vec<Copy<N>>; THREAD_SLOTS],
}

impl<N: Network> ToRecycle<N> {
    /// Keeps a copy of so many bytes that came from another thread; frees it if it came from this one.
    #[inline]
    pub(crate) fn add(&mut self, copy: Copy<N>, bytes: usize, from: ThreadSlot) {
        if from != ThreadSlot::current() && bytes <= MAX_BYTES {
            self.by_till[from.index()].push(copy);
        }
    }
}

impl<N: Network> RecycleBins<N> {
    /// Gives all of them back.
    pub(crate) fn give(&self, spent: &mut ToRecycle<N>) {
        let filled = spent.by_till.iter_mut().zip(&self.bins).filter(|(copies, _)| !copies.is_empty());
        filled.for_each(|(copies, bin)| bin.fill(copies));
    }

    /// Frees what has come back to this thread.
    #[inline]
    pub(crate) fn take(&self, own: ThreadSlot) {
        self.bins[own.index()].empty();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.bins.iter().map(|bin| bin.lock().len()).sum()
    }

    /// Frees what nobody came for.
    pub(crate) fn clear(&self) {
        self.bins.iter().for_each(|bin| bin.empty());
    }
}

impl<N: Network> Bin<N> {
    fn fill(&self, copies: &mut Vec<Copy<N>>) {
        let mut held = self.lock();
        let room = KEPT.saturating_sub(held.len()).min(copies.len());
        held.extend(copies.drain(..room));
        self.filled.store(true, Ordering::Release);
        drop(held);
        copies.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Copy<N>>> {
        // Nothing panics while it is held.
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn empty(&self) {
        if self.filled.load(Ordering::Acquire) {
            self.free();
        }
    }

    #[cold]
    fn free(&self) {
        let mut held = self.lock();
        let copies = std::mem::take(&mut *held);
        self.filled.store(false, Ordering::Release);
        drop(held);
        drop(copies);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Weak, thread};

    use super::*;
    use crate::plain::PlainNetwork;

    /// What another thread does with `count` copies that came from this one, and whether they are there still.
    fn handled_elsewhere(
        returns: &RecycleBins<PlainNetwork>,
        count: u64,
        bytes: usize,
    ) -> Vec<Weak<FullMessage<PlainNetwork>>> {
        let from = ThreadSlot::current();
        let copies: Vec<_> =
            (0..count).map(|number| Arc::new(PlainNetwork::message("a", number, "x"))).collect();
        let known = copies.iter().map(Arc::downgrade).collect();
        let handle = move || {
            let mut spent = ToRecycle::default();
            copies.into_iter().for_each(|copy| spent.add(copy, bytes, from));
            returns.give(&mut spent);
        };
        thread::scope(|scope| scope.spawn(handle).join()).expect("no panic");
        known
    }

    fn left(known: &[Weak<FullMessage<PlainNetwork>>]) -> usize {
        known.iter().filter(|copy| copy.strong_count() > 0).count()
    }

    #[test]
    fn copies_wait_for_the_thread_they_came_from() {
        let returns = RecycleBins::default();
        let known = handled_elsewhere(&returns, 3, 100);
        assert_eq!(left(&known), 3);
        returns.take(ThreadSlot::current());
        assert_eq!(left(&known), 0);
    }

    #[test]
    fn what_is_too_much_or_too_large_waits_for_nobody() {
        let returns = RecycleBins::default();
        let known = handled_elsewhere(&returns, KEPT as u64 + 10, 100);
        assert_eq!(left(&known), KEPT);
        assert_eq!(returns.len(), KEPT);
        returns.clear();
        assert_eq!((left(&known), returns.len()), (0, 0));
        assert_eq!(left(&handled_elsewhere(&returns, 1, MAX_BYTES + 1)), 0);
    }

    #[test]
    fn what_came_from_here_is_freed_here() {
        let copy = Arc::new(PlainNetwork::message("a", 1, "x"));
        let known = Arc::downgrade(&copy);
        ToRecycle::default().add(copy, 1, ThreadSlot::current());
        assert_eq!(known.strong_count(), 0);
    }
}

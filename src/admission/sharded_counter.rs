//! Counts the queued inputs of all peers. Each thread slot prefetches a share of the count for many inputs and keeps
//! what is released, so that threads seldom write to the shared total.

use crossbeam_utils::CachePadded;

use super::{
    amount::{AtomicItemsAndBytes, ItemsAndBytes},
    thread_slot::{THREAD_SLOTS, ThreadSlot},
};
use crate::limits::Bounds;

/// The prefetch is sized so that all thread slots together have at most one sixteenth of the limits prefetched. Only
/// [`release`](ShardedCounter::release) enforces this: slots of threads that never release may exceed it, if their
/// inputs differ much in size.
const MAX_PREFETCHED_PART: usize = 16;

/// A count of inputs, exact in sum: the queued amount is the total less what the thread slots have prefetched.
#[derive(Debug)]
pub(super) struct ShardedCounter {
    /// The queued amount and all prefetched amounts.
    total: CachePadded<AtomicItemsAndBytes>,
    /// The part of the total that each thread slot may hand out before it touches the total again.
    prefetched: [CachePadded<AtomicItemsAndBytes>; THREAD_SLOTS],
    /// The amount that a slot takes from the total at once. A release leaves a slot at most twice as much.
    prefetch: ItemsAndBytes,
}

impl ShardedCounter {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let prefetch = |bound: usize| bound / (2 * MAX_PREFETCHED_PART * THREAD_SLOTS);
        Self {
            total: CachePadded::default(),
            prefetched: std::array::from_fn(|_| CachePadded::default()),
            prefetch: ItemsAndBytes::of(prefetch(bounds.max_input_items), prefetch(bounds.max_input_bytes)),
        }
    }

    /// The queued amount. It may be too small while other threads change it.
    pub(super) fn queued(&self) -> ItemsAndBytes {
        let total = self.total.amount();
        let prefetched =
            self.prefetched.iter().fold(ItemsAndBytes::default(), |sum, slot| sum.plus(slot.amount()));
        let [items, bytes] =
            [ItemsAndBytes::items, ItemsAndBytes::bytes].map(|of| of(total).saturating_sub(of(prefetched)));
        ItemsAndBytes::of(items, bytes)
    }

    /// An amount that is not below the queued one, read from one atomic that seldom changes.
    #[inline]
    pub(super) fn upper_bound(&self) -> ItemsAndBytes {
        self.total.amount()
    }

    /// Counts an input. With `headroom`, an empty slot prefetches for the next inputs too.
    #[inline]
    pub(super) fn add(&self, input: ItemsAndBytes, headroom: bool) {
        let prefetched = &self.prefetched[ThreadSlot::current().index()];
        if !prefetched.try_remove(input) {
            self.refill(input, prefetched, headroom);
        }
    }

    #[cold]
    fn refill(&self, input: ItemsAndBytes, prefetched: &AtomicItemsAndBytes, headroom: bool) {
        let prefetch = if headroom { self.prefetch } else { ItemsAndBytes::default() };
        self.total.add(input.plus(prefetch));
        prefetched.add(prefetch);
    }

    /// Stops counting inputs that were [added](Self::add).
    #[inline]
    pub(super) fn release(&self, inputs: ItemsAndBytes) {
        let prefetched = &self.prefetched[ThreadSlot::current().index()];
        if self.prefetch.plus(self.prefetch).minus(prefetched.add(inputs)).is_none() {
            self.total.remove(prefetched.remove_all());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(items: usize) -> ShardedCounter {
        let bounds = Bounds { max_input_items: items, max_input_bytes: items * 100, ..Bounds::default() };
        ShardedCounter::new(&bounds)
    }

    #[test]
    fn the_count_is_exact_and_the_prefetched_amounts_are_small() {
        let counter = counter(8192);
        let (kept, released) = (ItemsAndBytes::one(70), ItemsAndBytes::one(1000));
        let threads = 4;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..500 {
                        [kept, released, released].iter().for_each(|input| counter.add(*input, true));
                        [released, released].iter().for_each(|input| counter.release(*input));
                    }
                });
            }
        });
        let queued = ItemsAndBytes::of(500 * threads, 500 * threads * 70);
        assert_eq!(counter.queued(), queued);
        let prefetched = counter.upper_bound().minus(queued).expect("not below the queued amount");
        assert!(
            prefetched.items() <= 8192 / MAX_PREFETCHED_PART
                && prefetched.bytes() <= 819_200 / MAX_PREFETCHED_PART,
            "{prefetched:?}"
        );
    }

    #[test]
    fn nothing_is_prefetched_without_headroom_or_from_small_limits() {
        for counter in [counter(8192), counter(2)] {
            let headroom = counter.prefetch == ItemsAndBytes::default();
            counter.add(ItemsAndBytes::one(10), headroom);
            assert_eq!(counter.upper_bound(), ItemsAndBytes::one(10));
            counter.release(ItemsAndBytes::one(10));
            assert_eq!(counter.queued(), ItemsAndBytes::default());
        }
    }
}

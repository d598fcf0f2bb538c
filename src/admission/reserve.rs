//! What waits of all peers together, counted so that threads seldom write where others read: each takes room for many
//! inputs at once, and keeps what comes back for those that follow. Refuses nothing: that is admission's.

use crossbeam_utils::CachePadded;

use super::{
    amount::{AtomicItemsAndBytes, ItemsAndBytes},
    thread_slot::{THREAD_SLOTS, ThreadSlot},
};
use crate::limits::Bounds;

/// All tills together hold no more than one in so many of what may wait.
const SHARE: usize = 16;

/// What waits, and what is set aside for what comes next.
#[derive(Debug)]
pub(super) struct ShardedCounter {
    /// All of it.
    total: CachePadded<AtomicItemsAndBytes>,
    /// What is set aside, by threads.
    tills: [CachePadded<AtomicItemsAndBytes>; THREAD_SLOTS],
    /// What is set aside at once; a thread_slot keeps twice that at most.
    lot: ItemsAndBytes,
}

impl ShardedCounter {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let lot = |bound: usize| bound / (2 * SHARE * THREAD_SLOTS);
        Self {
            total: CachePadded::default(),
            tills: std::array::from_fn(|_| CachePadded::default()),
            lot: ItemsAndBytes::of(lot(bounds.max_input_items), lot(bounds.max_input_bytes)),
        }
    }

    /// What waits. While it changes it may seem less.
    pub(super) fn waiting(&self) -> ItemsAndBytes {
        let total = self.total.amount();
        let spare = self
            .tills
            .iter()
            .fold(ItemsAndBytes::default(), |sum, thread_slot| sum.plus(thread_slot.amount()));
        let [items, bytes] =
            [ItemsAndBytes::items, ItemsAndBytes::bytes].map(|of| of(total).saturating_sub(of(spare)));
        ItemsAndBytes::of(items, bytes)
    }

    /// No less than what waits: one look, and no more.
    #[inline]
    pub(super) fn at_most(&self) -> ItemsAndBytes {
        self.total.amount()
    }

    /// An input waits. With `plenty` of room, some is set aside for the next.
    #[inline]
    pub(super) fn take(&self, input: ItemsAndBytes, thread_slot: ThreadSlot, plenty: bool) {
        let thread_slot = &self.tills[thread_slot.index()];
        if !thread_slot.try_remove(input) {
            self.draw(input, thread_slot, plenty);
        }
    }

    #[cold]
    fn draw(&self, input: ItemsAndBytes, thread_slot: &AtomicItemsAndBytes, plenty: bool) {
        let lot = if plenty { self.lot } else { ItemsAndBytes::default() };
        self.total.add(input.plus(lot));
        thread_slot.add(lot);
    }

    /// An input waits no more.
    #[inline]
    pub(super) fn give_back(&self, input: ItemsAndBytes) {
        let thread_slot = &self.tills[ThreadSlot::own().index()];
        if self.lot.plus(self.lot).minus(thread_slot.add(input)).is_none() {
            self.total.remove(thread_slot.remove_all());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(items: usize) -> ShardedCounter {
        let bounds = Bounds { max_input_items: items, max_input_bytes: items * 100, ..Bounds::default() };
        ShardedCounter::new(&bounds)
    }

    #[test]
    fn what_waits_is_told_exactly_and_little_is_set_aside() {
        let reserve = reserve(8192);
        let (kept, given) = (ItemsAndBytes::one(70), ItemsAndBytes::one(1000));
        let threads = 4;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..500 {
                        [kept, given, given]
                            .iter()
                            .for_each(|input| reserve.take(*input, ThreadSlot::own(), true));
                        [given, given].iter().for_each(|input| reserve.give_back(*input));
                    }
                });
            }
        });
        let held = ItemsAndBytes::of(500 * threads, 500 * threads * 70);
        assert_eq!(reserve.waiting(), held);
        let spare = reserve.at_most().minus(held).expect("no less than what waits");
        assert!(spare.items() <= 8192 / SHARE && spare.bytes() <= 819_200 / SHARE, "{spare:?}");
    }

    #[test]
    fn nothing_is_set_aside_of_little_room() {
        for reserve in [reserve(8192), reserve(2)] {
            let plenty = reserve.lot == ItemsAndBytes::default();
            reserve.take(ItemsAndBytes::one(10), ThreadSlot::own(), plenty);
            assert_eq!(reserve.at_most(), ItemsAndBytes::one(10));
            reserve.give_back(ItemsAndBytes::one(10));
            assert_eq!(reserve.waiting(), ItemsAndBytes::default());
        }
    }
}

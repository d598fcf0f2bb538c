//! What waits of all peers together, counted so that threads seldom write where others read: each takes room for many
//! inputs at once, and keeps what comes back for those that follow. Refuses nothing: that is admission's.

use crossbeam_utils::CachePadded;

use super::{
    amount::{Amount, Waiting},
    thread_slot::{TILLS, Till},
};
use crate::limits::Bounds;

/// All tills together hold no more than one in so many of what may wait.
const SHARE: usize = 16;

/// What waits, and what is set aside for what comes next.
#[derive(Debug)]
pub(super) struct Reserve {
    /// All of it.
    total: CachePadded<Waiting>,
    /// What is set aside, by threads.
    tills: [CachePadded<Waiting>; TILLS],
    /// What is set aside at once; a till keeps twice that at most.
    lot: Amount,
}

impl Reserve {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let lot = |bound: usize| bound / (2 * SHARE * TILLS);
        Self {
            total: CachePadded::default(),
            tills: std::array::from_fn(|_| CachePadded::default()),
            lot: Amount::of(lot(bounds.max_input_items), lot(bounds.max_input_bytes)),
        }
    }

    /// What waits. While it changes it may seem less.
    pub(super) fn waiting(&self) -> Amount {
        let total = self.total.amount();
        let spare = self.tills.iter().fold(Amount::default(), |sum, till| sum.plus(till.amount()));
        let [items, bytes] = [Amount::items, Amount::bytes].map(|of| of(total).saturating_sub(of(spare)));
        Amount::of(items, bytes)
    }

    /// No less than what waits: one look, and no more.
    #[inline]
    pub(super) fn at_most(&self) -> Amount {
        self.total.amount()
    }

    /// An input waits. With `plenty` of room, some is set aside for the next.
    #[inline]
    pub(super) fn take(&self, input: Amount, till: Till, plenty: bool) {
        let till = &self.tills[till.index()];
        if !till.try_remove(input) {
            self.draw(input, till, plenty);
        }
    }

    #[cold]
    fn draw(&self, input: Amount, till: &Waiting, plenty: bool) {
        let lot = if plenty { self.lot } else { Amount::default() };
        self.total.add(input.plus(lot));
        till.add(lot);
    }

    /// An input waits no more.
    #[inline]
    pub(super) fn give_back(&self, input: Amount) {
        let till = &self.tills[Till::own().index()];
        if self.lot.plus(self.lot).minus(till.add(input)).is_none() {
            self.total.remove(till.remove_all());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(items: usize) -> Reserve {
        let bounds = Bounds { max_input_items: items, max_input_bytes: items * 100, ..Bounds::default() };
        Reserve::new(&bounds)
    }

    #[test]
    fn what_waits_is_told_exactly_and_little_is_set_aside() {
        let reserve = reserve(8192);
        let (kept, given) = (Amount::one(70), Amount::one(1000));
        let threads = 4;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..500 {
                        [kept, given, given].iter().for_each(|input| reserve.take(*input, Till::own(), true));
                        [given, given].iter().for_each(|input| reserve.give_back(*input));
                    }
                });
            }
        });
        let held = Amount::of(500 * threads, 500 * threads * 70);
        assert_eq!(reserve.waiting(), held);
        let spare = reserve.at_most().minus(held).expect("no less than what waits");
        assert!(spare.items() <= 8192 / SHARE && spare.bytes() <= 819_200 / SHARE, "{spare:?}");
    }

    #[test]
    fn nothing_is_set_aside_of_little_room() {
        for reserve in [reserve(8192), reserve(2)] {
            let plenty = reserve.lot == Amount::default();
            reserve.take(Amount::one(10), Till::own(), plenty);
            assert_eq!(reserve.at_most(), Amount::one(10));
            reserve.give_back(Amount::one(10));
            assert_eq!(reserve.waiting(), Amount::default());
        }
    }
}

//! Where what is for the topics of one arbiter comes in: one inbox for all of them, so that a burst over many topics
//! wakes one task and is taken out at once. Each topic has a seat there; its address names desk and seat. Handles
//! nothing: that is the [`host`](super::actor)'s.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use derive_where::derive_where;

use super::topics::Seats;
use crate::{
    actors::{
        inbox::{Inbox, Load},
        mesh::messages::{Arrival, TopicItem},
    },
    network::Network,
    timestamp::Timestamp,
};

/// The desk of one arbiter.
pub(crate) struct Desk<N: Network> {
    pub(crate) inbox: CachePadded<Inbox<Letter<N>>>,
    /// Which arbiter's.
    arbiter: usize,
    free: Mutex<FreeSeats>,
    seats: Mutex<Seats<N>>,
}

/// What comes in.
pub(crate) enum Letter<N: Network> {
    /// For the topic that has this seat.
    To(SeatId, TopicItem<N>),
    /// The last one.
    Stop,
}

/// A seat, and which of those who have it in turn: what is for one does not reach the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatId {
    pub(in crate::actors) number: u32,
    pub(in crate::actors) turn: u32,
}

/// Where a running topic is.
#[derive_where(Clone)]
pub(crate) struct Address<N: Network> {
    desk: Arc<Desk<N>>,
    seat: SeatId,
}

/// The desks of one engine.
pub(crate) struct Desks<N: Network> {
    desks: Vec<Arc<Desk<N>>>,
    next: AtomicUsize,
}

#[derive(Default)]
struct FreeSeats {
    left: Vec<SeatId>,
    /// From here on nobody ever sat.
    next: u32,
}

impl<N: Network> Desk<N> {
    fn new(arbiter: usize, load: &Arc<Load>) -> Self {
        Self {
            inbox: Inbox::new(Arc::clone(load)).into(),
            arbiter,
            free: Mutex::default(),
            seats: Mutex::new(Seats::new(Arc::clone(load))),
        }
    }

    /// Of the arbiter's own thread, and nobody waits for it.
    pub(in crate::actors) fn seats(&self) -> MutexGuard<'_, Seats<N>> {
        // A topic's panic ends at its seat.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody sits there any more.
    pub(in crate::actors) fn vacate(&self, seat: SeatId) {
        self.free().left.push(seat);
    }

    fn free(&self) -> MutexGuard<'_, FreeSeats> {
        // Nothing panics while it is held.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_seat(&self) -> SeatId {
        let mut free = self.free();
        free.left.pop().unwrap_or_else(|| {
            free.next += 1;
            SeatId { number: free.next - 1, turn: 0 }
        })
    }
}

impl<N: Network> Desks<N> {
    pub(crate) fn new(arbiters: usize, load: &Arc<Load>) -> Self {
        let desks = (0..arbiters).map(|arbiter| Arc::new(Desk::new(arbiter, load))).collect();
        Self { desks, next: AtomicUsize::new(0) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Desk<N>>> {
        self.desks.iter()
    }

    /// An address for a new topic, on the next arbiter in turn.
    pub(crate) fn assign(&self) -> Address<N> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.desks.len();
        let desk = Arc::clone(&self.desks[turn]);
        Address { seat: desk.free_seat(), desk }
    }
}

impl<N: Network> Address<N> {
    pub(in crate::actors) fn desk(&self) -> &Desk<N> {
        &self.desk
    }

    pub(in crate::actors) fn seat(&self) -> SeatId {
        self.seat
    }

    pub(in crate::actors) fn arbiter(&self) -> usize {
        self.desk.arbiter
    }

    /// Puts an item behind all others for this topic. Lost if the topic is gone, or the engine has ended.
    #[inline]
    pub(crate) fn push(&self, item: TopicItem<N>) {
        let _ = self.desk.inbox.push(Letter::To(self.seat, item));
    }

    /// As [`push`](Self::push), for a full message: see [`Inbox::push_stamped`].
    #[inline(always)]
    pub(crate) fn push_message(&self, now: impl FnOnce() -> Timestamp, make: impl FnOnce() -> Arrival<N>) {
        self.desk.inbox.push_stamped(now, || Letter::To(self.seat, TopicItem::Message(make())));
    }
}

impl<N: Network> PartialEq for Address<N> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.desk, &other.desk) && self.seat == other.seat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::PlainNetwork;

    #[test]
    fn a_seat_is_taken_again_under_another_address() {
        let desks = Desks::<PlainNetwork>::new(2, &Arc::default());
        let [first, second, third] = std::array::from_fn(|_| desks.assign());
        assert_eq!([first.arbiter(), second.arbiter(), third.arbiter()], [0, 1, 0], "arbiters in turn");
        let SeatId { number, turn } = first.seat();
        first.desk().vacate(SeatId { number, turn: turn + 1 });
        let [_, again] = std::array::from_fn(|_| desks.assign());
        assert_eq!((again.arbiter(), again.seat().number), (0, number));
        assert!(again != first, "what is for the one does not reach the other");
    }
}

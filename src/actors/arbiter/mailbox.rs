//! Where what is for the topics of one arbiter comes in: one inbox for all of them, so that a burst over many topics
//! wakes one task and is taken out at once. Each topic has a seat there; its address names desk and seat. Handles
//! nothing: that is the [`host`](super::actor)'s.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use derive_where::derive_where;

use super::topics::TopicSlab;
use crate::{
    actors::{
        inbox::{BusyCount, Inbox},
        mesh::messages::{IncomingMessage, TopicItem},
    },
    network::Network,
    timestamp::Timestamp,
};

/// The desk of one arbiter.
pub(crate) struct ArbiterMailbox<N: Network> {
    pub(crate) inbox: CachePadded<Inbox<Envelope<N>>>,
    /// Which arbiter's.
    arbiter: usize,
    free: Mutex<FreeSlots>,
    seats: Mutex<TopicSlab<N>>,
}

/// What comes in.
pub(crate) enum Envelope<N: Network> {
    /// For the topic that has this seat.
    To(SlotId, TopicItem<N>),
    /// The last one.
    Stop,
}

/// A seat, and which of those who have it in turn: what is for one does not reach the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId {
    pub(in crate::actors) number: u32,
    pub(in crate::actors) turn: u32,
}

/// Where a running topic is.
#[derive_where(Clone)]
pub(crate) struct TopicAddr<N: Network> {
    desk: Arc<ArbiterMailbox<N>>,
    seat: SlotId,
}

/// The desks of one engine.
pub(crate) struct ArbiterMailboxes<N: Network> {
    desks: Vec<Arc<ArbiterMailbox<N>>>,
    next: AtomicUsize,
}

#[derive(Default)]
struct FreeSlots {
    left: Vec<SlotId>,
    /// From here on nobody ever sat.
    next: u32,
}

impl<N: Network> ArbiterMailbox<N> {
    fn new(arbiter: usize, load: &Arc<BusyCount>) -> Self {
        Self {
            inbox: Inbox::new(Arc::clone(load)).into(),
            arbiter,
            free: Mutex::default(),
            seats: Mutex::new(TopicSlab::new(Arc::clone(load))),
        }
    }

    /// Of the arbiter's own thread, and nobody waits for it.
    pub(in crate::actors) fn seats(&self) -> MutexGuard<'_, TopicSlab<N>> {
        // A topic's panic ends at its seat.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody sits there any more.
    pub(in crate::actors) fn vacate(&self, seat: SlotId) {
        self.free().left.push(seat);
    }

    fn free(&self) -> MutexGuard<'_, FreeSlots> {
        // Nothing panics while it is held.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_seat(&self) -> SlotId {
        let mut free = self.free();
        free.left.pop().unwrap_or_else(|| {
            free.next += 1;
            SlotId { number: free.next - 1, turn: 0 }
        })
    }
}

impl<N: Network> ArbiterMailboxes<N> {
    pub(crate) fn new(arbiters: usize, load: &Arc<BusyCount>) -> Self {
        let desks = (0..arbiters).map(|arbiter| Arc::new(ArbiterMailbox::new(arbiter, load))).collect();
        Self { desks, next: AtomicUsize::new(0) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ArbiterMailbox<N>>> {
        self.desks.iter()
    }

    /// An address for a new topic, on the next arbiter in turn.
    pub(crate) fn assign(&self) -> TopicAddr<N> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.desks.len();
        let desk = Arc::clone(&self.desks[turn]);
        TopicAddr { seat: desk.free_seat(), desk }
    }
}

impl<N: Network> TopicAddr<N> {
    pub(in crate::actors) fn desk(&self) -> &ArbiterMailbox<N> {
        &self.desk
    }

    pub(in crate::actors) fn seat(&self) -> SlotId {
        self.seat
    }

    pub(in crate::actors) fn arbiter(&self) -> usize {
        self.desk.arbiter
    }

    /// Puts an item behind all others for this topic. Lost if the topic is gone, or the engine has ended.
    #[inline]
    pub(crate) fn push(&self, item: TopicItem<N>) {
        let _ = self.desk.inbox.push(Envelope::To(self.seat, item));
    }

    /// As [`push`](Self::push), for a full message: see [`Inbox::push_stamped`].
    #[inline(always)]
    pub(crate) fn push_message(
        &self,
        now: impl FnOnce() -> Timestamp,
        make: impl FnOnce() -> IncomingMessage<N>,
    ) {
        self.desk.inbox.push_stamped(now, || Envelope::To(self.seat, TopicItem::Message(make())));
    }
}

impl<N: Network> PartialEq for TopicAddr<N> {
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
        let desks = ArbiterMailboxes::<PlainNetwork>::new(2, &Arc::default());
        let [first, second, third] = std::array::from_fn(|_| desks.assign());
        assert_eq!([first.arbiter(), second.arbiter(), third.arbiter()], [0, 1, 0], "arbiters in turn");
        let SlotId { number, turn } = first.seat();
        first.desk().vacate(SlotId { number, turn: turn + 1 });
        let [_, again] = std::array::from_fn(|_| desks.assign());
        assert_eq!((again.arbiter(), again.seat().number), (0, number));
        assert!(again != first, "what is for the one does not reach the other");
    }
}

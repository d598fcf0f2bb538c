//! The mailbox of an arbiter: one inbox for all topics that live there, so that a burst over many topics wakes one task
//! and is drained at once. The address of a topic names the mailbox and a slot.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use derive_where::derive_where;

use crate::{
    actors::{
        inbox::{BusyCount, Inbox},
        mesh::messages::{IncomingMessage, TopicItem},
    },
    network::Network,
    protocol::topic::{TopicState, interest::Interests},
    timestamp::Timestamp,
};

/// The mailbox of one arbiter.
pub(crate) struct ArbiterMailbox<N: Network> {
    pub(crate) inbox: CachePadded<Inbox<Envelope<N>>>,
    free_slots: Mutex<FreeSlots>,
}

/// An item of the mailbox.
pub(crate) enum Envelope<N: Network> {
    /// From the handle, the supervisor and the validations of the topic: an input for the topic in this slot. Dropped
    /// if the topic has ended; buffered if it has not started.
    To(SlotId, TopicItem<N>),
    /// From the supervisor: starts the mesh actor of a topic. Boxed, so that it does not make every envelope larger.
    Start(Box<StartTopic<N>>),
    /// In the place of an envelope that was taken out of a batch. Never sent.
    Taken,
}

/// The arguments with which a mesh actor is started.
pub(crate) struct StartTopic<N: Network> {
    pub(in crate::actors) slot: SlotId,
    pub(in crate::actors) state: TopicState<N>,
    /// The interests of the application in a topic that was restarted after a panic. It joins before it handles anything else.
    pub(in crate::actors) rejoin: Interests,
}

/// A slot index with a generation, so that messages for a former topic of the slot are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId {
    pub(in crate::actors) index: u32,
    pub(in crate::actors) generation: u32,
}

/// The address of a topic that has an actor.
#[derive_where(Clone)]
pub(crate) struct TopicAddr<N: Network> {
    mailbox: Arc<ArbiterMailbox<N>>,
    slot: SlotId,
}

/// The mailboxes of one engine.
pub(crate) struct ArbiterMailboxes<N: Network> {
    mailboxes: Vec<Arc<ArbiterMailbox<N>>>,
    next: AtomicUsize,
}

#[derive(Default)]
struct FreeSlots {
    freed: Vec<SlotId>,
    /// The first index that no topic ever had.
    unused: u32,
}

impl<N: Network> ArbiterMailbox<N> {
    fn new(busy_count: &Arc<BusyCount>) -> Self {
        Self { inbox: Inbox::new(Arc::clone(busy_count)).into(), free_slots: Mutex::default() }
    }

    /// Makes a slot available again. `slot` has the next generation.
    pub(in crate::actors) fn free(&self, slot: SlotId) {
        self.free_slots().freed.push(slot);
    }

    fn free_slots(&self) -> MutexGuard<'_, FreeSlots> {
        // Nothing panics while this lock is taken.
        self.free_slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allocate(&self) -> SlotId {
        let mut slots = self.free_slots();
        slots.freed.pop().unwrap_or_else(|| {
            slots.unused += 1;
            SlotId { index: slots.unused - 1, generation: 0 }
        })
    }
}

impl<N: Network> ArbiterMailboxes<N> {
    pub(crate) fn new(arbiters: usize, busy_count: &Arc<BusyCount>) -> Self {
        let mailboxes = (0..arbiters).map(|_| Arc::new(ArbiterMailbox::new(busy_count))).collect();
        Self { mailboxes, next: AtomicUsize::new(0) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ArbiterMailbox<N>>> {
        self.mailboxes.iter()
    }

    /// Allocates the address of a new topic. The arbiters take turns.
    pub(crate) fn allocate(&self) -> TopicAddr<N> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.mailboxes.len();
        TopicAddr::new(&self.mailboxes[next], self.mailboxes[next].allocate())
    }
}

impl<N: Network> TopicAddr<N> {
    pub(in crate::actors) fn new(mailbox: &Arc<ArbiterMailbox<N>>, slot: SlotId) -> Self {
        Self { mailbox: Arc::clone(mailbox), slot }
    }

    /// Starts the topic's mesh actor on the arbiter of this address.
    pub(in crate::actors) fn start(&self, state: TopicState<N>, rejoin: Interests) {
        let start = StartTopic { slot: self.slot, state, rejoin };
        // A closed mailbox: the engine has ended.
        let _ = self.mailbox.inbox.push(Envelope::Start(Box::new(start)));
    }

    /// Appends an item for this topic. It is dropped if the topic or the engine has ended.
    #[inline]
    pub(crate) fn push(&self, item: TopicItem<N>) {
        let _ = self.mailbox.inbox.push(Envelope::To(self.slot, item));
    }

    /// As [`push`](Self::push), for a full message: see [`Inbox::push_with_arrival_time`].
    #[inline(always)]
    pub(crate) fn push_message(
        &self,
        now: impl FnOnce() -> Timestamp,
        make: impl FnOnce() -> IncomingMessage<N>,
    ) {
        let envelope = || Envelope::To(self.slot, TopicItem::Message(make()));
        self.mailbox.inbox.push_with_arrival_time(now, envelope);
    }
}

impl<N: Network> PartialEq for TopicAddr<N> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mailbox, &other.mailbox) && self.slot == other.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::PlainNetwork;

    #[test]
    fn a_freed_slot_is_allocated_again_under_another_address() {
        let mailboxes = ArbiterMailboxes::<PlainNetwork>::new(2, &Arc::default());
        let [first, second, third] = std::array::from_fn(|_| mailboxes.allocate());
        let arbiter = |address: &TopicAddr<PlainNetwork>| {
            mailboxes.iter().position(|mailbox| Arc::ptr_eq(mailbox, &address.mailbox))
        };
        assert_eq!([&first, &second, &third].map(arbiter), [Some(0), Some(1), Some(0)], "arbiters in turn");
        let SlotId { index, generation } = first.slot;
        first.mailbox.free(SlotId { index, generation: generation + 1 });
        let [_, again] = std::array::from_fn(|_| mailboxes.allocate());
        assert_eq!((arbiter(&again), again.slot.index), (Some(0), index));
        assert!(again != first, "an item for the former topic does not reach the new one");
    }
}

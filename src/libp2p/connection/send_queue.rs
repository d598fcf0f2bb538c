//! The send queue of one connection, bounded in items and bytes. The behaviour fills it and the connection's handler
//! empties it, on different tasks. Urgent lanes are written first and dropped last; control is never dropped while the
//! connection lives, except that a later GRAFT or PRUNE takes the place of an earlier one of its topic.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures::task::AtomicWaker;

use super::{
    capabilities::{ProtocolVersion, knows},
    delivery_report::{DeliveryReport, MissedReports},
    inbound_stream::InboundRpc,
    lanes::{Item, LaneCounts},
    packing::pack,
    push::Push,
    queue_limits::QueueLimits,
    queue_state::{Drops, State},
};
use crate::{
    libp2p::{codec::limits::WireLimits, memory::TransportMemory},
    protocol::Lane,
    worker::DropReason,
};

/// An empty buffer for frames with a larger capacity, in bytes, is freed.
const RETAINED_CAPACITY: usize = 1 << 15;

#[derive(Debug)]
pub(in crate::libp2p) struct SendQueue {
    state: Mutex<State>,
    /// Wakes the connection's task.
    waker: AtomicWaker,
    limits: QueueLimits,
    memory: Arc<TransportMemory>,
    /// Reports to the engine what the peer misses, if the engine wants that.
    missed: Option<MissedReports>,
}

impl SendQueue {
    pub(in crate::libp2p) fn new(
        limits: QueueLimits,
        memory: &Arc<TransportMemory>,
        missed: Option<MissedReports>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(memory)),
            waker: AtomicWaker::new(),
            limits,
            memory: Arc::clone(memory),
            missed,
        }
    }

    /// Called when the protocol of the outbound stream is negotiated.
    pub(in crate::libp2p) fn set_version(&self, version: ProtocolVersion) {
        self.state().version = Some(version);
    }

    /// Adds an item and wakes the connection's task. Never blocks.
    pub(in crate::libp2p) fn push(&self, item: Item) -> Push {
        let mut drops = Drops::default();
        let mut state = self.state();
        if !knows(state.version, item.fragment.kind) {
            drop(state);
            let unsupported = drop_all(vec![item], DropReason::Unsupported);
            return Push { unsupported, ..Push::default() };
        }
        let overflowed = state.push(item, &self.limits, &mut drops);
        drop(state);
        self.waker.wake();
        Push {
            dropped: self.drop_slow(drops.queue_full, DropReason::PeerQueueFull),
            over_memory: self.drop_slow(drops.memory, DropReason::TransportMemory),
            superseded: drop_all(drops.superseded, DropReason::Superseded),
            unsupported: LaneCounts::NONE,
            overflowed,
        }
    }

    /// Removes the messages that the IDONTWANTs of an RPC name, unless they are being written. The queue is searched once
    /// for all of them.
    pub(in crate::libp2p) fn apply_idontwant(&self, rpc: &InboundRpc) -> LaneCounts {
        let mut ids = rpc.idontwant().peekable();
        if ids.peek().is_none() {
            return LaneCounts::NONE;
        }
        let mut state = self.state();
        let items = state.pending.remove_messages(ids);
        state.settle();
        drop(state);
        drop_all(items, DropReason::IDontWant)
    }

    /// Appends frames to `out` until it has at least `target` bytes or the queue is empty. Call it only when all
    /// earlier frames are flushed: their reports are completed here. If nothing is appended, the next push wakes the
    /// task of `cx`.
    pub(in crate::libp2p) fn fill(
        &self,
        out: &mut Vec<u8>,
        target: usize,
        limits: &WireLimits,
        cx: &Context<'_>,
    ) {
        // Registered first: a push between the check and the registration would wake nobody.
        self.waker.register(cx.waker());
        let mut state = self.state();
        let State { pending, in_flight, slow, version, .. } = &mut *state;
        let sent: Vec<DeliveryReport> = in_flight.drain(..).filter_map(|item| item.report).collect();
        *slow = false;
        while out.len() < target && pack(pending, *version, limits, out, in_flight) > 0 {}
        if out.is_empty() && out.capacity() > RETAINED_CAPACITY {
            *out = Vec::new();
        }
        state.settle();
        let room = state.take_room(&self.limits);
        drop(state);
        sent.into_iter().for_each(DeliveryReport::sent);
        self.report_room(room);
    }

    /// Drops items because the peer reads more slowly than they come.
    fn drop_slow(&self, items: Vec<Item>, reason: DropReason) -> LaneCounts {
        if items.is_empty() {
            return LaneCounts::NONE;
        }
        let largest = self.missed.as_ref().and_then(|reports| reports.report_missed(&items));
        if largest.is_some() {
            let mut state = self.state();
            state.missed = state.missed.max(largest);
            // The queue may have been written meanwhile, and `fill` may not be called again.
            let room = state.take_room(&self.limits);
            drop(state);
            self.report_room(room);
        }
        drop_all(items, reason)
    }

    /// Takes over what a lost queue to the same peer has reported as missed: this queue reports the room for it.
    pub(in crate::libp2p) fn take_over_missed(&self, lost: &Self) {
        let missed = lost.state().missed.take();
        let mut state = self.state();
        state.missed = state.missed.max(missed);
        let room = state.take_room(&self.limits);
        drop(state);
        self.report_room(room);
    }

    fn report_room(&self, room: Option<usize>) {
        if let (Some(reports), Some(messages)) = (&self.missed, room) {
            reports.report_room(messages);
        }
    }

    /// Whether items are pending or in flight. If not, the next push wakes the task of `cx`.
    pub(super) fn has_pending(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        let state = self.state();
        state.pending.items() > 0 || !state.in_flight.is_empty()
    }

    /// Called when the peer does not read: drops all pending items but control, and takes only control until the items
    /// in flight are flushed. Items in flight can't be dropped, but their reports are completed as not sent.
    pub(super) fn drop_pending(&self) -> LaneCounts {
        let mut state = self.state();
        state.slow = true;
        let dropped = std::iter::from_fn(|| state.pending.pop_less_urgent(Lane::Control, false)).collect();
        state.settle();
        let late: Vec<_> = state.in_flight.iter_mut().filter_map(|item| item.report.take()).collect();
        drop(state);
        late.into_iter().for_each(|report| report.not_sent(DropReason::PeerQueueFull));
        self.drop_slow(dropped, DropReason::PeerQueueFull)
    }

    /// Takes the items that are not being written: they go to a newer connection of the peer.
    pub(in crate::libp2p) fn take_pending(&self) -> Vec<Item> {
        let mut state = self.state();
        let items = std::iter::from_fn(|| state.pending.pop()).collect();
        state.settle();
        items
    }

    /// Takes all items that may not have been written: the connection is lost.
    pub(in crate::libp2p) fn take_all(&self) -> Vec<Item> {
        let taken = std::mem::replace(&mut *self.state(), State::new(&self.memory));
        let State { mut pending, in_flight: mut items, .. } = taken;
        items.extend(std::iter::from_fn(|| pending.pop()));
        items
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain data: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts items that are not sent, and completes their reports.
pub(in crate::libp2p) fn drop_all(items: Vec<Item>, reason: DropReason) -> LaneCounts {
    let mut counts = LaneCounts::NONE;
    for item in items {
        counts.add(item.lane, 1);
        if let Some(report) = item.report {
            report.not_sent(reason);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        libp2p::{
            codec::encode::Kind,
            connection::lanes::{SEARCHES, tests::item},
            ids::MessageId,
        },
        network::P2pMessage,
    };

    const QUEUED: Push = Push {
        dropped: LaneCounts::NONE,
        over_memory: LaneCounts::NONE,
        superseded: LaneCounts::NONE,
        unsupported: LaneCounts::NONE,
        overflowed: false,
    };

    fn queue(limits: QueueLimits) -> SendQueue {
        SendQueue::new(limits, &Arc::default(), None)
    }

    fn counts(lane: Lane, count: u64) -> LaneCounts {
        let mut counts = LaneCounts::NONE;
        counts.add(lane, count);
        counts
    }

    fn dropped(lane: Lane, overflowed: bool) -> Push {
        Push { dropped: counts(lane, 1), overflowed, ..QUEUED }
    }

    fn fill(queue: &SendQueue, target: usize) -> usize {
        let (mut out, cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
        queue.fill(&mut out, target, &WireLimits::default(), &cx);
        out.len()
    }

    fn small() -> SendQueue {
        queue(QueueLimits { max_items: 2, max_bytes: 1_000, stall_factor: 2, max_control_bytes: 2_000 })
    }

    #[test]
    fn less_urgent_items_make_room_and_control_without_room_ends_the_queue() {
        let queue = small();
        let push = |kind, lane| queue.push(item(kind, lane, 0));
        assert_eq!(push(Kind::Message, Lane::Forward), QUEUED);
        assert_eq!(push(Kind::IHave, Lane::Gossip), QUEUED);
        assert_eq!(push(Kind::IHave, Lane::Gossip), dropped(Lane::Gossip, false));
        assert_eq!(push(Kind::Message, Lane::Publish), dropped(Lane::Gossip, false));
        assert_eq!(push(Kind::Message, Lane::Answer), dropped(Lane::Answer, false));
        assert_eq!(push(Kind::Graft, Lane::Control), dropped(Lane::Forward, false));
        assert_eq!(push(Kind::Subscription, Lane::Control), dropped(Lane::Publish, false));
        assert_eq!(push(Kind::Prune, Lane::Control), QUEUED);
        assert_eq!(push(Kind::Prune, Lane::Control), QUEUED);
        assert_eq!(push(Kind::Prune, Lane::Control), dropped(Lane::Control, true));
        assert_eq!(push(Kind::Prune, Lane::Control), dropped(Lane::Control, false));
        assert_eq!(push(Kind::Message, Lane::Publish), dropped(Lane::Publish, false));
        assert_eq!(queue.take_all().len(), 4);
    }

    #[test]
    fn for_a_slow_peer_only_control_is_queued_until_it_reads_again() {
        let queue = queue(QueueLimits::default());
        let push = |kind, lane| queue.push(item(kind, lane, 0));
        push(Kind::Message, Lane::Publish);
        assert!(fill(&queue, 1) > 0);
        push(Kind::Graft, Lane::Control);
        push(Kind::Message, Lane::Publish);
        push(Kind::Message, Lane::Publish);
        // Items in flight are neither dropped nor queued twice.
        assert_eq!(queue.drop_pending(), counts(Lane::Publish, 2));
        assert_eq!(push(Kind::Message, Lane::Publish), dropped(Lane::Publish, false));
        assert_eq!(push(Kind::Prune, Lane::Control), QUEUED);
        assert!(fill(&queue, 1) > 0);
        assert_eq!(push(Kind::Message, Lane::Publish), QUEUED);
        assert_eq!(queue.take_all().len(), 3);
    }

    #[test]
    fn an_item_that_the_version_does_not_know_is_dropped() {
        let queue = small();
        let idontwant = || queue.push(item(Kind::IDontWant, Lane::Gossip, 0));
        let unsupported = |lane| Push { unsupported: counts(lane, 1), ..QUEUED };
        assert_eq!(idontwant(), unsupported(Lane::Gossip));
        queue.set_version(ProtocolVersion::V1_1);
        assert_eq!(idontwant(), unsupported(Lane::Gossip));
        queue.set_version(ProtocolVersion::V1_2);
        assert_eq!(idontwant(), QUEUED);
        queue.set_version(ProtocolVersion::Floodsub);
        assert_eq!(queue.push(item(Kind::Graft, Lane::Control, 0)), unsupported(Lane::Control));
        assert_eq!(queue.push(item(Kind::Subscription, Lane::Control, 0)), QUEUED);
        assert_eq!(queue.take_all().len(), 2);
    }

    #[test]
    fn items_in_flight_are_not_lost_with_their_stream() {
        let queue = small();
        queue.push(item(Kind::Graft, Lane::Control, 1));
        assert!(fill(&queue, 1) > 0);
        queue.push(item(Kind::Message, Lane::Publish, 2));
        let tags: Vec<_> = queue.take_all().into_iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(tags, [1, 2]);
        queue.push(item(Kind::Graft, Lane::Control, 1));
        assert!(fill(&queue, 1) > 0);
        // The next fill implies that all is flushed.
        assert_eq!(fill(&queue, 1), 0);
        assert!(queue.take_all().is_empty());
    }

    #[test]
    fn the_queue_is_searched_once_for_all_idontwants_of_an_rpc() {
        let queue = queue(QueueLimits::default());
        let id = |number: u32| MessageId::from(number.to_be_bytes().to_vec());
        for number in 0..1_000 {
            queue.push(Item { id: Some(id(number)), ..item(Kind::Message, Lane::Forward, 0) });
        }
        let idontwants = |numbers: std::ops::Range<u32>| {
            let one = |number| P2pMessage::IDontWant { message_ids: vec![id(number)] };
            InboundRpc::of_idontwants(numbers.map(one).collect())
        };
        let before = SEARCHES.get();
        assert_eq!(queue.apply_idontwant(&idontwants(0..800)), counts(Lane::Forward, 800));
        assert_eq!(SEARCHES.get() - before, 1);
        // None of these is queued.
        assert_eq!(queue.apply_idontwant(&idontwants(0..800)), LaneCounts::NONE);
        assert_eq!(SEARCHES.get() - before, 1);
        assert_eq!(queue.take_all().len(), 200);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let limits = QueueLimits { max_items: 100, max_bytes: 25, stall_factor: 2, max_control_bytes: 20 };
        let queue = queue(limits);
        let pushed = [(); 3].map(|()| queue.push(item(Kind::Message, Lane::Forward, 0)));
        assert_eq!(pushed, [QUEUED, QUEUED, dropped(Lane::Forward, false)]);
        assert_eq!(fill(&queue, 1), 21);
        assert_eq!(queue.push(item(Kind::Message, Lane::Forward, 0)), QUEUED);
        let control = [(); 3].map(|()| queue.push(item(Kind::Subscription, Lane::Control, 0)));
        let makes_room = Push { dropped: counts(Lane::Forward, 1), ..QUEUED };
        assert_eq!(control, [QUEUED, makes_room, dropped(Lane::Control, true)]);
    }

    #[test]
    fn a_later_prune_takes_the_place_of_an_earlier_one_of_its_topic() {
        let queue = queue(QueueLimits::default());
        let push = |kind, topic: &str, tag| {
            let mesh_topic = Some(topic.into());
            queue.push(Item { mesh_topic, ..item(kind, Lane::Control, tag) })
        };
        let superseded = Push { superseded: counts(Lane::Control, 1), ..QUEUED };
        assert_eq!(push(Kind::Prune, "a", 1), QUEUED);
        assert_eq!(push(Kind::Prune, "b", 2), QUEUED);
        assert_eq!(push(Kind::Prune, "a", 3), superseded);
        // A GRAFT after a PRUNE is another decision, and so is the next PRUNE.
        assert_eq!(push(Kind::Graft, "b", 4), QUEUED);
        assert_eq!(push(Kind::Prune, "b", 5), QUEUED);
        assert_eq!(push(Kind::Prune, "b", 6), superseded);
        assert!(fill(&queue, 1) > 0);
        // The fragment that is being written stays.
        assert_eq!(push(Kind::Prune, "a", 7), QUEUED);
        let tags: Vec<_> = queue.take_all().into_iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(tags, [3, 2, 4, 6, 7]);
    }

    #[test]
    fn scarce_memory_takes_items_from_the_queue_that_has_most() {
        let memory = Arc::<TransportMemory>::default();
        memory.set_limit(1_000_000);
        let new = || SendQueue::new(QueueLimits::default(), &memory, None);
        let (greedy, modest) = (new(), new());
        let over_memory = Push { over_memory: counts(Lane::Forward, 1), ..QUEUED };
        assert_eq!(modest.push(item(Kind::Message, Lane::Forward, 0)), QUEUED);
        while greedy.push(item(Kind::Message, Lane::Forward, 0)) == QUEUED {}
        let part = memory.used() * 17;
        assert!((900_000..1_000_000).contains(&part), "{part}");
        assert_eq!(greedy.push(item(Kind::Message, Lane::Forward, 0)), over_memory);
        assert_eq!(modest.push(item(Kind::Message, Lane::Forward, 0)), QUEUED);
        // Control takes the place of messages, and ends the queue when it has its own part.
        let makes_room = Push { over_memory: counts(Lane::Forward, 1), ..QUEUED };
        assert_eq!(greedy.push(item(Kind::Subscription, Lane::Control, 0)), makes_room);
        while !greedy.push(item(Kind::Subscription, Lane::Control, 0)).overflowed {}
        assert!(memory.used() < 400_000, "{}", memory.used());
        drop((greedy, modest));
        assert_eq!(memory.used(), 0);
    }
}

//! What waits to be written to one connection: bounded in items and bytes, filled by the behaviour and
//! emptied by the connection's handler, which run on different tasks. It never blocks. What is urgent is
//! written first, and what is not is dropped first; control is never dropped while the connection lives.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use futures::task::AtomicWaker;

use super::{
    delivery_report::Receipt,
    lanes::{Item, Waiting},
    packing::pack,
};
use crate::{
    libp2p::{
        codec::{encode::Kind, frame::WireLimits},
        ids::MessageId,
        swarm::event::LaneCounts,
    },
    protocol::Lane,
    worker::NotSent,
};

/// How much may wait for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Beyond this many items (entries of an RPC), the least urgent are dropped, newest first: gossip,
    /// then answers, then others' messages, then ours. Control is not.
    pub max_items: usize,
    /// Beyond this many bytes, the same.
    pub max_bytes: usize,
    /// Beyond this many times the two limits, reached by control alone (subscriptions, grafts, prunes),
    /// the peer is slow and its connections are closed, whatever
    /// [`slow_peer`](crate::libp2p::BehaviourConfig::slow_peer) says: what it must hear is neither dropped nor kept
    /// without end.
    pub stall_factor: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_items: 8_192, max_bytes: 8 << 20, stall_factor: 8 }
    }
}

/// What came of adding an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Push {
    /// What was dropped because the peer is slow, maybe the item itself.
    pub(in crate::libp2p) dropped: LaneCounts,
    /// It is an idontwant, and the peer's protocol has none.
    pub(in crate::libp2p) unsupported: bool,
    /// There was no room for control: nothing more is taken, the connection is to be closed.
    pub(in crate::libp2p) overflowed: bool,
}

#[derive(Debug)]
pub(in crate::libp2p) struct SendQueue {
    state: Mutex<State>,
    /// Whether the peer takes idontwants from us.
    idontwant: AtomicBool,
    waker: AtomicWaker,
    limits: QueueLimits,
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    /// Taken to be written and not flushed yet, so that a stream that breaks may have lost it.
    in_flight: Vec<Item>,
    /// The peer does not read: only control is taken until it has read what is in flight.
    slow: bool,
    overflowed: bool,
}

impl SendQueue {
    pub(in crate::libp2p) fn new(limits: QueueLimits) -> Self {
        Self { state: Mutex::default(), idontwant: AtomicBool::new(false), waker: AtomicWaker::new(), limits }
    }

    /// The protocol of the stream that we write to is known.
    pub(in crate::libp2p) fn set_idontwant(&self, taken: bool) {
        self.idontwant.store(taken, Ordering::Release);
    }

    pub(in crate::libp2p) fn push(&self, item: Item) -> Push {
        if item.fragment.kind == Kind::IDontWant && !self.idontwant.load(Ordering::Acquire) {
            return Push { unsupported: true, ..Push::default() };
        }
        let mut dropped = Vec::new();
        let overflowed = self.state().push(item, &self.limits, &mut dropped);
        self.waker.wake();
        Push { dropped: drop_all(dropped, NotSent::PeerSlow), unsupported: false, overflowed }
    }

    /// Takes out messages that the peer does not want, but for what is being written.
    pub(in crate::libp2p) fn withdraw(&self, ids: &[MessageId]) -> LaneCounts {
        let unwanted = self.state().waiting.withdraw(ids);
        drop_all(unwanted, NotSent::Unwanted)
    }

    /// All taken before is flushed. Appends frames to `out`, until it holds `enough` bytes or nothing
    /// waits. When nothing was appended, the task of `cx` is woken by the next push.
    pub(in crate::libp2p) fn fill(
        &self,
        out: &mut Vec<u8>,
        enough: usize,
        limits: &WireLimits,
        cx: &Context<'_>,
    ) {
        // Registered first: a push between the look and the registration would go unnoticed.
        self.waker.register(cx.waker());
        let mut state = self.state();
        let State { waiting, in_flight, slow, .. } = &mut *state;
        let sent: Vec<Receipt> = in_flight.drain(..).filter_map(|item| item.receipt).collect();
        *slow = false;
        while out.len() < enough && pack(waiting, limits, out, in_flight) > 0 {}
        drop(state);
        sent.into_iter().for_each(Receipt::sent);
    }

    /// Whether something is to be written. If not, the task of `cx` is woken by the next push.
    pub(in crate::libp2p) fn has_some(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        let state = self.state();
        state.waiting.items() > 0 || !state.in_flight.is_empty()
    }

    /// The peer does not read: drops all that waits but control, and takes nothing else until what is in
    /// flight is flushed. That itself can't be withdrawn, but nobody waits any longer to hear of it.
    pub(in crate::libp2p) fn shed(&self) -> LaneCounts {
        let mut state = self.state();
        state.slow = true;
        let dropped = std::iter::from_fn(|| state.waiting.pop_less_urgent(Lane::Control)).collect();
        let late: Vec<_> = state.in_flight.iter_mut().filter_map(|item| item.receipt.take()).collect();
        drop(state);
        late.into_iter().for_each(|receipt| receipt.not_sent(NotSent::PeerSlow));
        drop_all(dropped, NotSent::PeerSlow)
    }

    /// Takes all that is not known to be written, for another connection or for none.
    pub(in crate::libp2p) fn take(&self) -> Vec<Item> {
        let State { mut waiting, in_flight: mut items, .. } = std::mem::take(&mut *self.state());
        items.extend(std::iter::from_fn(|| waiting.pop()));
        items
    }

    /// What waits is plain data: a panic elsewhere leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts items that are not sent, and says why to those who want to hear of them.
pub(in crate::libp2p) fn drop_all(items: Vec<Item>, reason: NotSent) -> LaneCounts {
    let mut counts = LaneCounts::NONE;
    for item in items {
        counts.add(item.lane, 1);
        if let Some(receipt) = item.receipt {
            receipt.not_sent(reason);
        }
    }
    counts
}

impl State {
    /// Puts what finds no room into `dropped`; answers whether it was the first control for which there
    /// was none.
    fn push(&mut self, item: Item, limits: &QueueLimits, dropped: &mut Vec<Item>) -> bool {
        let control = item.lane == Lane::Control;
        if self.overflowed || (self.slow && !control) {
            dropped.push(item);
            return false;
        }
        while self.is_full(&item, limits, 1)
            && let Some(victim) = self.waiting.pop_less_urgent(item.lane)
        {
            dropped.push(victim);
        }
        let factor = if control { limits.stall_factor } else { 1 };
        if self.is_full(&item, limits, factor) {
            dropped.push(item);
            self.overflowed = control;
        } else {
            self.waiting.push(item);
        }
        self.overflowed
    }

    /// Whether `item` does not fit into so many times the limits.
    fn is_full(&self, item: &Item, limits: &QueueLimits, factor: usize) -> bool {
        let bytes = self.waiting.bytes().saturating_add(item.fragment.bytes.len());
        self.waiting.items() >= limits.max_items.saturating_mul(factor)
            || bytes > limits.max_bytes.saturating_mul(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::connection::lanes::tests::item;

    const QUEUED: Push = Push { dropped: LaneCounts::NONE, unsupported: false, overflowed: false };

    fn counts(lane: Lane, count: u64) -> LaneCounts {
        let mut counts = LaneCounts::NONE;
        counts.add(lane, count);
        counts
    }

    fn dropped(lane: Lane, overflowed: bool) -> Push {
        Push { dropped: counts(lane, 1), unsupported: false, overflowed }
    }

    fn fill(queue: &SendQueue, enough: usize) -> usize {
        let (mut out, cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
        queue.fill(&mut out, enough, &WireLimits::default(), &cx);
        out.len()
    }

    fn small() -> SendQueue {
        SendQueue::new(QueueLimits { max_items: 2, max_bytes: 1_000, stall_factor: 2 })
    }

    #[test]
    fn what_is_less_urgent_makes_room_and_control_that_finds_none_is_the_end() {
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
        assert_eq!(queue.take().len(), 4);
    }

    #[test]
    fn a_slow_peer_is_kept_control_for_until_it_reads_again() {
        let queue = SendQueue::new(QueueLimits::default());
        let push = |kind, lane| queue.push(item(kind, lane, 0));
        push(Kind::Message, Lane::Publish);
        assert!(fill(&queue, 1) > 0);
        push(Kind::Graft, Lane::Control);
        push(Kind::Message, Lane::Publish);
        push(Kind::Message, Lane::Publish);
        // What is in flight is neither dropped nor kept twice.
        assert_eq!(queue.shed(), counts(Lane::Publish, 2));
        assert_eq!(push(Kind::Message, Lane::Publish), dropped(Lane::Publish, false));
        assert_eq!(push(Kind::Prune, Lane::Control), QUEUED);
        assert!(fill(&queue, 1) > 0);
        assert_eq!(push(Kind::Message, Lane::Publish), QUEUED);
        assert_eq!(queue.take().len(), 3);
    }

    #[test]
    fn idontwants_are_for_those_who_know_them() {
        let queue = small();
        let push = || queue.push(item(Kind::IDontWant, Lane::Gossip, 0));
        assert_eq!(push(), Push { unsupported: true, ..QUEUED });
        queue.set_idontwant(true);
        assert_eq!(push(), QUEUED);
        assert_eq!(queue.take().len(), 1);
    }

    #[test]
    fn what_is_in_flight_is_not_lost_with_its_stream() {
        let queue = small();
        queue.push(item(Kind::Graft, Lane::Control, 1));
        assert!(fill(&queue, 1) > 0);
        queue.push(item(Kind::Message, Lane::Publish, 2));
        let tags: Vec<_> = queue.take().into_iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(tags, [1, 2]);
        queue.push(item(Kind::Graft, Lane::Control, 1));
        assert!(fill(&queue, 1) > 0);
        // Flushed: the next fill says so.
        assert_eq!(fill(&queue, 1), 0);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = SendQueue::new(QueueLimits { max_items: 100, max_bytes: 25, stall_factor: 2 });
        let pushed = [(); 3].map(|()| queue.push(item(Kind::Message, Lane::Forward, 0)));
        assert_eq!(pushed, [QUEUED, QUEUED, dropped(Lane::Forward, false)]);
        assert_eq!(fill(&queue, 1), 21);
        assert_eq!(queue.push(item(Kind::Message, Lane::Forward, 0)), QUEUED);
    }
}

//! What waits to be written to one connection: bounded in items and bytes, filled by the behaviour and
//! emptied by the connection's handler, which run on different tasks. It never blocks. What is urgent is
//! written first, and what is not is dropped first; control is dropped only once the peer stalls.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures::task::AtomicWaker;

use super::{
    LaneCounts,
    codec::WireLimits,
    pack::pack,
    receipt::Receipt,
    waiting::{Item, Waiting},
};
use crate::{protocol::Lane, worker::NotSent};

/// How much may wait for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Beyond this many items (entries of an RPC), the least urgent are dropped, newest first: gossip,
    /// then answers, then others' messages, then ours. Control is not.
    pub max_items: usize,
    /// Beyond this many bytes, the same.
    pub max_bytes: usize,
    /// Beyond this many times the two limits, reached by control alone (subscriptions, grafts, prunes),
    /// the peer has stalled: it is taken for one that reads nothing.
    pub stall_factor: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_items: 8_192, max_bytes: 8 << 20, stall_factor: 8 }
    }
}

/// What came of adding an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Push {
    /// What was dropped, maybe the item itself.
    pub(super) dropped: LaneCounts,
    /// The peer has just stalled. Nothing more is taken until it has read all that waits.
    pub(super) stalled: bool,
}

#[derive(Debug)]
pub(super) struct SendQueue {
    state: Mutex<State>,
    waker: AtomicWaker,
    limits: QueueLimits,
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    stalled: bool,
}

impl SendQueue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { state: Mutex::default(), waker: AtomicWaker::new(), limits }
    }

    pub(super) fn push(&self, item: Item) -> Push {
        let mut dropped = Vec::new();
        let stalled = self.state().push(item, &self.limits, &mut dropped);
        self.waker.wake();
        let mut push = Push { stalled, ..Push::default() };
        for item in dropped {
            push.dropped.add(item.lane, 1);
            if let Some(receipt) = item.receipt {
                receipt.not_sent(NotSent::PeerSlow);
            }
        }
        push
    }

    /// Appends frames to `out`, until it holds `enough` bytes or nothing waits, and their receipts to
    /// `receipts`. When nothing was appended, the task of `cx` is woken by the next push.
    pub(super) fn fill(
        &self,
        out: &mut Vec<u8>,
        receipts: &mut Vec<Receipt>,
        enough: usize,
        limits: &WireLimits,
        cx: &Context<'_>,
    ) {
        // Registered first: a push between the look and the registration would go unnoticed.
        self.waker.register(cx.waker());
        let mut state = self.state();
        while out.len() < enough {
            if pack(&mut state.waiting, limits, out, receipts) == 0 {
                state.stalled = false;
                return;
            }
        }
    }

    /// Takes all that waits, for another connection or for none.
    pub(super) fn take(&self) -> Vec<Item> {
        let mut waiting = std::mem::take(&mut self.state().waiting);
        std::iter::from_fn(|| waiting.pop()).collect()
    }

    /// What waits is plain data: a panic elsewhere leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts what finds no room into `dropped`; answers whether the peer has just stalled.
    fn push(&mut self, item: Item, limits: &QueueLimits, dropped: &mut Vec<Item>) -> bool {
        let control = item.lane == Lane::Control;
        if self.stalled {
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
            self.stalled = control;
        } else {
            self.waiting.push(item);
        }
        self.stalled
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
    use crate::libp2p::{encode::Kind, waiting::tests::item};

    const QUEUED: Push = Push { dropped: LaneCounts::NONE, stalled: false };

    fn dropped(lane: Lane, stalled: bool) -> Push {
        let mut dropped = LaneCounts::NONE;
        dropped.add(lane, 1);
        Push { dropped, stalled }
    }

    fn fill(queue: &SendQueue, enough: usize) -> usize {
        let (mut out, cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
        queue.fill(&mut out, &mut Vec::new(), enough, &WireLimits::default(), &cx);
        out.len()
    }

    #[test]
    fn what_is_less_urgent_makes_room_and_control_ends_in_a_stall() {
        let queue = SendQueue::new(QueueLimits { max_items: 2, max_bytes: 1_000, stall_factor: 2 });
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
        // Once the peer has read all, it is served again.
        while fill(&queue, 1) > 0 {}
        assert_eq!(push(Kind::Message, Lane::Publish), QUEUED);
        assert_eq!(queue.take().len(), 1);
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

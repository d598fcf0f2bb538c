//! What waits to be written to one connection: bounded in items and bytes, filled by the behaviour and
//! emptied by the connection's handler, which run on different tasks. It never blocks, and never drops
//! anything but messages, ihaves and iwants.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures::task::AtomicWaker;

use super::{
    codec::WireLimits,
    encode::{Fragment, Kind},
    pack::pack,
};

/// How much may wait for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Beyond this many items (entries of an RPC), messages, ihaves and iwants are dropped.
    pub max_items: usize,
    /// Beyond this many bytes, the same.
    pub max_bytes: usize,
    /// Beyond this many times the two limits, reached by what is never dropped (subscriptions, grafts,
    /// prunes), the peer is taken for one that reads nothing, and the connection is closed.
    pub stall_factor: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_items: 8_192, max_bytes: 8 << 20, stall_factor: 8 }
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push {
    Queued,
    Dropped,
    /// The peer does not even read what must not be dropped. Then all is dropped.
    Stalled,
}

#[derive(Debug)]
pub(super) struct SendQueue {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
    limits: QueueLimits,
}

#[derive(Debug, Default)]
struct Waiting {
    fragments: VecDeque<Fragment>,
    bytes: usize,
    stalled: bool,
}

impl SendQueue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { waiting: Mutex::default(), waker: AtomicWaker::new(), limits }
    }

    pub(super) fn push(&self, fragment: Fragment) -> Push {
        let mut waiting = self.waiting();
        let QueueLimits { max_items, max_bytes, stall_factor } = self.limits;
        let beyond = |factor: usize| {
            waiting.fragments.len() >= max_items.saturating_mul(factor)
                || waiting.bytes + fragment.bytes.len() > max_bytes.saturating_mul(factor)
        };
        let may_drop = matches!(fragment.kind, Kind::Message | Kind::IHave | Kind::IWant);
        if may_drop && (waiting.stalled || beyond(1)) {
            return Push::Dropped;
        }
        if waiting.stalled || beyond(stall_factor) {
            *waiting = Waiting { stalled: true, ..Waiting::default() };
            return Push::Stalled;
        }
        waiting.bytes += fragment.bytes.len();
        waiting.fragments.push_back(fragment);
        drop(waiting);
        self.waker.wake();
        Push::Queued
    }

    /// Appends frames to `out`, until it holds `enough` bytes or nothing waits. When nothing was
    /// appended, the task of `cx` is woken by the next push.
    pub(super) fn fill(&self, out: &mut Vec<u8>, enough: usize, limits: &WireLimits, cx: &Context<'_>) {
        // Registered first: a push between the look and the registration would go unnoticed.
        self.waker.register(cx.waker());
        let mut waiting = self.waiting();
        while out.len() < enough {
            let taken = pack(&mut waiting.fragments, limits, out);
            if taken == 0 {
                return;
            }
            waiting.bytes -= taken;
        }
    }

    /// Takes all that waits, for another connection.
    pub(super) fn take(&self) -> VecDeque<Fragment> {
        std::mem::take(&mut *self.waiting()).fragments
    }

    /// What waits is plain data: a panic elsewhere leaves it whole.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(kind: Kind) -> Fragment {
        Fragment { kind, bytes: [0; 10].into() }
    }

    #[test]
    fn what_must_arrive_is_never_dropped_but_ends_in_a_stall() {
        let queue = SendQueue::new(QueueLimits { max_items: 2, max_bytes: 1_000, stall_factor: 2 });
        assert_eq!(queue.push(fragment(Kind::Message)), Push::Queued);
        assert_eq!(queue.push(fragment(Kind::IHave)), Push::Queued);
        assert_eq!(queue.push(fragment(Kind::Message)), Push::Dropped);
        assert_eq!(queue.push(fragment(Kind::Graft)), Push::Queued);
        assert_eq!(queue.push(fragment(Kind::Subscription)), Push::Queued);
        assert_eq!(queue.push(fragment(Kind::Prune)), Push::Stalled);
        assert_eq!(queue.push(fragment(Kind::Prune)), Push::Stalled);
        assert_eq!(queue.push(fragment(Kind::IHave)), Push::Dropped);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = SendQueue::new(QueueLimits { max_items: 100, max_bytes: 25, stall_factor: 2 });
        let pushed = [(); 3].map(|()| queue.push(fragment(Kind::Message)));
        assert_eq!(pushed, [Push::Queued, Push::Queued, Push::Dropped]);
        let mut out = Vec::new();
        let cx = Context::from_waker(std::task::Waker::noop());
        queue.fill(&mut out, 1, &WireLimits::default(), &cx);
        assert_eq!((out.len(), out[0]), (21, 20));
        assert_eq!(queue.push(fragment(Kind::Message)), Push::Queued);
    }
}

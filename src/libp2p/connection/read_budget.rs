//! How far one connection is read ahead of the engine. Frames that the engine has not taken yet use up the budget;
//! when it is exhausted the stream is not read, and the peer's own send queue fills. They are charged to the transport's
//! memory too: a connection with more than its part of what is free is not read either, until there is more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;

use crate::libp2p::memory::{MemoryCharge, ORDINARY_PART, TransportMemory};

/// Bytes of decoded frames that may be read and not yet taken before reading stops. One connection therefore buffers less
/// than this and one frame. It is enough to keep the connection's task and the node's task busy at the same time.
const READ_AHEAD: usize = 128 << 10;
/// The bytes that the smallest frame counts for, since each frame takes memory for an event too.
const MIN_PERMIT: usize = 1 << 10;

/// The read budget of one connection.
#[derive(Debug)]
pub(super) struct ReadBudget {
    used: AtomicUsize,
    reader: AtomicWaker,
    memory: Arc<TransportMemory>,
}

/// The part of a budget that one frame uses. Dropped when the engine has taken all messages of the frame.
#[derive(Debug)]
pub(in crate::libp2p) struct Permit {
    budget: Arc<ReadBudget>,
    charge: MemoryCharge,
}

impl ReadBudget {
    pub(super) fn new(memory: &Arc<TransportMemory>) -> Self {
        Self { used: AtomicUsize::new(0), reader: AtomicWaker::new(), memory: Arc::clone(memory) }
    }

    /// Takes `bytes` out of the budget, whether that many are left or not.
    pub(super) fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let bytes = bytes.max(MIN_PERMIT);
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Permit { budget: Arc::clone(self), charge: MemoryCharge::new(&self.memory, bytes) }
    }

    /// A charge for bytes that are not part of a frame yet.
    pub(super) fn charge(&self) -> MemoryCharge {
        MemoryCharge::new(&self.memory, 0)
    }

    /// Whether there is memory for another decoded frame: some is free, and what the engine has not taken is within this
    /// connection's part.
    pub(super) fn may_decode(&self) -> bool {
        self.memory.has_room() && self.used.load(Ordering::Acquire) <= self.memory.threshold(ORDINARY_PART)
    }

    /// Whether this connection, whose incomplete frame takes `buffered` bytes, has memory for `more` bytes.
    pub(super) fn may_buffer(&self, buffered: usize, more: usize) -> bool {
        let own = self.used.load(Ordering::Acquire) + buffered + more;
        own <= self.memory.threshold(ORDINARY_PART)
    }

    /// `Ready` if another frame may be read. Otherwise the task is woken once a permit is dropped.
    pub(super) fn poll_available(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_available() {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        // A permit dropped before the registration wakes nobody: look again.
        if self.is_available() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_available(&self) -> bool {
        self.used.load(Ordering::Acquire) < READ_AHEAD
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.charge.bytes(), Ordering::AcqRel);
        if self.budget.is_available() {
            self.budget.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_while_the_budget_is_exhausted() {
        let (budget, cx) =
            (Arc::new(ReadBudget::new(&Arc::default())), Context::from_waker(std::task::Waker::noop()));
        let large = budget.acquire(READ_AHEAD * 3);
        assert!(budget.poll_available(&cx).is_pending());
        drop(large);
        let mut small = Vec::new();
        while budget.poll_available(&cx).is_ready() {
            small.push(budget.acquire(0));
        }
        assert_eq!(small.len(), READ_AHEAD / MIN_PERMIT);
        small.pop();
        assert!(budget.poll_available(&cx).is_ready());
    }
}

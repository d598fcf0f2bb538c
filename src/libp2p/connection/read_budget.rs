//! How far one connection is read ahead of the engine. What was read and is not yet handed in is owed;
//! while too much is, nothing more is read, and the peer's own queue fills. It never drops anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;

/// Bytes of frames that may be owed before reading stops: what is held of one connection is less than
/// this and one frame. Enough to keep the connection's task and the node's busy at the same time.
const READ_AHEAD: usize = 128 << 10;
/// What the smallest frame counts for, since it too takes an event.
const MIN_DEBT: usize = 1 << 10;

#[derive(Debug, Default)]
pub(in crate::libp2p) struct Gate {
    owed: AtomicUsize,
    reader: AtomicWaker,
}

/// Of a frame that was read. Dropped when all that it says is handed in.
#[derive(Debug)]
pub(in crate::libp2p) struct Debt {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    pub(in crate::libp2p) fn owe(self: &Arc<Self>, bytes: usize) -> Debt {
        let bytes = bytes.max(MIN_DEBT);
        self.owed.fetch_add(bytes, Ordering::AcqRel);
        Debt { gate: Arc::clone(self), bytes }
    }

    /// `Ready` while another frame may be read.
    pub(in crate::libp2p) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        // Paid meanwhile: nobody would wake us.
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_open(&self) -> bool {
        self.owed.load(Ordering::Acquire) < READ_AHEAD
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.gate.owed.fetch_sub(self.bytes, Ordering::AcqRel);
        if self.gate.is_open() {
            self.gate.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shuts_while_too_much_is_owed() {
        let (gate, cx) = (Arc::new(Gate::default()), Context::from_waker(std::task::Waker::noop()));
        let large = gate.owe(READ_AHEAD * 3);
        assert!(gate.poll_open(&cx).is_pending());
        drop(large);
        let mut small = Vec::new();
        while gate.poll_open(&cx).is_ready() {
            small.push(gate.owe(0));
        }
        assert_eq!(small.len(), READ_AHEAD / MIN_DEBT);
        small.pop();
        assert!(gate.poll_open(&cx).is_ready());
    }
}

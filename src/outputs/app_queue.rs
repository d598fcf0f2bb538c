//! The queue of the application stream. It drops no message: admission control refuses full messages while it is full.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use super::{
    backpressure::{Backpressure, FullQueues},
    reader::{Reader, lock, take_first, wake},
    wait_time::WaitTime,
};
use crate::{
    admission::Admission,
    limits::Bounds,
    network::{AppOutput, Network},
    protocol::output::pending::PendingDelivery,
};

/// The messages for the application.
pub(crate) struct AppQueue<N: Network> {
    inner: Mutex<AppQueueInner<N>>,
    /// The number of messages and their bytes, readable without the lock.
    backpressure: Backpressure,
}

struct AppQueueInner<N: Network> {
    messages: VecDeque<PendingDelivery<N>>,
    /// The bytes that are charged for the messages.
    bytes: usize,
    wait_time: WaitTime,
    reader: Reader,
}

impl<N: Network> AppQueue<N> {
    /// An empty queue that is full from `max_output_items` messages or `max_output_bytes` on.
    pub(crate) fn new(
        bounds: &Bounds,
        full_queues: Arc<FullQueues>,
        admission: Arc<Admission>,
        wait_time: WaitTime,
    ) -> Self {
        let inner =
            AppQueueInner { messages: VecDeque::new(), bytes: 0, wait_time, reader: Reader::default() };
        let Bounds { max_output_items, max_output_bytes, .. } = *bounds;
        let backpressure = Backpressure::new(max_output_items, max_output_bytes, admission);
        let backpressure = backpressure.counted_in(full_queues);
        Self { inner: Mutex::new(inner), backpressure }
    }

    /// Moves all of `messages` to the queue, full or not. Drops them if it is closed.
    pub(crate) fn extend(&self, messages: &mut Vec<PendingDelivery<N>>) {
        if messages.is_empty() {
            return;
        }
        let mut inner = lock(&self.inner);
        if inner.reader.is_closed() {
            messages.clear();
        } else {
            let ahead = inner.messages.len();
            inner.wait_time.pushed(0, ahead);
            inner.bytes += messages.iter().map(|message| message.charge.bytes()).sum::<usize>();
            inner.messages.extend(messages.drain(..));
            self.backpressure.set(inner.messages.len(), inner.bytes);
            wake(inner, |inner| inner.reader.take_waker());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.backpressure.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.backpressure.bytes()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.backpressure.is_full()
    }

    /// Accepts no more messages: the stream ends when the queued ones are read.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        wake(inner, |inner| inner.reader.take_waker());
    }

    /// The reader is gone: discards what is queued and all later messages.
    pub(crate) fn detach(&self) {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        let unread = std::mem::take(&mut inner.messages);
        inner.bytes = 0;
        self.backpressure.set(0, 0);
        drop(inner);
        drop(unread);
    }

    pub(crate) fn try_pop(&self) -> Option<AppOutput<N>> {
        self.pop(&mut lock(&self.inner))
    }

    /// The next message; `None` once the queue is closed and empty.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<AppOutput<N>>> {
        let mut inner = lock(&self.inner);
        let next = self.pop(&mut inner);
        inner.reader.poll(next, cx)
    }

    fn pop(&self, inner: &mut AppQueueInner<N>) -> Option<AppOutput<N>> {
        let next = take_first(&mut inner.messages);
        if let Some(delivery) = &next {
            inner.wait_time.popped(0);
            inner.bytes -= delivery.charge.bytes();
        }
        self.backpressure.set(inner.messages.len(), inner.bytes);
        next.map(|delivery| delivery.message)
    }
}

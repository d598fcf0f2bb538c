//! The queue of the p2p stream. The most urgent lane is read first, and a full queue drops the least urgent outputs.
//! Control messages of open connections are never dropped: admission control refuses inputs when they alone exceed the
//! limit. Those of closed connections are removed when there are many.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use super::{
    backpressure::Backpressure,
    publication::DropReason,
    reader::{Reader, lock, take_first, wake},
    wait_time::WaitTime,
};
use crate::{
    admission::Admission,
    network::Network,
    protocol::{
        connection::ConnectionIndex,
        output::{Lane, pending::PendingOutput},
    },
};

/// The outputs for the p2p layer.
pub(crate) struct P2pQueue<N: Network> {
    inner: Mutex<P2pQueueInner<N>>,
    /// The number of items, readable without the lock. Only control messages can make it exceed `limit`.
    backpressure: Backpressure,
    /// The number of items, one a recipient, above which the least urgent outputs are dropped.
    limit: usize,
}

/// The queue of the control lane, in which each output takes the room of one item.
const CONTROL: usize = 0;

struct P2pQueueInner<N: Network> {
    /// By [`PendingOutput::queue_index`], each in order of arrival.
    lanes: [VecDeque<PendingOutput<N>>; Lane::QUEUES],
    /// The items of all lanes: one for each recipient of each output.
    items: usize,
    /// The least number of control outputs since those of closed connections were last removed. They are removed again when
    /// it has doubled, so that each output is looked at about twice.
    least_control: usize,
    wait_time: WaitTime,
    reader: Reader,
}

impl<N: Network> P2pQueue<N> {
    /// An empty queue for at most `limit` items.
    pub(crate) fn new(limit: usize, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        let (items, least_control, reader) = (0, 0, Reader::default());
        let inner = Mutex::new(P2pQueueInner { lanes, items, least_control, wait_time, reader });
        Self { inner, backpressure: Backpressure::new(limit.saturating_add(1), admission), limit }
    }

    /// Adds outputs. Calls `dropped` with the reason for each output, old or new, that has no room or whose connection is not
    /// among the open ones, and for all if the queue is closed.
    pub(crate) fn extend<I: Deref<Target = ConnectionIndex<N::Peer>>>(
        &self,
        outputs: impl IntoIterator<Item = PendingOutput<N>>,
        open_connections: impl FnOnce() -> I,
        mut dropped: impl FnMut(&PendingOutput<N>, DropReason),
    ) {
        let mut inner = lock(&self.inner);
        if inner.reader.is_closed() {
            drop(inner);
            outputs.into_iter().for_each(|output| dropped(&output, DropReason::StreamClosed));
            return;
        }
        let mut no_room = |output: &PendingOutput<N>| dropped(output, DropReason::OutputQueueFull);
        for output in outputs {
            if inner.make_room(&output, self.limit, &mut no_room) {
                inner.push(output);
            } else {
                no_room(&output);
            }
        }
        if inner.lanes[CONTROL].len() > self.limit.max(2 * inner.least_control) {
            inner.sweep(&open_connections(), |output| dropped(output, DropReason::Disconnected));
        }
        let readable = inner.items > 0;
        self.backpressure.set(inner.items);
        wake(inner, |inner| if readable { inner.reader.take_waker() } else { None });
    }

    pub(crate) fn len(&self) -> usize {
        self.backpressure.len()
    }

    /// Whether control messages alone exceed the limit.
    pub(crate) fn control_overflow(&self) -> bool {
        self.backpressure.is_full()
    }

    /// Accepts no more outputs: the stream ends when the queued ones are read.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        wake(inner, |inner| inner.reader.take_waker());
    }

    /// The reader is gone: closes the queue and returns what is queued.
    pub(crate) fn detach(&self) -> Vec<PendingOutput<N>> {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        let unread = std::iter::from_fn(|| inner.pop()).collect();
        self.backpressure.set(0);
        unread
    }

    pub(crate) fn try_pop(&self) -> Option<PendingOutput<N>> {
        self.pop(&mut lock(&self.inner))
    }

    /// The next output; `None` once the queue is closed and empty.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<PendingOutput<N>>> {
        let mut inner = lock(&self.inner);
        let next = self.pop(&mut inner);
        inner.reader.poll(next, cx)
    }

    fn pop(&self, inner: &mut P2pQueueInner<N>) -> Option<PendingOutput<N>> {
        let next = inner.pop();
        self.backpressure.set(inner.items);
        next
    }
}

impl<N: Network> P2pQueueInner<N> {
    fn push(&mut self, output: PendingOutput<N>) {
        let lane = output.queue_index();
        self.items += output.count();
        self.wait_time.pushed(lane, self.lanes[lane].len());
        self.lanes[lane].push_back(output);
    }

    fn pop(&mut self) -> Option<PendingOutput<N>> {
        let lanes = self.lanes.iter_mut().enumerate();
        let (lane, output) = { lanes }.find_map(|(lane, outputs)| Some((lane, take_first(outputs)?)))?;
        self.items -= output.count();
        self.least_control = self.least_control.min(self.lanes[CONTROL].len());
        self.wait_time.popped(lane);
        Some(output)
    }

    /// Removes the control outputs of closed connections.
    fn sweep(&mut self, open: &ConnectionIndex<N::Peer>, mut dropped: impl FnMut(&PendingOutput<N>)) {
        let before = self.lanes[CONTROL].len();
        self.lanes[CONTROL].retain(|output| {
            let is_closed = output.is_for_closed(open);
            if is_closed {
                dropped(output);
            }
            !is_closed
        });
        self.least_control = self.lanes[CONTROL].len();
        self.items -= before - self.least_control;
        self.wait_time.swept(CONTROL);
    }

    /// Drops less urgent outputs, the newest first, until there is room for `output`. Returns whether `output` is to be
    /// queued: control messages are in any case.
    fn make_room(
        &mut self,
        output: &PendingOutput<N>,
        limit: usize,
        dropped: &mut impl FnMut(&PendingOutput<N>),
    ) -> bool {
        let lane = output.lane();
        let needed = output.count();
        while self.items + needed > limit {
            let newest =
                |index: &usize| Some((*index, self.lanes[*index].pop_back()?, self.lanes[*index].len()));
            match lane.drop_order().iter().find_map(newest) {
                Some((index, victim, remaining)) => {
                    self.items -= victim.count();
                    self.wait_time.dropped(index, remaining);
                    dropped(&victim);
                }
                None => return lane == Lane::Control,
            }
        }
        true
    }
}

//! The queue of the p2p stream. The most urgent lane is read first, in it the topics that are sent first, and a full queue
//! drops the least urgent outputs.
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
    limits::Bounds,
    network::Network,
    protocol::{
        connection::ConnectionIndex,
        output::{Lane, pending::PendingOutput},
    },
};

/// The outputs for the p2p layer.
pub(crate) struct P2pQueue<N: Network> {
    inner: Mutex<P2pQueueInner<N>>,
    /// The number of items and their bytes, readable without the lock. Only control messages can make them exceed `limits`.
    backpressure: Backpressure,
    limits: QueueLimits,
}

/// The items, one a recipient, and the bytes above which the least urgent outputs are dropped.
#[derive(Clone, Copy)]
struct QueueLimits {
    items: usize,
    bytes: usize,
}

/// An output and the bytes that it keeps in memory.
pub(crate) struct SizedOutput<N: Network> {
    pub(crate) output: PendingOutput<N>,
    pub(crate) bytes: usize,
}

/// The queue of the control lane, in which each output takes the room of one item.
const CONTROL: usize = 0;

struct P2pQueueInner<N: Network> {
    /// By [`PendingOutput::queue_index`], each in order of arrival.
    lanes: [VecDeque<SizedOutput<N>>; Lane::QUEUES],
    /// The items of all lanes: one for each recipient of each output.
    items: usize,
    /// The bytes of all lanes. A message to several recipients is in memory once.
    bytes: usize,
    /// The least number of control outputs since those of closed connections were last removed. They are removed again when
    /// it has doubled, so that each output is looked at about twice.
    least_control: usize,
    wait_time: WaitTime,
    reader: Reader,
}

impl<N: Network> P2pQueue<N> {
    /// An empty queue for at most `max_output_items` items and `max_output_bytes`.
    pub(crate) fn new(bounds: &Bounds, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let limits = QueueLimits { items: bounds.max_output_items, bytes: bounds.max_output_bytes };
        let lanes = std::array::from_fn(|_| VecDeque::new());
        let inner = P2pQueueInner {
            lanes,
            items: 0,
            bytes: 0,
            least_control: 0,
            wait_time,
            reader: Reader::default(),
        };
        let above = |limit: usize| limit.saturating_add(1);
        let backpressure = Backpressure::new(above(limits.items), above(limits.bytes), admission);
        Self { inner: Mutex::new(inner), backpressure, limits }
    }

    /// Adds outputs. Calls `dropped` with the reason for each output, old or new, that has no room or whose connection is not
    /// among the open ones, and for all if the queue is closed.
    pub(crate) fn extend<I: Deref<Target = ConnectionIndex<N::Peer>>>(
        &self,
        outputs: impl IntoIterator<Item = SizedOutput<N>>,
        open_connections: impl FnOnce() -> I,
        mut dropped: impl FnMut(&PendingOutput<N>, DropReason),
    ) {
        let mut inner = lock(&self.inner);
        if inner.reader.is_closed() {
            drop(inner);
            outputs.into_iter().for_each(|sized| dropped(&sized.output, DropReason::StreamClosed));
            return;
        }
        let (mut without_room, mut without_connection) = (Vec::new(), VecDeque::new());
        for output in outputs {
            if inner.make_room(&output, self.limits, &mut without_room) {
                inner.push(output);
            } else {
                without_room.push(output);
            }
        }
        let control = inner.lanes[CONTROL].len();
        let above_limit = control > self.limits.items || inner.bytes > self.limits.bytes;
        if above_limit && control > 2 * inner.least_control {
            without_connection = inner.sweep(&open_connections());
        }
        let readable = inner.items > 0;
        self.backpressure.set(inner.items, inner.bytes);
        wake(inner, |inner| if readable { inner.reader.take_waker() } else { None });
        // Without the lock, because this may call the application.
        without_room.iter().for_each(|sized| dropped(&sized.output, DropReason::OutputQueueFull));
        without_connection.iter().for_each(|sized| dropped(&sized.output, DropReason::Disconnected));
    }

    pub(crate) fn len(&self) -> usize {
        self.backpressure.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.backpressure.bytes()
    }

    /// Whether control messages alone exceed a limit.
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
        self.backpressure.set(0, 0);
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
        self.backpressure.set(inner.items, inner.bytes);
        next
    }
}

impl<N: Network> P2pQueueInner<N> {
    fn push(&mut self, sized: SizedOutput<N>) {
        let lane = sized.output.queue_index();
        self.items += sized.output.count();
        self.bytes += sized.bytes;
        self.wait_time.pushed(lane, self.lanes[lane].len());
        self.lanes[lane].push_back(sized);
    }

    fn pop(&mut self) -> Option<PendingOutput<N>> {
        let lanes = self.lanes.iter_mut().enumerate();
        let (lane, SizedOutput { output, bytes }) =
            { lanes }.find_map(|(lane, outputs)| Some((lane, take_first(outputs)?)))?;
        self.items -= output.count();
        self.bytes -= bytes;
        self.least_control = self.least_control.min(self.lanes[CONTROL].len());
        self.wait_time.popped(lane);
        Some(output)
    }

    /// Removes the control outputs of closed connections.
    fn sweep(&mut self, open: &ConnectionIndex<N::Peer>) -> VecDeque<SizedOutput<N>> {
        let control = std::mem::take(&mut self.lanes[CONTROL]);
        let (closed, rest) = control.into_iter().partition(|sized| sized.output.is_for_closed(open));
        self.lanes[CONTROL] = rest;
        self.least_control = self.lanes[CONTROL].len();
        for sized in &closed {
            self.items -= sized.output.count();
            self.bytes -= sized.bytes;
        }
        self.wait_time.swept(CONTROL);
        closed
    }

    /// Drops less urgent outputs, the newest first, until there is room for `output`. Returns whether `output` is to be
    /// queued: control messages are in any case.
    fn make_room(
        &mut self,
        sized: &SizedOutput<N>,
        limits: QueueLimits,
        dropped: &mut Vec<SizedOutput<N>>,
    ) -> bool {
        let (lane, sent_first) = (sized.output.lane(), sized.output.is_sent_first());
        let needed = sized.output.count();
        // An empty queue takes one output of any size.
        while self.items + needed > limits.items
            || (self.bytes > 0 && self.bytes + sized.bytes > limits.bytes)
        {
            let newest =
                |index: &usize| Some((*index, self.lanes[*index].pop_back()?, self.lanes[*index].len()));
            match lane.drop_order(sent_first).iter().find_map(newest) {
                Some((index, victim, remaining)) => {
                    self.items -= victim.output.count();
                    self.bytes -= victim.bytes;
                    self.wait_time.dropped(index, remaining);
                    dropped.push(victim);
                }
                None => return lane == Lane::Control,
            }
        }
        true
    }
}

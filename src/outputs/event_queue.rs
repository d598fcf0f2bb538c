//! The queues of engine events for those who subscribed to them. A full queue drops further events and reports their number,
//! so that no subscriber delays the engine.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use derive_where::derive_where;

use super::{
    reader::{Reader, lock, take_first, wake},
    shared_room::SharedRoom,
};
use crate::{
    network::Network,
    protocol::{event::Event, outcome::decision::EventRecord},
};

/// An item for the subscribers to the events of an engine ([`Worker::subscribe_events`](crate::Worker::subscribe_events)).
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EngineEvent<N: Network> {
    /// An event, as the observer gets it ([`WorkerBuilder::observer`](crate::WorkerBuilder::observer)), except inputs.
    Event(Event<N>),
    /// A decision about a peer with its reason, a join or a leave, as [`Worker::events`](crate::Worker::events) has it; if
    /// [`WorkerBuilder::message_events`](crate::WorkerBuilder::message_events) is set, also an event about a message. A
    /// repeated event is sent each time, with the number of its repetitions. Without an event log (`bounds.max_decisions` or
    /// `bounds.max_decisions_per_peer` is 0) only events about messages are sent.
    Record(EventRecord<N>),
    /// The subscriber did not keep up: this number of events is missing here.
    Missed {
        /// Their number.
        count: u64,
    },
}

/// The subscribers of one engine.
pub(crate) struct EventSubscribers<N: Network> {
    queues: Mutex<Vec<Arc<EventQueue<N>>>>,
    /// The number of queues: while it is 0, no event is copied.
    count: AtomicUsize,
    /// The engine has ended.
    closed: AtomicBool,
    /// The room of all queues.
    room: Arc<SharedRoom>,
}

/// The readers that wait for an event that was queued.
#[must_use = "the readers are to be woken"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The events for one subscriber.
pub(crate) struct EventQueue<N: Network> {
    max: usize,
    inner: Mutex<Inner<N>>,
    /// The room of all queues.
    room: Arc<SharedRoom>,
    /// The number of this one there.
    stream: u64,
}

#[derive_where(Default)]
struct Inner<N: Network> {
    events: VecDeque<EngineEvent<N>>,
    /// The events that had no room behind the queued ones.
    missed: u64,
    reader: Reader,
}

impl<N: Network> EventSubscribers<N> {
    /// Without subscribers. All of them will have at most `max_unread` events.
    pub(crate) fn new(max_unread: usize) -> Self {
        let room = Arc::new(SharedRoom::new(max_unread, usize::MAX));
        Self { queues: Mutex::default(), count: AtomicUsize::new(0), closed: AtomicBool::new(false), room }
    }

    /// The unread events of all subscribers.
    pub(crate) fn unread(&self) -> usize {
        self.room.items()
    }

    /// A queue that gets all events from now on, and has at most `max` of them, or 1 if that is 0.
    pub(crate) fn subscribe(&self, max: usize) -> Arc<EventQueue<N>> {
        let (room, stream) = (Arc::clone(&self.room), self.room.new_stream());
        let queue = Arc::new(EventQueue { max: max.max(1), inner: Mutex::default(), room, stream });
        let mut queues = lock(&self.queues);
        queues.push(Arc::clone(&queue));
        self.count.store(queues.len(), Ordering::Release);
        drop(queues);
        if self.closed.load(Ordering::Acquire) {
            queue.close();
        }
        queue
    }

    /// The reader of a queue is gone.
    pub(crate) fn unsubscribe(&self, queue: &Arc<EventQueue<N>>) {
        let mut queues = lock(&self.queues);
        queues.retain(|other| !Arc::ptr_eq(other, queue));
        self.count.store(queues.len(), Ordering::Release);
    }

    /// Queues an event for all subscribers. The caller wakes them when it has no lock any more: a waker runs code of the
    /// application.
    pub(crate) fn publish(&self, make: impl Fn() -> EngineEvent<N>) -> Wakers {
        if self.count.load(Ordering::Acquire) == 0 {
            return Wakers(Vec::new());
        }
        let queues = lock(&self.queues).clone();
        Wakers(queues.iter().filter_map(|queue| queue.push(&make)).collect())
    }

    /// Ends all streams: the engine has ended.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let queues = lock(&self.queues).clone();
        queues.iter().for_each(|queue| queue.close());
    }
}

impl<N: Network> EventQueue<N> {
    fn push(&self, make: impl Fn() -> EngineEvent<N>) -> Option<Waker> {
        let mut inner = lock(&self.inner);
        if inner.events.len() >= self.max || !self.room.try_add(self.stream, 0) {
            inner.missed += 1;
            return None;
        }
        if inner.missed > 0 {
            let count = mem::take(&mut inner.missed);
            inner.events.push_back(EngineEvent::Missed { count });
        }
        inner.events.push_back(make());
        inner.reader.take_waker()
    }

    fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        wake(inner, |inner| inner.reader.take_waker());
    }

    pub(crate) fn len(&self) -> usize {
        let inner = lock(&self.inner);
        inner.events.len() + usize::from(inner.missed > 0)
    }

    pub(crate) fn try_pop(&self) -> Option<EngineEvent<N>> {
        self.pop(&mut lock(&self.inner))
    }

    /// The next event; `None` once the engine has ended and all are read.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<EngineEvent<N>>> {
        let mut inner = lock(&self.inner);
        let next = self.pop(&mut inner);
        inner.reader.poll(next, cx)
    }

    fn pop(&self, inner: &mut Inner<N>) -> Option<EngineEvent<N>> {
        let Some(next) = take_first(&mut inner.events) else {
            let count = mem::take(&mut inner.missed);
            return (count > 0).then_some(EngineEvent::Missed { count });
        };
        self.release(&next);
        Some(next)
    }

    /// An event is in the queue no longer. Each number of missed events is followed by an event, which counts for both.
    fn release(&self, event: &EngineEvent<N>) {
        if !matches!(event, EngineEvent::Missed { .. }) {
            self.room.remove(self.stream, 0);
        }
    }
}

impl<N: Network> Drop for EventQueue<N> {
    fn drop(&mut self) {
        let unread = mem::take(&mut lock(&self.inner).events);
        unread.iter().for_each(|event| self.release(event));
    }
}

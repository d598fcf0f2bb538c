//! The queue of one topic's messages for the application that subscribed to this topic. When it is full, admission refuses
//! the messages of this topic only, or the queue drops them.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use super::{
    backpressure::FullQueues,
    reader::{Reader, lock, take_first},
    shared_room::SharedRoom,
};
use crate::{
    admission::{Admission, charge::Charge},
    limits::{InvalidLimits, check::Violations},
    network::{AppOutput, Network},
    protocol::output::pending::PendingDelivery,
};

/// The treatment of a topic's messages while its subscriber has too many unread ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The engine refuses the topic's messages when they arrive ([`Refused::SubscriberBehind`](crate::Refused::SubscriberBehind)):
    /// they are neither validated nor forwarded nor remembered, so that a peer may offer them again by IHAVE. No message that
    /// was accepted is lost, and this node stops to relay the topic until the subscriber reads.
    #[default]
    Refuse,
    /// The engine validates and forwards the topic's messages as always, and does not deliver them. They are counted
    /// ([`TopicMessages::dropped`](crate::TopicMessages::dropped)).
    Drop,
}

/// The settings of a subscription to one topic ([`Worker::subscribe_with`](crate::Worker::subscribe_with)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionConfig {
    /// Most unread messages; by default 1,024. Above 0.
    pub max_items: usize,
    /// Most bytes of the unread messages, by their size in memory; by default 4 MiB. Above 0. An empty queue takes one message
    /// of any size. These bytes do not count for `bounds.max_input_bytes`: an unread topic takes no room from other topics.
    ///
    /// With [`WhenFull::Refuse`] the messages that were accepted before the subscription became full are delivered too. What
    /// exceeds `max_items` or `max_bytes` then is at most what `bounds.max_input_items` and `bounds.max_input_bytes` allow,
    /// and counts there until it is read.
    ///
    /// All subscriptions together have `bounds.max_subscribed_items` and `bounds.max_subscribed_bytes`, of which one has at
    /// most about half. A subscription without room there takes one more message, and is full until that is read.
    pub max_bytes: usize,
    /// The treatment of further messages; by default they are refused.
    pub when_full: WhenFull,
    /// Whether the topic is left when the subscription ends because its stream is dropped; by default true. Otherwise the
    /// topic stays joined, and its messages go to [`AppOutputs`](crate::AppOutputs) again.
    pub leave_on_drop: bool,
}

impl SubscriptionConfig {
    /// Applies `change` and returns the result: `SubscriptionConfig::default().with(|c| c.max_items = 16)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// # Errors
    /// Some values are not allowed: all of them are listed.
    pub(crate) fn check(&self) -> Result<(), InvalidLimits> {
        let mut violations = Violations::default();
        violations.positive("max_items", self.max_items);
        violations.positive("max_bytes", self.max_bytes);
        violations.into_result()
    }
}

impl Default for SubscriptionConfig {
    fn default() -> Self {
        Self { max_items: 1024, max_bytes: 4 << 20, when_full: WhenFull::Refuse, leave_on_drop: true }
    }
}

/// The messages of one subscription.
pub(crate) struct TopicQueue<N: Network> {
    config: SubscriptionConfig,
    inner: Mutex<Inner<N>>,
    full_queues: Arc<FullQueues>,
    /// Its waiters are notified when the queue is no longer full.
    admission: Arc<Admission>,
    /// The room of all subscriptions.
    room: Arc<SharedRoom>,
    /// The number of this one there.
    stream: u64,
}

struct Inner<N: Network> {
    messages: VecDeque<Queued<N>>,
    bytes: usize,
    /// The messages that exceed a limit.
    without_room: usize,
    /// The messages that were dropped because the queue was full.
    dropped: u64,
    /// The reader is gone.
    detached: bool,
    /// Counted in `full_queues`.
    full: bool,
    reader: Reader,
}

struct Queued<N: Network> {
    message: AppOutput<N>,
    bytes: usize,
    /// For a message that exceeds the limits of the queue or of all subscriptions: it counts for the limits of the engine
    /// until it is read. `None`: it counts for those.
    charge: Option<Charge>,
}

impl<N: Network> TopicQueue<N> {
    fn new(
        config: SubscriptionConfig,
        full_queues: Arc<FullQueues>,
        admission: Arc<Admission>,
        room: Arc<SharedRoom>,
    ) -> Self {
        let inner = Inner {
            messages: VecDeque::new(),
            bytes: 0,
            without_room: 0,
            dropped: 0,
            detached: false,
            full: false,
            reader: Reader::default(),
        };
        let stream = room.new_stream();
        Self { config, inner: Mutex::new(inner), full_queues, admission, room, stream }
    }

    pub(crate) fn config(&self) -> &SubscriptionConfig {
        &self.config
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        lock(&self.inner).bytes
    }

    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.inner).dropped
    }

    /// The number of unread messages, if the queue is full and the topic's messages must be refused.
    pub(crate) fn refuses(&self) -> Option<usize> {
        let inner = lock(&self.inner);
        inner.full.then_some(inner.messages.len())
    }

    pub(crate) fn try_pop(&self) -> Option<AppOutput<N>> {
        let mut inner = lock(&self.inner);
        let next = self.pop(&mut inner);
        self.update_full(inner);
        next.map(|queued| queued.message)
    }

    /// The next message; `None` once nothing more can come and all are read.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<AppOutput<N>>> {
        let mut inner = lock(&self.inner);
        let next = self.pop(&mut inner);
        let next = inner.reader.poll(next, cx);
        self.update_full(inner);
        next.map(|queued| queued.map(|queued| queued.message))
    }

    /// The reader is gone. Discards what is queued and returns the number of these messages.
    pub(crate) fn detach(&self) -> usize {
        let mut inner = lock(&self.inner);
        inner.detached = true;
        inner.bytes = 0;
        inner.without_room = 0;
        let unread = mem::take(&mut inner.messages);
        unread.iter().for_each(|queued| self.release(queued));
        self.update_full(inner);
        unread.len()
    }

    fn pop(&self, inner: &mut Inner<N>) -> Option<Queued<N>> {
        let next = take_first(&mut inner.messages)?;
        inner.bytes -= next.bytes;
        inner.without_room -= usize::from(next.charge.is_some());
        self.release(&next);
        Some(next)
    }

    /// A message is in the queue no longer.
    fn release(&self, queued: &Queued<N>) {
        if queued.charge.is_none() {
            self.room.remove(self.stream, queued.bytes);
        }
    }

    /// Nothing more can come: the stream ends when the queued messages are read.
    fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.reader.close();
        let waker = inner.reader.take_waker();
        self.update_full(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    fn extend(&self, messages: &mut Vec<PendingDelivery<N>>) -> Outcome {
        let mut inner = lock(&self.inner);
        if inner.detached {
            return if self.config.leave_on_drop { Outcome::Leaving } else { Outcome::Ended };
        }
        let mut without_room = 0;
        for delivery in messages.iter_mut() {
            let bytes = delivery.charge.bytes();
            let fits = inner.fits(bytes, &self.config) && self.room.try_add(self.stream, bytes);
            if fits {
                // The charge ends with `messages`, after the lock is released.
                inner.push(Arc::clone(&delivery.message), bytes, None);
            } else if self.config.when_full == WhenFull::Refuse || inner.messages.is_empty() {
                let charge = mem::take(&mut delivery.charge);
                inner.push(Arc::clone(&delivery.message), bytes, Some(charge));
            } else {
                without_room += 1;
            }
        }
        inner.dropped += without_room as u64;
        let waker = inner.reader.take_waker();
        self.update_full(inner);
        waker.into_iter().for_each(Waker::wake);
        messages.clear();
        Outcome::Queued { without_room }
    }

    /// Counts the queue as full or not, and releases its lock.
    fn update_full(&self, mut inner: MutexGuard<'_, Inner<N>>) {
        let full = self.config.when_full == WhenFull::Refuse
            && !inner.detached
            && !inner.reader.is_closed()
            && (inner.messages.len() >= self.config.max_items
                || inner.bytes >= self.config.max_bytes
                || inner.without_room > 0);
        let before = mem::replace(&mut inner.full, full);
        if full != before {
            self.full_queues.changed(full);
        }
        drop(inner);
        if before && !full {
            self.admission.notify_waiters();
        }
    }
}

impl<N: Network> Inner<N> {
    /// Whether there is room for a message of `bytes`.
    fn fits(&self, bytes: usize, config: &SubscriptionConfig) -> bool {
        self.messages.is_empty()
            || self.messages.len() < config.max_items && self.bytes.saturating_add(bytes) <= config.max_bytes
    }

    fn push(&mut self, message: AppOutput<N>, bytes: usize, charge: Option<Charge>) {
        self.bytes += bytes;
        self.without_room += usize::from(charge.is_some());
        self.messages.push_back(Queued { message, bytes, charge });
    }
}

/// The outcome of messages for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are queued, except this number of them, which were dropped because the queue was full.
    Queued { without_room: usize },
    /// The reader is gone and the topic is about to be left: they are dropped.
    Leaving,
    /// The reader is gone and the topic stays joined.
    Ended,
}

/// The sending side of a subscription. The topic's actor and the topic table share one; the stream ends when both have
/// dropped it, because the topic was left or given up, another subscription took its place, or the engine has ended.
pub(crate) struct TopicSender<N: Network>(Arc<TopicQueue<N>>);

impl<N: Network> TopicSender<N> {
    /// A subscription and its queue.
    pub(crate) fn new(
        config: SubscriptionConfig,
        full_queues: &Arc<FullQueues>,
        admission: &Arc<Admission>,
        room: &Arc<SharedRoom>,
    ) -> (Self, Arc<TopicQueue<N>>) {
        let (full_queues, admission, room) =
            (Arc::clone(full_queues), Arc::clone(admission), Arc::clone(room));
        let queue = Arc::new(TopicQueue::new(config, full_queues, admission, room));
        (Self(Arc::clone(&queue)), queue)
    }

    /// Delivers messages. Leaves them to the caller if the reader is gone.
    pub(crate) fn deliver(&self, messages: &mut Vec<PendingDelivery<N>>) -> Outcome {
        self.0.extend(messages)
    }

    /// Whether this sends to `queue`.
    pub(crate) fn sends_to(&self, queue: &Arc<TopicQueue<N>>) -> bool {
        Arc::ptr_eq(&self.0, queue)
    }

    /// See [`TopicQueue::refuses`].
    pub(crate) fn refuses(&self) -> Option<usize> {
        self.0.refuses()
    }
}

impl<N: Network> Drop for TopicSender<N> {
    fn drop(&mut self) {
        self.0.close();
    }
}

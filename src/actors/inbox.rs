//! The queue in front of an actor, and the count of the actors that have work. However many items arrive in a burst,
//! the actor's task is woken once.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll, Waker},
};

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context, WrapFuture};
use tokio::sync::Notify;

use crate::timestamp::Timestamp;

/// An empty queue keeps the capacity for about this many items at most.
const RETAINED_CAPACITY: usize = 1024;

// === The queue ===

/// An actor's queue.
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    busy_count: Arc<BusyCount>,
}

struct State<T> {
    items: VecDeque<T>,
    /// The arrival time of the first queued item that asked for one.
    first_arrival: Option<Timestamp>,
    /// Wakes the actor's task, once that runs. An actix message would cost two allocations a wake-up.
    waker: Option<Waker>,
    /// The task was woken and has not drained the queue since.
    wake_pending: bool,
    /// The largest recent number of items drained at once.
    recent_max: usize,
    closed: bool,
    /// Exists from the first item until all items are handled and their results sent: one for all items, so that an
    /// item costs none.
    busy: Option<BusyGuard>,
    /// The number of items that a scheduler lets the actor drain next; `None` without a scheduler.
    #[cfg(feature = "simulation")]
    granted: Option<usize>,
}

impl<T> Inbox<T> {
    pub(crate) fn new(busy_count: Arc<BusyCount>) -> Self {
        let state = State {
            items: VecDeque::new(),
            first_arrival: None,
            waker: None,
            wake_pending: false,
            recent_max: 0,
            closed: false,
            busy: None,
            #[cfg(feature = "simulation")]
            granted: None,
        };
        Self { state: Mutex::new(state), busy_count }
    }

    /// Appends an item.
    ///
    /// # Errors
    /// The inbox is closed: the item is returned.
    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        self.add(&mut state, item);
        Ok(())
    }

    /// Appends items, in order. Drops them if the inbox is closed.
    pub(crate) fn extend(&self, items: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        if !state.closed {
            items.into_iter().for_each(|item| self.add(&mut state, item));
        }
    }

    /// Appends an item that carries no arrival time: all such items that are drained together count as arrived with the
    /// first of them, because reading the clock costs a tenth of handling a message. The item is dropped if the inbox
    /// is closed. Neither `now` nor `make` may use this inbox.
    #[inline(always)]
    pub(crate) fn push_with_arrival_time(&self, now: impl FnOnce() -> Timestamp, make: impl FnOnce() -> T) {
        let mut state = self.lock();
        if !state.closed {
            state.first_arrival.get_or_insert_with(now);
            self.add(&mut state, make());
        }
    }

    /// The number of queued items.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Closes the inbox and drops what is queued. The actor's task is woken, and then [ends](PollInbox).
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let remaining = (std::mem::take(&mut state.items), state.busy.take());
        let waker = state.waker.take();
        drop(state);
        drop(remaining);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether the inbox is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Moves all queued items into `buffer`, which must be empty. Returns the arrival time of the first
    /// [item without one](Self::push_with_arrival_time). The next item wakes `waker`.
    pub(crate) fn drain(&self, buffer: &mut VecDeque<T>, waker: &Waker) -> Option<Timestamp> {
        debug_assert!(buffer.is_empty());
        let mut state = self.lock();
        state.set_waker(waker);
        state.wake_pending = false;
        #[cfg(feature = "simulation")]
        if state.granted.is_some() {
            return state.drain_granted(buffer);
        }
        if !state.items.is_empty() {
            std::mem::swap(&mut state.items, buffer);
            state.recent_max = buffer.len().max(state.recent_max - state.recent_max.div_ceil(8));
        }
        state.first_arrival.take()
    }

    /// Declares that the actor has handled what it drained and sent the results. If nothing arrived since, returns the
    /// guard that counted the actor as busy, if there was one. Queue and `buffer`, the empty buffer of
    /// [`drain`](Self::drain), give excess capacity back.
    #[must_use]
    pub(crate) fn try_idle(&self, buffer: &mut VecDeque<T>) -> Option<BusyGuard> {
        debug_assert!(buffer.is_empty());
        let mut state = self.lock();
        if !state.items.is_empty() {
            return None;
        }
        let capacity = state.recent_max.clamp(4, RETAINED_CAPACITY);
        shrink(&mut state.items, capacity);
        shrink(buffer, capacity);
        state.busy.take()
    }

    #[inline(always)]
    fn add(&self, state: &mut State<T>, item: T) {
        state.items.push_back(item);
        state.busy.get_or_insert_with(|| BusyGuard::new(&self.busy_count));
        state.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while this lock is taken.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Keeps the waker if it wakes the same task, as it nearly always does.
    fn set_waker(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    fn wake(&mut self) {
        #[cfg(feature = "simulation")]
        if self.granted == Some(0) {
            return;
        }
        if !self.wake_pending
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
            self.wake_pending = true;
        }
    }
}

/// The mailbox of an actor that a scheduler runs: items wait until they are granted.
#[cfg(feature = "simulation")]
impl<T> Inbox<T> {
    /// From now on the actor is woken and drains items only after a [`grant`](Self::grant).
    pub(crate) fn start_scheduling(&self) {
        self.lock().granted = Some(0);
    }

    /// Lets the actor drain at most `items` items, and wakes it.
    pub(crate) fn grant(&self, items: usize) {
        let mut state = self.lock();
        state.granted = Some(items);
        state.wake();
    }
}

#[cfg(feature = "simulation")]
impl<T> State<T> {
    /// Moves the granted items into `buffer`. Those that remain count as arrived with the first of all.
    fn drain_granted(&mut self, buffer: &mut VecDeque<T>) -> Option<Timestamp> {
        let granted = self.granted.replace(0).unwrap_or(0);
        buffer.extend(self.items.drain(..granted.min(self.items.len())));
        let first_arrival = self.first_arrival.filter(|_| !buffer.is_empty());
        if self.items.is_empty() {
            self.first_arrival = None;
        }
        first_arrival
    }
}

/// Frees a queue that is much larger than recent batches. One that fits them stays: growing it again for each batch
/// costs more than everything else here. The whole allocation goes, because what arrives next needs far less.
fn shrink<T>(queue: &mut VecDeque<T>, capacity: usize) {
    if queue.capacity() > 4 * capacity {
        *queue = VecDeque::new();
    }
}

// === How an actor reads it ===

/// An actor that has an inbox.
pub(crate) trait InboxActor: Actor<Context = Context<Self>> {
    /// Handles a budget of queued items. Returns true to be polled again after yielding. Wake-ups are not seen while
    /// yielding, so an actor that ever returns true returns false only after it found the inbox empty.
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool;

    /// Whether the inbox is closed.
    fn is_inbox_closed(&self) -> bool;
}

/// The future that an actor with an inbox spawns when it starts. It is polled whenever the actor's task is woken. It stops
/// the actor once the inbox is closed.
pub(crate) struct PollInbox;

impl<A: InboxActor> ActorFuture<A> for PollInbox {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if actor.poll_inbox(ctx, task.waker()) {
            // The other tasks and timers of the arbiter run, then this future is polled again.
            ctx.wait(tokio::task::yield_now().into_actor(actor));
        } else if actor.is_inbox_closed() {
            ctx.stop();
        }
        Poll::Pending
    }
}

// === Who has work ===

/// The number of busy parts of an engine: inboxes with items that are not completely handled, actix messages on their
/// way that cause work, and validations that are awaited. At zero the engine is settled.
#[derive(Debug, Default)]
pub(crate) struct BusyCount {
    busy: AtomicUsize,
    idle: Notify,
}

impl BusyCount {
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// Waits until nothing is busy.
    pub(crate) async fn settled(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the check, so that no moment of idleness is missed.
            idle.as_mut().enable();
            if self.is_idle() {
                return;
            }
            idle.await;
        }
    }
}

/// Counts one part of the engine as busy until it is dropped.
pub(crate) struct BusyGuard {
    busy_count: Arc<BusyCount>,
}

impl BusyGuard {
    pub(crate) fn new(busy_count: &Arc<BusyCount>) -> Self {
        busy_count.busy.fetch_add(1, Ordering::AcqRel);
        Self { busy_count: Arc::clone(busy_count) }
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        if self.busy_count.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.busy_count.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_the_capacity_of_a_burst_for_a_while_and_then_frees_it() {
        let inbox = Inbox::new(Arc::default());
        let mut buffer = VecDeque::new();
        let mut burst = |items: usize| {
            inbox.extend(0..items);
            inbox.drain(&mut buffer, Waker::noop());
            buffer.clear();
            drop(inbox.try_idle(&mut buffer));
            inbox.lock().items.capacity() + buffer.capacity()
        };
        let capacity = (burst(1000), burst(1000)).1;
        assert!(capacity >= 2000);
        assert_eq!(burst(1), capacity, "the next burst may be as long");
        let after = (0..64).map(|_| burst(1)).last();
        assert!(after.is_some_and(|after| after <= 32), "{after:?}");
    }
}

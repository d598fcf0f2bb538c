//! A queue in front of an actor. However many items arrive in a burst, the actor's task is woken once.
//! Decides nothing about who may put what into it: that is admission's.

pub(crate) mod poll;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

use tokio::sync::Notify;

use crate::timestamp::Timestamp;

/// No empty queue keeps room for much more than this, however long it was.
const KEPT: usize = 1024;

/// An actor's queue.
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    load: Arc<BusyCount>,
}

struct State<T> {
    items: VecDeque<T>,
    /// When the first of them came that asked for it.
    since: Option<Timestamp>,
    /// The actor's task, once it runs: an actix message would be two allocations a wake-up.
    owner: Option<Waker>,
    /// Whether it was woken since it last looked.
    woken: bool,
    /// How many it took out at once, the most of late.
    taken: usize,
    closed: bool,
    /// SharedCredit from the first item until all are handled, and what follows from them is handed on: one for all,
    /// so that an item costs none.
    ticket: Option<BusyGuard>,
}

impl<T> Inbox<T> {
    pub(crate) fn new(load: Arc<BusyCount>) -> Self {
        let state = State {
            items: VecDeque::new(),
            since: None,
            owner: None,
            woken: false,
            taken: 0,
            closed: false,
            ticket: None,
        };
        Self { state: Mutex::new(state), load }
    }

    /// Puts an item at the end; gives it back if the inbox is closed.
    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        self.add(&mut state, item);
        Ok(())
    }

    /// Puts items at the end, in order; drops them if the inbox is closed.
    pub(crate) fn extend(&self, items: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        if !state.closed {
            items.into_iter().for_each(|item| self.add(&mut state, item));
        }
    }

    /// Puts an item at the end that carries no time: those that are taken out together came when the first of them
    /// did, give or take what they waited. Lost if the inbox is closed. Neither `now` nor `make` may look at this
    /// inbox.
    #[inline(always)]
    pub(crate) fn push_stamped(&self, now: impl FnOnce() -> Timestamp, make: impl FnOnce() -> T) {
        let mut state = self.lock();
        if !state.closed {
            state.since.get_or_insert_with(now);
            self.add(&mut state, make());
        }
    }

    /// Wakes its actor though nothing came.
    pub(crate) fn wake(&self) {
        self.lock().wake();
    }

    /// How many items nobody took out yet.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Closes it and drops what is in it.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.owner = None;
        let left = (std::mem::take(&mut state.items), state.ticket.take());
        drop(state);
        drop(left);
    }

    /// Takes everything that is in it, into an empty `into`; answers since when it waited, if an item was
    /// [stamped](Self::push_stamped). The next item wakes `owner`.
    pub(crate) fn take(&self, into: &mut VecDeque<T>, owner: &Waker) -> Option<Timestamp> {
        debug_assert!(into.is_empty());
        let mut state = self.lock();
        state.own(owner);
        state.woken = false;
        if !state.items.is_empty() {
            std::mem::swap(&mut state.items, into);
            state.taken = into.len().max(state.taken - state.taken.div_ceil(8));
        }
        state.since.take()
    }

    /// The actor has handled all that it took, and handed on what follows from it. It counts as load until the
    /// ticket is dropped, if there is one. `backlog`, into which it [took](Self::take), is empty: like the queue, it
    /// gives back room that is not needed.
    #[must_use]
    pub(crate) fn rest(&self, backlog: &mut VecDeque<T>) -> Option<BusyGuard> {
        debug_assert!(backlog.is_empty());
        let mut state = self.lock();
        if !state.items.is_empty() {
            return None;
        }
        let room = state.taken.clamp(4, KEPT);
        shrink(&mut state.items, room);
        shrink(backlog, room);
        state.ticket.take()
    }

    #[inline(always)]
    fn add(&self, state: &mut State<T>, item: T) {
        state.items.push_back(item);
        state.ticket.get_or_insert_with(|| BusyGuard::new(&self.load));
        state.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// A task's waker seldom changes.
    fn own(&mut self, owner: &Waker) {
        if self.owner.as_ref().is_none_or(|known| !known.will_wake(owner)) {
            self.owner = Some(owner.clone());
        }
    }

    fn wake(&mut self) {
        if !self.woken
            && let Some(owner) = &self.owner
        {
            owner.wake_by_ref();
            self.woken = true;
        }
    }
}

/// A burst long ago takes no room: there are as many inboxes as topics. One of late keeps its room: to grow anew for
/// each burst costs more than all else here, in malloc's locks too. All of it goes: what comes next needs far less.
fn shrink<T>(queue: &mut VecDeque<T>, room: usize) {
    if queue.capacity() > 4 * room {
        *queue = VecDeque::new();
    }
}

/// How many parts of an engine have something to do: inboxes that are not empty, or whose actor has not handled
/// all that it took, and verdicts that are awaited.
#[derive(Debug, Default)]
pub(crate) struct BusyCount {
    busy: AtomicUsize,
    idle: Notify,
}

impl BusyCount {
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn settled(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the look, so that no moment of idleness is missed.
            idle.as_mut().enable();
            if self.is_idle() {
                return;
            }
            idle.await;
        }
    }
}

/// One part's share of the load.
pub(crate) struct BusyGuard {
    load: Arc<BusyCount>,
}

impl BusyGuard {
    pub(crate) fn new(load: &Arc<BusyCount>) -> Self {
        load.busy.fetch_add(1, Ordering::AcqRel);
        Self { load: Arc::clone(load) }
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        if self.load.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.load.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_keeps_its_room_for_a_while_and_then_gives_it_back() {
        let inbox = Inbox::new(Arc::default());
        let mut backlog = VecDeque::new();
        let mut burst = |items: usize| {
            inbox.extend(0..items);
            inbox.take(&mut backlog, Waker::noop());
            backlog.clear();
            drop(inbox.rest(&mut backlog));
            inbox.lock().items.capacity() + backlog.capacity()
        };
        let room = (burst(1000), burst(1000)).1;
        assert!(room >= 2000);
        assert_eq!(burst(1), room, "the next burst may be as long");
        let after = (0..64).map(|_| burst(1)).last();
        assert!(after.is_some_and(|after| after <= 32), "{after:?}");
    }
}

//! A queue in front of an actor. However many items arrive in a burst, the actor is woken by one
//! message. Decides nothing about who may put what into it: that is admission's.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::Recipient;
use tokio::sync::Notify;

/// "Something is in your inbox": the one message that this engine's actors get.
#[derive(Clone, Copy, Debug, actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// An actor's queue.
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    load: Arc<Load>,
}

struct State<T> {
    items: VecDeque<Queued<T>>,
    /// The actor, once it runs.
    owner: Option<Recipient<Wake>>,
    /// Whether a wake-up is on its way.
    woken: bool,
    /// Whether the actor holds items that it took out.
    busy: bool,
    closed: bool,
}

/// An item on its way, which counts as load until it is dropped: when it has been handled and what
/// follows from it has been handed on.
pub(crate) struct Queued<T> {
    pub(crate) item: T,
    pub(crate) ticket: Ticket,
}

impl<T> Inbox<T> {
    pub(crate) fn new(load: Arc<Load>) -> Self {
        let state = State { items: VecDeque::new(), owner: None, woken: false, busy: false, closed: false };
        Self { state: Mutex::new(state), load }
    }

    /// Puts an item at the end; gives it back if the inbox is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push_back(Queued { item, ticket: Ticket::new(&self.load) });
        self.wake(state);
        Ok(())
    }

    /// The actor runs: it is woken from now on.
    pub(crate) fn attach(&self, owner: Recipient<Wake>) {
        let mut state = self.lock();
        state.owner = Some(owner);
        state.woken = false;
        if !state.items.is_empty() {
            self.wake(state);
        }
    }

    /// Closes it if nothing is in it and the actor holds nothing; `last` is then the last item.
    pub(crate) fn close_if_empty(&self, last: T) -> bool {
        let mut state = self.lock();
        if !state.items.is_empty() || state.busy || state.closed {
            return false;
        }
        state.items.push_back(Queued { item: last, ticket: Ticket::new(&self.load) });
        state.closed = true;
        self.wake(state);
        true
    }

    /// Closes it and drops what is in it.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.owner = None;
        let items = std::mem::take(&mut state.items);
        drop(state);
        drop(items);
    }

    /// Takes everything that is in it, into an empty `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<Queued<T>>) {
        debug_assert!(into.is_empty());
        let mut state = self.lock();
        std::mem::swap(&mut state.items, into);
        state.woken = false;
        state.busy |= !into.is_empty();
    }

    /// The actor has handled all that it took.
    pub(crate) fn rest(&self) {
        self.lock().busy = false;
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        if !state.woken
            && let Some(owner) = &state.owner
        {
            owner.do_send(Wake);
            state.woken = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many items are on their way in an engine.
#[derive(Debug, Default)]
pub(crate) struct Load {
    items: AtomicUsize,
    idle: Notify,
}

impl Load {
    pub(crate) fn items(&self) -> usize {
        self.items.load(Ordering::Acquire)
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn settled(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the look, so that no moment of idleness is missed.
            idle.as_mut().enable();
            if self.items() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// One item's share of the load.
pub(crate) struct Ticket {
    load: Arc<Load>,
}

impl Ticket {
    pub(crate) fn new(load: &Arc<Load>) -> Self {
        load.items.fetch_add(1, Ordering::AcqRel);
        Self { load: Arc::clone(load) }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.load.items.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.load.idle.notify_waiters();
        }
    }
}

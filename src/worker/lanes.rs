//! What waits in the output streams. The p2p stream has lanes: the most urgent is read first, and when
//! there is no room the least urgent goes first. Control is never dropped: it is bounded by what peers
//! and the application can cause. The application's stream never drops: admission closes instead.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{Admission, level::Level};
use crate::{
    actors::inbox::KEPT,
    metrics::WaitTime,
    network::{AppOutput, Network},
    protocol::{Lane, Unread},
};

/// What waits for the p2p layer.
pub(crate) struct Lanes<N: Network> {
    waiting: Mutex<Waiting<N>>,
    /// Its items, to be looked at without the lock; high when control alone is more than there is room for.
    level: Level,
    /// Beyond so many items, the least urgent are dropped.
    bound: usize,
}

struct Waiting<N: Network> {
    /// By [`Unread::place`], each in order of arrival.
    lanes: [VecDeque<Unread<N>>; Lane::PLACES],
    /// The items that all of them stand for.
    items: usize,
    wait_time: WaitTime,
    end: End,
}

/// The reader's side of a queue.
#[derive(Default)]
struct End {
    reader: Option<Waker>,
    closed: bool,
}

impl<N: Network> Lanes<N> {
    pub(crate) fn new(bound: usize, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        let waiting = Mutex::new(Waiting { lanes, items: 0, wait_time, end: End::default() });
        Self { waiting, level: Level::new(bound.saturating_add(1), admission), bound }
    }

    /// Adds outputs; hands what finds no room to `dropped`.
    pub(crate) fn extend(
        &self,
        outputs: impl IntoIterator<Item = Unread<N>>,
        mut dropped: impl FnMut(&Unread<N>),
    ) {
        let mut waiting = lock(&self.waiting);
        for output in outputs {
            if waiting.end.closed || !waiting.make_room(&output, self.bound, &mut dropped) {
                dropped(&output);
                continue;
            }
            waiting.push(output);
        }
        let readable = waiting.items > 0;
        self.level.set(waiting.items);
        wake(waiting, |waiting| if readable { waiting.end.reader.take() } else { None });
    }

    pub(crate) fn len(&self) -> usize {
        self.level.len()
    }

    /// Whether control alone is more than there is room for.
    pub(crate) fn is_overfull(&self) -> bool {
        self.level.is_high()
    }

    /// No more will come: the stream ends when it is read out.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.end.closed = true;
        wake(waiting, |waiting| waiting.end.reader.take());
    }

    pub(crate) fn try_pop(&self) -> Option<Unread<N>> {
        self.pop(&mut lock(&self.waiting))
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Unread<N>>> {
        let mut waiting = lock(&self.waiting);
        let next = self.pop(&mut waiting);
        waiting.end.poll(next, cx)
    }

    fn pop(&self, waiting: &mut Waiting<N>) -> Option<Unread<N>> {
        let next = waiting.pop();
        self.level.set(waiting.items);
        next
    }
}

impl<N: Network> Waiting<N> {
    fn push(&mut self, output: Unread<N>) {
        let lane = output.place();
        self.items += output.count();
        self.wait_time.pushed(lane, self.lanes[lane].len());
        self.lanes[lane].push_back(output);
    }

    fn pop(&mut self) -> Option<Unread<N>> {
        let lanes = self.lanes.iter_mut().enumerate();
        let (lane, output) = { lanes }.find_map(|(lane, items)| Some((lane, take_first(items)?)))?;
        self.items -= output.count();
        self.wait_time.popped(lane);
        Some(output)
    }

    /// Makes room by dropping what is less urgent, newest first; control needs no room.
    fn make_room(&mut self, output: &Unread<N>, bound: usize, dropped: &mut impl FnMut(&Unread<N>)) -> bool {
        let lane = output.lane();
        let needed = output.count();
        while self.items + needed > bound {
            let last = |of: &usize| Some((*of, self.lanes[*of].pop_back()?, self.lanes[*of].len()));
            match lane.less_urgent().iter().find_map(last) {
                Some((of, victim, left)) => {
                    self.items -= victim.count();
                    self.wait_time.dropped(of, left);
                    dropped(&victim);
                }
                None => return lane == Lane::Control,
            }
        }
        true
    }
}

/// What waits for the application.
pub(crate) struct AppQueue<N: Network> {
    waiting: Mutex<AppWaiting<N>>,
    /// Its messages, to be looked at without the lock; high when no more are admitted.
    level: Level,
}

struct AppWaiting<N: Network> {
    messages: VecDeque<AppOutput<N>>,
    wait_time: WaitTime,
    end: End,
}

impl<N: Network> AppQueue<N> {
    pub(crate) fn new(bound: usize, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let waiting = AppWaiting { messages: VecDeque::new(), wait_time, end: End::default() };
        Self { waiting: Mutex::new(waiting), level: Level::new(bound, admission) }
    }

    /// Adds all of `messages`, unless it is closed; leaves none of them there.
    pub(crate) fn extend(&self, messages: &mut Vec<AppOutput<N>>) {
        if messages.is_empty() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        if waiting.end.closed {
            messages.clear();
        } else {
            let ahead = waiting.messages.len();
            waiting.wait_time.pushed(0, ahead);
            waiting.messages.extend(messages.drain(..));
            self.level.set(waiting.messages.len());
            wake(waiting, |waiting| waiting.end.reader.take());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.level.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.level.is_high()
    }

    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.end.closed = true;
        wake(waiting, |waiting| waiting.end.reader.take());
    }

    pub(crate) fn try_pop(&self) -> Option<AppOutput<N>> {
        self.pop(&mut lock(&self.waiting))
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<AppOutput<N>>> {
        let mut waiting = lock(&self.waiting);
        let next = self.pop(&mut waiting);
        waiting.end.poll(next, cx)
    }

    fn pop(&self, waiting: &mut AppWaiting<N>) -> Option<AppOutput<N>> {
        let next = take_first(&mut waiting.messages);
        if next.is_some() {
            waiting.wait_time.popped(0);
        }
        self.level.set(waiting.messages.len());
        next
    }
}

impl End {
    fn poll<T>(&mut self, next: Option<T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if next.is_some() || self.closed {
            return Poll::Ready(next);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Wakes the reader, outside the lock.
fn wake<T>(mut guard: MutexGuard<'_, T>, reader: impl FnOnce(&mut T) -> Option<Waker>) {
    let reader = reader(&mut guard);
    drop(guard);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// The first item. A burst once read leaves no room behind: each peer that connects is told of all topics.
fn take_first<T>(items: &mut VecDeque<T>) -> Option<T> {
    let first = items.pop_front();
    if items.is_empty() && items.capacity() > 2 * KEPT {
        items.shrink_to(KEPT);
    }
    first
}

/// Nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! TODO header.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use super::{
    backpressure::Backpressure,
    reader::{Reader, lock, take_first, wake},
};
use crate::{
    admission::Admission,
    network::{AppOutput, Network},
    outputs::wait_time::WaitTime,
};

/// What waits for the application.
pub(crate) struct AppQueue<N: Network> {
    waiting: Mutex<AppQueueInner<N>>,
    /// Its messages, to be looked at without the lock; high when no more are admitted.
    level: Backpressure,
}

struct AppQueueInner<N: Network> {
    messages: VecDeque<AppOutput<N>>,
    wait_time: WaitTime,
    end: Reader,
}

impl<N: Network> AppQueue<N> {
    pub(crate) fn new(bound: usize, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let waiting = AppQueueInner { messages: VecDeque::new(), wait_time, end: Reader::default() };
        Self { waiting: Mutex::new(waiting), level: Backpressure::new(bound, admission) }
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

    fn pop(&self, waiting: &mut AppQueueInner<N>) -> Option<AppOutput<N>> {
        let next = take_first(&mut waiting.messages);
        if next.is_some() {
            waiting.wait_time.popped(0);
        }
        self.level.set(waiting.messages.len());
        next
    }
}

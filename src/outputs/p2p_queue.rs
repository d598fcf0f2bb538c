//! What waits in the output streams. The p2p stream has lanes: the most urgent is read first, and when
//! there is no room the least urgent goes first. Control is never dropped: it is bounded by what peers
//! and the application can cause. The application's stream never drops: admission closes instead.

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
    network::Network,
    outputs::wait_time::WaitTime,
    protocol::output::{Lane, pending::PendingOutput},
};

/// What waits for the p2p layer.
pub(crate) struct P2pQueue<N: Network> {
    waiting: Mutex<P2pQueueInner<N>>,
    /// Its items, to be looked at without the lock; high when control alone is more than there is room for.
    level: Backpressure,
    /// Beyond so many items, the least urgent are dropped.
    bound: usize,
}

struct P2pQueueInner<N: Network> {
    /// By [`PendingOutput::place`], each in order of arrival.
    lanes: [VecDeque<PendingOutput<N>>; Lane::QUEUES],
    /// The items that all of them stand for.
    items: usize,
    wait_time: WaitTime,
    end: Reader,
}

impl<N: Network> P2pQueue<N> {
    pub(crate) fn new(bound: usize, admission: Arc<Admission>, wait_time: WaitTime) -> Self {
        let lanes = std::array::from_fn(|_| VecDeque::new());
        let waiting = Mutex::new(P2pQueueInner { lanes, items: 0, wait_time, end: Reader::default() });
        Self { waiting, level: Backpressure::new(bound.saturating_add(1), admission), bound }
    }

    /// Adds outputs; hands what finds no room to `dropped`.
    pub(crate) fn extend(
        &self,
        outputs: impl IntoIterator<Item = PendingOutput<N>>,
        mut dropped: impl FnMut(&PendingOutput<N>),
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

    pub(crate) fn try_pop(&self) -> Option<PendingOutput<N>> {
        self.pop(&mut lock(&self.waiting))
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<PendingOutput<N>>> {
        let mut waiting = lock(&self.waiting);
        let next = self.pop(&mut waiting);
        waiting.end.poll(next, cx)
    }

    fn pop(&self, waiting: &mut P2pQueueInner<N>) -> Option<PendingOutput<N>> {
        let next = waiting.pop();
        self.level.set(waiting.items);
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
        let (lane, output) = { lanes }.find_map(|(lane, items)| Some((lane, take_first(items)?)))?;
        self.items -= output.count();
        self.wait_time.popped(lane);
        Some(output)
    }

    /// Makes room by dropping what is less urgent, newest first; control needs no room.
    fn make_room(
        &mut self,
        output: &PendingOutput<N>,
        bound: usize,
        dropped: &mut impl FnMut(&PendingOutput<N>),
    ) -> bool {
        let lane = output.lane();
        let needed = output.count();
        while self.items + needed > bound {
            let last = |of: &usize| Some((*of, self.lanes[*of].pop_back()?, self.lanes[*of].len()));
            match lane.drop_order().iter().find_map(last) {
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

//! The worker's input queue as the traces' `hold` shows it: ours has no such switch, so the replay
//! keeps the inputs back in front of the engine. Knows nothing of what the inputs do.

use std::{collections::VecDeque, time::Duration};

use super::{network::TraceNetwork, values::Values};
use crate::{
    network::{AppInput, P2pInput},
    protocol::Timestamp,
};

/// At most one drop is reported in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What goes through the queue.
pub(super) enum Input<V: Values> {
    P2p(P2pInput<TraceNetwork<V>>),
    App(AppInput<TraceNetwork<V>>),
    Tick,
    CheckParked,
    ProcessBatch,
    Unreachable(V::Point),
    SlowPeer(V::Peer),
    /// An input was dropped when the queue was this long.
    Dropped(usize),
}

pub(super) struct InputQueue<V: Values> {
    waiting: VecDeque<Input<V>>,
    /// Bounded inputs are dropped at this length.
    capacity: usize,
    held: bool,
    reported: Option<Timestamp>,
}

impl<V: Values> InputQueue<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), capacity, held: false, reported: None }
    }

    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, input: Input<V>) {
        self.waiting.push_back(input);
    }

    pub(super) fn push_bounded(&mut self, input: P2pInput<TraceNetwork<V>>, now: Timestamp) {
        let depth = self.waiting.len();
        if depth < self.capacity {
            self.push(Input::P2p(input));
        } else if self.reported.is_none_or(|last| now >= last.after(REPORT_INTERVAL)) {
            self.reported = Some(now);
            self.push(Input::Dropped(depth));
        }
    }

    /// The next input to handle; none while the queue is held.
    pub(super) fn take(&mut self) -> Option<Input<V>> {
        if self.held { None } else { self.waiting.pop_front() }
    }

    pub(super) fn awaits_batch(&self) -> bool {
        self.waiting.iter().any(|input| matches!(input, Input::ProcessBatch))
    }
}

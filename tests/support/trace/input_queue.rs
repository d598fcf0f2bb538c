//! The worker's input queue as the traces' `hold` shows it: ours has no such switch, so the replay
//! keeps the inputs back in front of the engine. Knows nothing of what the inputs do.

use std::collections::VecDeque;

use actix_gossipsub::{AppInput, P2pInput};

use super::network::TraceNetwork;

/// At most one drop is reported in so many milliseconds.
const REPORT_INTERVAL: u64 = 60_000;

/// What goes through the queue.
pub enum Input {
    P2p(P2pInput<TraceNetwork>),
    App(AppInput<TraceNetwork>),
    Tick,
    CheckParked,
    ProcessBatch,
    Unreachable(i64),
    /// An input was dropped when the queue was this long.
    Dropped(usize),
}

pub struct InputQueue {
    waiting: VecDeque<Input>,
    /// Bounded inputs are dropped at this length.
    capacity: usize,
    held: bool,
    reported: Option<u64>,
}

impl InputQueue {
    pub fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), capacity, held: false, reported: None }
    }

    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn push(&mut self, input: Input) {
        self.waiting.push_back(input);
    }

    /// `now` in milliseconds.
    pub fn push_bounded(&mut self, input: P2pInput<TraceNetwork>, now: u64) {
        let depth = self.waiting.len();
        if depth < self.capacity {
            self.push(Input::P2p(input));
        } else if self.reported.is_none_or(|last| now - last >= REPORT_INTERVAL) {
            self.reported = Some(now);
            self.push(Input::Dropped(depth));
        }
    }

    /// The next input to handle; none while the queue is held.
    pub fn take(&mut self) -> Option<Input> {
        if self.held { None } else { self.waiting.pop_front() }
    }

    pub fn awaits_batch(&self) -> bool {
        self.waiting.iter().any(|input| matches!(input, Input::ProcessBatch))
    }
}

//! This module implements the input queue of a worker trace with its `hold` switch. The engines of this crate lack that
//! switch, so the driver buffers the inputs in front of the engine.

use std::{collections::VecDeque, time::Duration};

use actix_gossipsub::{AppInput, P2pInput, protocol::Timestamp};

use super::TraceNetwork;

/// The minimal time between two reports of dropped inputs.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// An item of the queue.
pub enum Input {
    P2p(P2pInput<TraceNetwork>),
    App(AppInput<TraceNetwork>),
    Tick,
    CheckParked,
    ProcessBatch,
    Unreachable(i64),
    /// An input was dropped when the queue had this length.
    Dropped(usize),
}

pub struct InputQueue {
    queue: VecDeque<Input>,
    /// The length at which bounded inputs are dropped.
    capacity: usize,
    paused: bool,
    reported: Option<Timestamp>,
}

impl InputQueue {
    pub fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), capacity, paused: false, reported: None }
    }

    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn push(&mut self, input: Input) {
        self.queue.push_back(input);
    }

    pub fn push_bounded(&mut self, input: P2pInput<TraceNetwork>, now: Timestamp) {
        let depth = self.queue.len();
        if depth < self.capacity {
            self.push(Input::P2p(input));
        } else if self.reported.is_none_or(|last| now >= last.after(REPORT_INTERVAL)) {
            self.reported = Some(now);
            self.push(Input::Dropped(depth));
        }
    }

    /// The next input to handle; none while the queue is paused.
    pub fn pop(&mut self) -> Option<Input> {
        if self.paused { None } else { self.queue.pop_front() }
    }

    pub fn awaits_batch(&self) -> bool {
        self.queue.iter().any(|input| matches!(input, Input::ProcessBatch))
    }
}

//! Where the engine's time comes from. The only file that asks a clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::timestamp::Timestamp;

/// The time since an engine's start. Must not go back, nor call the engine.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's monotonic clock; follows tokio's paused time on the thread that paused it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::since_start(self.start.elapsed())
    }
}

/// A clock that stands still until it is told to move: for tests, traces and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at the start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: Timestamp) {
        let nanos = u64::try_from(now.as_duration().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Release);
    }

    /// Moves the clock on by `span`.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().after(span));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::since_start(Duration::from_nanos(self.nanos.load(Ordering::Acquire)))
    }
}

//! The clocks of an engine: the monotonic system clock, and a manual clock for tests and simulations.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::timestamp::Timestamp;

/// A source of time. It must be monotonic and must not call the engine.
pub trait Clock: Send + Sync + 'static {
    /// The time since the start of the engine.
    fn now(&self) -> Timestamp;
}

/// The monotonic clock of the system. On a thread with paused tokio time it follows that time.
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

/// A clock that moves only on request, for tests, recordings and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// A clock at [`Timestamp::ZERO`].
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

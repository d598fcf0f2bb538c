//! Limits how often an event is reported.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// Lets at most one event an interval pass.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    next: Timestamp,
}

impl RateLimit {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: Timestamp::ZERO }
    }

    /// Returns true, and starts the next interval, if an event may pass at `now`.
    pub(crate) fn try_acquire(&mut self, now: Timestamp) -> bool {
        let allowed = now >= self.next;
        if allowed {
            self.next = now.after(self.interval);
        }
        allowed
    }
}

//! TODO header.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// Lets one event through an interval.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    next: Timestamp,
}

impl RateLimit {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: Timestamp::ZERO }
    }

    pub(crate) fn allows(&mut self, now: Timestamp) -> bool {
        let allowed = now >= self.next;
        if allowed {
            self.next = now.after(self.interval);
        }
        allowed
    }
}

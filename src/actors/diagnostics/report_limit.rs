//! The rate limit of events that inputs cause, of which there may be many. Every thread may report one.

use std::sync::{Mutex, PoisonError};

use crate::{protocol::rate_limit::RateLimit, timestamp::Timestamp};

/// Allows at most one report an interval (`bounds.event_interval`).
pub(crate) struct ReportLimit(Mutex<RateLimit>);

impl ReportLimit {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self(Mutex::new(limit))
    }

    /// Whether a report is allowed now; counts it if it is.
    pub(crate) fn try_acquire(&self, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_acquire(now)
    }
}

//! TODO header.

use std::sync::{Mutex, PoisonError};

use crate::{protocol::rate_limit::RateLimit, timestamp::Timestamp};

/// At most one report of refusals an interval.
pub(crate) struct RefusalReports(Mutex<RateLimit>);

impl RefusalReports {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self(Mutex::new(limit))
    }

    pub(crate) fn try_acquire(&self, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_acquire(now)
    }
}

//! A point in time as the protocol sees it: nanoseconds since the engine's start. Never asks a clock.

use std::time::Duration;

use serde::Serialize;

/// Time since the engine's start. All arithmetic saturates: a remote peer chooses some of the
/// durations that are added to it, and must not be able to overflow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The engine's start.
    pub const ZERO: Self = Self(0);

    /// `duration` after the engine's start.
    pub fn since_start(duration: Duration) -> Self {
        Self(nanos(duration))
    }

    /// Time since the engine's start.
    pub fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `self + span`.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// `self - span`, but never before the start.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The time from `earlier` to `self`; zero if it is not earlier.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

//! Points in time of the protocol: nanoseconds since the start of the engine.

use std::time::Duration;

use serde::Serialize;

/// Time since the start of the engine, in nanoseconds. All arithmetic saturates, because remote peers choose some of
/// the durations that are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The start of the engine.
    pub const ZERO: Self = Self(0);

    /// The largest timestamp.
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// The point in time `duration` after the start.
    pub fn since_start(duration: Duration) -> Self {
        Self(nanos(duration))
    }

    /// The duration since the start.
    pub fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns `self + span`, at most the largest timestamp.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// Returns `self - span`, at least the start.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The duration from `earlier` to `self`, zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

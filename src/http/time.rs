//! Times and durations as text in responses.

use std::time::{Duration, SystemTime};

use crate::protocol::Timestamp;

/// The last second of the year 9999, the latest that RFC 3339 can write.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Converts the engine's timestamps to wall-clock time.
#[derive(Clone, Copy)]
pub(super) struct WallClock {
    wall: SystemTime,
    engine: Timestamp,
}

impl WallClock {
    /// `engine` is the engine's present time.
    pub(super) fn now(engine: Timestamp) -> Self {
        Self { wall: SystemTime::now(), engine }
    }

    /// RFC 3339 with milliseconds. Times outside of the years 1970 to 9999 are clamped to them.
    pub(super) fn format(self, time: Timestamp) -> String {
        let ahead = self.wall.checked_add(time.saturating_since(self.engine));
        let wall = ahead.and_then(|wall| wall.checked_sub(self.engine.saturating_since(time)));
        let latest = SystemTime::UNIX_EPOCH + LATEST;
        let wall = wall.filter(|wall| *wall <= latest).unwrap_or(latest);
        humantime::format_rfc3339_millis(wall.max(SystemTime::UNIX_EPOCH)).to_string()
    }
}

/// The present time as RFC 3339 with milliseconds.
pub(super) fn wall_clock_now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// A duration with milliseconds, such as `1m 5s`.
pub(super) fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

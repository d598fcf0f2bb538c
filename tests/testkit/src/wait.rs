//! This module polls until a condition is true, for tests that can't await an event.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Probes until the probe finds something, with `pause` between two probes. Returns `None` after `limit`, also if a
/// probe takes longer than that.
pub async fn until<T>(
    limit: Duration,
    pause: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = tokio::time::timeout(limit, probe()).await.ok()?;
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Probes on a thread that may block, with `pause` between two probes.
///
/// # Errors
///
/// The last error of the probe, after `limit`.
pub fn until_blocking<T, E>(
    limit: Duration,
    pause: Duration,
    mut probe: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let start = Instant::now();
    loop {
        let found = probe();
        if found.is_ok() || start.elapsed() >= limit {
            return found;
        }
        thread::sleep(pause);
    }
}

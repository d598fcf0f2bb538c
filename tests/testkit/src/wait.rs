//! Waits until something is so. All tests that can't await an event use these two loops.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Probes until the result is `Ok`, with `pause` between two probes. After `limit` the last error is returned; a probe
/// that takes longer than `limit` by itself panics.
pub async fn until<T, E>(
    limit: Duration,
    pause: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let start = Instant::now();
    loop {
        let found = tokio::time::timeout(limit, probe()).await.expect("a probe takes longer than its limit");
        if found.is_ok() || start.elapsed() >= limit {
            return found;
        }
        tokio::time::sleep(pause).await;
    }
}

/// The same on a thread that may block.
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

//! Messages to the service manager: that the node is ready, that it stops, its status, and that it lives. They are
//! sent on Unix, if NOTIFY_SOCKET is set.

use std::time::Duration;

use actix_gossipsub::{HeartbeatStatus, Worker, libp2p::Libp2pNetwork};

/// The engine lives if its last heartbeat began at most this many intervals ago, or [`MIN_LATE`].
const LATE_HEARTBEATS: u32 = 3;
const MIN_LATE: Duration = Duration::from_secs(2);
/// Messages within the time in which one is expected.
const MESSAGES_IN_TIME: u32 = 3;

/// The node listens, and its HTTP server too.
pub fn ready(status: &str) {
    notify(&[State::Ready, State::Status(status)]);
}

/// The node ends.
pub fn stopping() {
    notify(&[State::Stopping]);
}

/// A line for `systemctl status`.
pub fn status(status: &str) {
    notify(&[State::Status(status)]);
}

/// Reports that the engine lives as often as the service manager wants it, as long as its heartbeat is on time. Ends at once
/// if it does not.
pub async fn watch(worker: Worker<Libp2pNetwork>) {
    let Some(time) = watchdog_time() else { return };
    loop {
        if is_alive(&worker) {
            notify(&[State::Watchdog]);
        }
        tokio::time::sleep(time / MESSAGES_IN_TIME).await;
    }
}

fn is_alive(worker: &Worker<Libp2pNetwork>) -> bool {
    let HeartbeatStatus { tick, started_at, .. } = worker.last_heartbeat();
    let limits = worker.limits();
    let delay = if tick == 0 { limits.extensions.heartbeat_initial_delay } else { Duration::ZERO };
    let late = limits.heartbeat_interval.saturating_mul(LATE_HEARTBEATS).max(MIN_LATE).saturating_add(delay);
    worker.now().saturating_since(started_at) <= late
}

#[cfg(unix)]
use sd_notify::{NotifyState as State, watchdog_enabled as watchdog_time};

#[cfg(unix)]
fn notify(states: &[State<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager can't be notified (NOTIFY_SOCKET): {error}");
    }
}

#[cfg(not(unix))]
enum State<'a> {
    Ready,
    Stopping,
    Status(&'a str),
    Watchdog,
}

#[cfg(not(unix))]
fn notify(_: &[State<'_>]) {}

#[cfg(not(unix))]
fn watchdog_time() -> Option<Duration> {
    None
}

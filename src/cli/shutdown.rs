//! The shutdown of a command: a cancellation token that signals, a time limit or a closed pipe cancel.

use std::{io, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Failure;

/// Returns a token that SIGINT and SIGTERM cancel; elsewhere than on Unix, Ctrl-C cancels it. Must be called inside an
/// actix system.
///
/// # Errors
/// The process can't listen for signals.
pub fn cancelled_by_signals() -> Result<CancellationToken, Failure> {
    let token = CancellationToken::new();
    listen(&token).map_err(Failure::Signals)?;
    Ok(token)
}

/// Cancels `token` after `time`.
pub fn cancel_after(token: &CancellationToken, time: Duration) {
    let token = token.clone();
    actix::spawn(async move {
        tokio::time::sleep(time).await;
        token.cancel();
    });
}

#[cfg(unix)]
fn listen(token: &CancellationToken) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (token, mut signals) = (token.clone(), signal(kind)?);
        actix::spawn(async move {
            if signals.recv().await.is_some() {
                token.cancel();
            }
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn listen(token: &CancellationToken) -> io::Result<()> {
    let token = token.clone();
    actix::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            token.cancel();
        }
    });
    Ok(())
}

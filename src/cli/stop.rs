//! The one way in which a command is told to end: by a signal, by its time, or by a closed pipe. It ends
//! nothing itself.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::Failure;

/// Whether to end. Clones are the same.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Not yet; SIGINT and SIGTERM will say so.
    pub fn on_signals() -> Result<Self, Failure> {
        let stop = Self(Arc::new(watch::Sender::new(false)));
        stop.listen().map_err(Failure::Signals)?;
        Ok(stop)
    }

    /// Says so after `time`.
    pub fn after(&self, time: Duration) {
        let stop = self.clone();
        actix::spawn(async move {
            tokio::time::sleep(time).await;
            stop.now();
        });
    }

    /// Says so.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was said.
    pub fn is_said(&self) -> bool {
        *self.0.borrow()
    }

    /// Until it is said.
    pub async fn said(&self) {
        // The sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|said| *said).await;
    }

    /// Sleeps for `time`, or less if it is said meanwhile.
    pub async fn sleep(&self, time: Duration) {
        // Either outcome ends the sleep.
        let _ = tokio::time::timeout(time, self.said()).await;
    }

    #[cfg(unix)]
    fn listen(&self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let (stop, mut signals) = (self.clone(), signal(kind)?);
            actix::spawn(async move {
                if signals.recv().await.is_some() {
                    stop.now();
                }
            });
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn listen(&self) -> io::Result<()> {
        let stop = self.clone();
        actix::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.now();
            }
        });
        Ok(())
    }
}

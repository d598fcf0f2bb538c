//! Standard output, written by a thread of its own, so that a slow reader of the pipe never blocks a thread of the
//! engine.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// Lines that may wait to be written.
const MAX_LINES: usize = 1024;
/// Time limit for writing the last lines at the end of the command.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends lines to the thread that writes standard output. Clones share the thread.
#[derive(Clone)]
pub struct Printer(mpsc::Sender<String>);

/// Resolves when the thread has written all lines.
pub struct PrinterDone(oneshot::Receiver<()>);

impl Printer {
    /// Starts the thread. It cancels `shutdown` when it can't write, because the reader has closed the pipe.
    pub fn start(shutdown: CancellationToken) -> Result<(Self, PrinterDone), Failure> {
        let (sender, lines) = mpsc::channel(MAX_LINES);
        let (done, finished) = oneshot::channel();
        let write = move || {
            if write_all(lines).is_err() {
                shutdown.cancel();
            }
            // The receiver is gone if the command has stopped waiting.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("printer".into()).spawn(write).map_err(Failure::Thread)?;
        Ok((Self(sender), PrinterDone(finished)))
    }

    /// Prints a line. Waits while the queue is full; discards the line if the pipe is closed.
    pub async fn line(&self, line: String) {
        let _ = self.0.send(line).await;
    }
}

impl PrinterDone {
    /// Waits until all lines are written, for at most [`FLUSH_TIMEOUT`]. All printers must be dropped before.
    pub async fn wait(self) {
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.0).await;
    }
}

/// Flushes whenever no more lines are queued.
fn write_all(mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.blocking_recv() {
        writeln!(out, "{line}")?;
        while let Ok(line) = lines.try_recv() {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Formats a line as JSON. An error can't occur, because all maps in our lines have strings as keys.
pub fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line)
        .unwrap_or_else(|error| format!("{{\"event\":\"error\",\"error\":\"{error}\"}}"))
}

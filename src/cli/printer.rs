//! Standard output, written by a thread of its own: a reader that is slow holds up whoever prints, never
//! the thread that the engine runs on. It knows nothing of what the lines say.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Failure, stop::Stop};

/// Lines that wait for a slow reader.
const MAX_LINES: usize = 1024;
/// How long a reader may take for the last ones.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The way to standard output. Clones are the same.
#[derive(Clone)]
pub struct Printer(mpsc::Sender<String>);

/// To be awaited when the last line is printed.
pub struct Printed(oneshot::Receiver<()>);

impl Printer {
    /// Starts the thread. When the pipe is closed, it says `stop`.
    pub fn start(stop: Stop) -> Result<(Self, Printed), Failure> {
        let (sender, lines) = mpsc::channel(MAX_LINES);
        let (done, printed) = oneshot::channel();
        let write = move || {
            if print_all(lines).is_err() {
                stop.now();
            }
            // Nobody may be waiting.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("printer".into()).spawn(write).map_err(Failure::Thread)?;
        Ok((Self(sender), Printed(printed)))
    }

    /// Prints a line, waiting if the reader is slow. Once the pipe is closed it does nothing.
    pub async fn line(&self, line: String) {
        let _ = self.0.send(line).await;
    }
}

impl Printed {
    /// Waits until all is printed that was given to the printer and its clones, which must be dropped;
    /// not for ever.
    pub async fn all(self) {
        let _ = tokio::time::timeout(LAST_LINES, self.0).await;
    }
}

/// A burst of lines is flushed at its end, which is at once: nothing else is waited for.
fn print_all(mut lines: mpsc::Receiver<String>) -> io::Result<()> {
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

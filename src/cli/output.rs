//! Standard output of the commands. A slow reader of the pipe never delays a node: lines that find no room are dropped,
//! and a line says how many.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    line_writer::{LineWriter, LineWriterEnd, Lines, end_if_closed},
};

/// Prints what a command has to say, all at once. Who has closed the pipe has what it wanted.
///
/// # Errors
/// Standard output can't be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// Prints lines. Clones share the thread that writes them.
#[derive(Clone)]
pub struct Printer(LineWriter);

struct Output {
    shutdown: CancellationToken,
    json: bool,
    /// Whether an error was reported.
    failed: bool,
}

impl Printer {
    /// Starts the thread. It cancels `shutdown` when the reader has closed the pipe. Any other error, such as a full disk, is
    /// reported once, and the command goes on.
    pub fn start(shutdown: CancellationToken, json: bool) -> Result<(Self, LineWriterEnd), Failure> {
        let (writer, end) =
            LineWriter::start("printer", io::stdout(), Output { shutdown, json, failed: false })?;
        Ok((Self(writer), end))
    }

    /// Prints the line that `line` returns, if there is room for it. Never blocks.
    pub fn line(&self, line: impl FnOnce() -> String) {
        self.0.write(|| bytes(line()));
    }

    /// Prints a line that is not dropped, such as a summary.
    pub fn last_line(&self, line: String) {
        self.0.write_always(bytes(line));
    }
}

fn bytes(mut line: String) -> Vec<u8> {
    line.push('\n');
    line.into_bytes()
}

impl Lines for Output {
    fn lost(&self, count: u64) -> String {
        if self.json {
            return json(&serde_json::json!({ "event": "lost", "lines": count }));
        }
        format!("{count} lines are missing here: the reader of the output was too slow")
    }

    fn on_error(&mut self, error: &io::Error) -> ControlFlow<()> {
        let end = end_if_closed(error);
        if end.is_break() {
            self.shutdown.cancel();
        } else if !std::mem::replace(&mut self.failed, true) {
            tracing::error!("can't write to standard output: {error}; lines are lost, and the node goes on");
        }
        end
    }
}

/// Formats a line as JSON. An error can't occur, because all maps in our lines have strings as keys.
pub fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line)
        .unwrap_or_else(|error| format!("{{\"event\":\"error\",\"error\":\"{error}\"}}"))
}

//! This module manages the processes of the live test. Dropping a handle ends its process by id.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::Value;

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of lines that are stored; later lines are read and discarded.
const STORED_LINES: usize = 100;

pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for (nth, line) in stdout.lines().map_while(Result::ok).enumerate() {
                if nth < STORED_LINES {
                    // The receiver may have been dropped.
                    let _ = sender.send(line);
                }
            }
        });
        Self { child, lines }
    }

    /// The next line, which is JSON.
    pub fn line(&self) -> Value {
        let line = self.lines.recv_timeout(TIMEOUT);
        let line = line.unwrap_or_else(|error| panic!("no line: {error}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Sends a signal to the process by its id.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // This also ends a stopped process. The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! This module starts the binary as a process, reads its output line by line, and ends it. Every wait has a time limit.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::Value;

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The binary, without a filter for the log and without input.
pub fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-gossipsub"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).args(arguments);
    command
}

/// The exit code and the output of a finished command.
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command that ends by itself.
pub fn run(arguments: &[&str]) -> Output {
    finish(&mut binary(arguments))
}

/// Waits for the end of a command.
pub fn finish(command: &mut Command) -> Output {
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output { code: out.status.code(), stdout: text(out.stdout), stderr: text(out.stderr) }
}

/// A port that is currently free.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A command that prints JSON lines until it is terminated. It is killed when it is dropped.
pub struct Process {
    child: Child,
    lines: Option<Receiver<Value>>,
    received: Vec<Value>,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut binary(arguments))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let value = serde_json::from_str(&line.unwrap()).unwrap();
                // The receiver was dropped: the pipe is closed.
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, lines: Some(lines), received: Vec::new() }
    }

    /// Reads until `count` lines with this event were received. Returns all lines so far.
    pub fn until(&mut self, event: &str, count: usize) -> &[Value] {
        while self.received.iter().filter(|line| line["event"] == event).count() < count {
            let line = self.lines.as_ref().unwrap().recv_timeout(TIMEOUT);
            self.received
                .push(line.unwrap_or_else(|error| panic!("no {event}: {error}; {:?}", self.received)));
        }
        &self.received
    }

    /// Ends the process with SIGTERM. Returns all lines that it printed.
    pub fn terminate(mut self) -> Vec<Value> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        assert_eq!(self.code(), Some(0));
        let mut received = std::mem::take(&mut self.received);
        received.extend(self.lines.take().unwrap().iter());
        received
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops reading: the pipe is closed at the next line.
    pub fn close_pipe(&mut self) {
        self.lines = None;
    }

    /// Waits for the end of the process. Returns the exit code.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command whose standard output and standard error are pipes that nobody reads.
pub struct Unread(Child);

impl Unread {
    /// Starts a command that logs at `log`.
    pub fn start(arguments: &[&str], log: &str) -> Self {
        let mut command = binary(arguments);
        command.env("RUST_LOG", log).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Ends the process with SIGTERM. Returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let status = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command whose lines of text on standard error and, if it is a pipe, on standard output are read as they come. It is
/// killed when it is dropped.
pub struct Texts {
    child: Child,
    lines: Receiver<String>,
    received: Vec<String>,
}

impl Texts {
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = stdout.map(|out| Box::new(out) as Box<dyn Read + Send>);
        for out in stdout.into_iter().chain(stderr.map(|out| Box::new(out) as Box<dyn Read + Send>)) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    // The receiver was dropped: the test has ended.
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, received: Vec::new() }
    }

    /// The standard input, which must be a pipe.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Reads until a line contains `part`, and returns the first one that does. The order of the two outputs is open.
    pub fn until(&mut self, part: &str) -> String {
        if let Some(line) = self.received.iter().find(|line| line.contains(part)) {
            return line.clone();
        }
        loop {
            let line = self.lines.recv_timeout(TIMEOUT);
            let line = line.unwrap_or_else(|error| panic!("no {part:?}: {error}; {:?}", self.received));
            self.received.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Ends the process with SIGTERM, if it runs. Returns its exit code and all lines.
    pub fn terminate(self) -> (Option<i32>, Vec<String>) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.finish()
    }

    /// Waits for the end of the process. Returns its exit code and all lines.
    pub fn finish(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.child.wait().unwrap().code();
        let mut received = std::mem::take(&mut self.received);
        received.extend(self.lines.iter());
        (code, received)
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

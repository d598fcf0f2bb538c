//! The connection between the coordinator and a node, which exchange lines of text.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

/// How long a process may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The coordinator's end.
pub struct Remote {
    send: Box<dyn FnMut(&str)>,
    received: Receiver<String>,
    pub host: Host,
}

pub enum Host {
    Thread(thread::JoinHandle<()>),
    Process(Child),
}

impl Remote {
    pub fn new(send: Box<dyn FnMut(&str)>, received: Receiver<String>, host: Host) -> Self {
        Self { send, received, host }
    }

    /// Starts this program once more with one argument, and sends it the first line.
    ///
    /// # Errors
    /// The process does not start.
    pub fn start_process(argument: &str, first_line: &str) -> Result<Self, String> {
        let mut command = Command::new(env::current_exe().map_err(|error| format!("no program: {error}"))?);
        let mut remote = Self::spawn(command.arg(argument))?;
        remote.send(first_line);
        Ok(remote)
    }

    /// Starts a process that is controlled by its standard input and output.
    ///
    /// # Errors
    /// The process does not start.
    pub fn spawn(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("no process: {error}"))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".to_owned());
        };
        let (sender, received) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        // A process that has ended does not answer, which is an error soon after.
        let send = move |line: &str| drop(writeln!(input, "{line}").and_then(|()| input.flush()));
        Ok(Self::new(Box::new(send), received, Host::Process(child)))
    }

    pub fn send(&mut self, line: &str) {
        (self.send)(line);
    }

    /// The arguments of the next line, which must begin with `answer`.
    ///
    /// # Errors
    /// There is no line in time, or another one.
    pub fn receive(&mut self, answer: &str, timeout: Duration) -> Result<String, String> {
        let line = self.received.recv_timeout(timeout).map_err(|error| format!("no {answer:?}: {error}"))?;
        let rest = line.strip_prefix(answer).ok_or_else(|| format!("{line:?} in place of {answer:?}"))?;
        Ok(rest.trim().to_owned())
    }

    /// Asks the node to stop, and waits until it has. A process that does not is ended after [`STOP_TIMEOUT`].
    pub fn stop(mut self) {
        self.send("stop");
        drop(self.send);
        match self.host {
            // A panic has been printed already.
            Host::Thread(thread) => drop(thread.join()),
            Host::Process(mut child) => {
                let deadline = Instant::now() + STOP_TIMEOUT;
                while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(20));
                }
                kill(child);
            }
        }
    }
}

/// Ends a process, which may have ended already.
pub fn kill(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The node's end.
pub struct Control {
    pub received: mpsc::UnboundedReceiver<String>,
    pub send: Box<dyn FnMut(String) + Send>,
}

impl Control {
    /// The control of a process, by its standard input and output, and the first line. `None` if there is no line.
    pub fn of_process() -> Option<(String, Self)> {
        let mut first = String::new();
        std::io::stdin().lock().read_line(&mut first).ok()?;
        let (sender, received) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let send = |line: String| {
            let mut out = std::io::stdout().lock();
            // If the coordinator has ended, the end of standard input stops this node.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        };
        Some((first, Self { received, send: Box::new(send) }))
    }

    /// The arguments of the next line, which must begin with `command`. `None` if the coordinator has ended.
    pub async fn receive(&mut self, command: &str) -> Option<String> {
        let line = self.received.recv().await?;
        line.strip_prefix(command).map(|rest| rest.trim().to_owned())
    }
}

//! The coordinator runs one network from start to end and adds up the totals of its nodes.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    node::{self, Control},
    plan::{Implementation, Mode, NODES, Plan, Row},
    stats::{Totals, now},
};

/// The longest time of a node for one command, without the measurement.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time from the `start` command to the start itself.
const LEAD_TIME: Duration = Duration::from_millis(300);

/// The coordinator's end of the connection to a node.
struct Remote {
    send: Box<dyn FnMut(&str)>,
    received: Receiver<String>,
    host: Host,
}

enum Host {
    Thread(thread::JoinHandle<()>),
    Process(Child),
}

/// Runs one network.
///
/// # Errors
/// A node does not start, or does not answer in time.
pub fn run(row: Row, implementation: Implementation, seconds: u64) -> Result<Totals, String> {
    let measured = Duration::from_secs(seconds);
    let Row { mode, topics, size, load } = row;
    let plan = |index| Plan { implementation, index, topics, size, load, measured };
    let start = |index| match mode {
        Mode::Threads => Ok(Remote::start_thread(plan(index))),
        Mode::Processes => Remote::start_process(plan(index)),
    };
    let mut nodes: Vec<Remote> = (0..NODES).map(start).collect::<Result<_, _>>()?;
    let result = measure(&mut nodes, measured, mode == Mode::Threads);
    nodes.into_iter().for_each(Remote::stop);
    result
}

fn measure(nodes: &mut [Remote], measured: Duration, same_process: bool) -> Result<Totals, String> {
    let mut addresses = Vec::new();
    for node in nodes.iter_mut() {
        addresses.push(node.receive("listening", TIMEOUT)?);
    }
    // Each node dials those before it.
    for (index, node) in nodes.iter_mut().enumerate() {
        (node.send)(&format!("dial {}", addresses[..index].join(" ")));
    }
    for node in nodes.iter_mut() {
        node.receive("ready", TIMEOUT)?;
    }
    let start = format!("start {}", now() + LEAD_TIME.as_nanos() as u64);
    nodes.iter_mut().for_each(|node| (node.send)(&start));
    let mut all = Totals::default();
    for node in nodes.iter_mut() {
        let totals = node.receive("totals", TIMEOUT + measured)?;
        all.add_node(serde_json::from_str(&totals).map_err(|error| error.to_string())?, same_process);
    }
    Ok(all)
}

impl Remote {
    fn start_thread(plan: Plan) -> Self {
        let (sender, received) = channel();
        let (commands, control) = mpsc::unbounded_channel();
        // Both sends fail only if the other side is ending.
        let send = Box::new(move |line| drop(sender.send(line)));
        let thread = thread::spawn(move || node::run(plan, Control { received: control, send }));
        let send = Box::new(move |line: &str| drop(commands.send(line.to_owned())));
        Self { send, received, host: Host::Thread(thread) }
    }

    fn start_process(plan: Plan) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no process: {error}");
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.arg("--node").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
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
        let mut send = move |line: &str| drop(writeln!(input, "{line}").and_then(|()| input.flush()));
        send(&serde_json::to_string(&plan).expect("a plan is plain data"));
        Ok(Self { send: Box::new(send), received, host: Host::Process(child) })
    }

    /// The arguments of the next line, which must begin with `answer`.
    fn receive(&mut self, answer: &str, timeout: Duration) -> Result<String, String> {
        let line = self.received.recv_timeout(timeout).map_err(|error| format!("no {answer:?}: {error}"))?;
        let rest = line.strip_prefix(answer).ok_or_else(|| format!("{line:?} in place of {answer:?}"))?;
        Ok(rest.trim().to_owned())
    }

    fn stop(mut self) {
        (self.send)("stop");
        drop(self.send);
        match self.host {
            // A panic has been printed already.
            Host::Thread(thread) => drop(thread.join()),
            Host::Process(mut child) => drop(child.wait()),
        }
    }
}

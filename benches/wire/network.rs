//! The coordinator runs one network from start to end and adds up the totals of its nodes.

use std::{sync::mpsc::channel, thread, time::Duration};

use testkit::wire::{
    clock::now,
    plan::{Implementation, Mode, NODES, Plan, Row},
    remote::{Control, Host, Remote},
};
use tokio::sync::mpsc;

use super::{node, stats::Totals};

/// The longest time of a node for one command, without the measurement.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time from the `start` command to the start itself.
const LEAD_TIME: Duration = Duration::from_millis(300);

/// Runs one network.
///
/// # Errors
/// A node does not start, or does not answer in time.
pub fn run(row: Row, implementation: Implementation, seconds: u64) -> Result<Totals, String> {
    let measured = Duration::from_secs(seconds);
    let Row { mode, topics, size, load } = row;
    let plan = |index| Plan { implementation, index, topics, size, load, measured };
    let start = |index| match mode {
        Mode::Threads => Ok(start_thread(plan(index))),
        Mode::Processes => start_process(&plan(index)),
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
        node.send(&format!("dial {}", addresses[..index].join(" ")));
    }
    for node in nodes.iter_mut() {
        node.receive("ready", TIMEOUT)?;
    }
    let start = format!("start {}", now() + LEAD_TIME.as_nanos() as u64);
    nodes.iter_mut().for_each(|node| node.send(&start));
    let mut all = Totals::default();
    for node in nodes.iter_mut() {
        let totals = node.receive("totals", TIMEOUT + measured)?;
        all.add_node(serde_json::from_str(&totals).map_err(|error| error.to_string())?, same_process);
    }
    Ok(all)
}

/// Starts a node on a thread of this process.
fn start_thread(plan: Plan) -> Remote {
    let (sender, received) = channel();
    let (commands, control) = mpsc::unbounded_channel();
    // Both sends fail only if the other side is ending.
    let send = Box::new(move |line| drop(sender.send(line)));
    let thread = thread::spawn(move || node::run(plan, Control { received: control, send }));
    let send = Box::new(move |line: &str| drop(commands.send(line.to_owned())));
    Remote::new(send, received, Host::Thread(thread))
}

/// Starts a node in a process of its own.
fn start_process(plan: &Plan) -> Result<Remote, String> {
    Remote::start_process("--node", &serde_json::to_string(plan).expect("a plan is plain data"))
}

//! The coordinator's end of the node under attack: its process, its memory, its CPU time and its log.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use libp2p::Multiaddr;
use serde_json::Value;
use testkit::wire::{
    plan::Implementation,
    remote::{self, Host, Remote},
};

use super::{
    attacks::Attack,
    plan::{BULK_TOPIC, TOPIC, VictimPlan},
    run::{TIMEOUT, json, parse},
    usage, victim,
};

pub struct Target {
    remote: Remote,
    process: u32,
    pub address: Multiaddr,
    /// The lines and bytes of the program's log, if the node is a program of its own.
    log: Option<Arc<[AtomicU64; 2]>>,
    is_program: bool,
    /// Standard error that nobody reads.
    _unread: Option<ChildStderr>,
}

pub struct Heap {
    pub live: u64,
    pub peak: u64,
    /// Of the live bytes, those of seen ids and of the history; 0 if unknown.
    pub remembered: u64,
}

impl Target {
    pub fn start(attack: Attack, implementation: Implementation) -> Result<Self, String> {
        if attack.runs_program() {
            return Self::start_program(attack);
        }
        let plan = VictimPlan { implementation, seen_seconds: attack.seen_seconds() };
        let mut remote = Remote::start_process("victim", &json(&plan))?;
        let address = remote.receive("listening", TIMEOUT);
        Self::new(remote, address, false)
    }

    /// Starts the program of this package as its user does.
    fn start_program(attack: Attack) -> Result<Self, String> {
        let program = victim::program().ok_or("the program is not built")?;
        let mut command = Command::new(program);
        command.args(["node", "--json", "--topic", TOPIC, "--topic", BULK_TOPIC]).stderr(Stdio::piped());
        let mut remote = Remote::spawn(&mut command)?;
        let errors = match &mut remote.host {
            Host::Process(child) => child.stderr.take(),
            Host::Thread(_) => None,
        };
        let address = remote.receive("", TIMEOUT).and_then(|line| {
            let line: Value = parse(&line)?;
            let field = |name: &str| line[name].as_str().ok_or_else(|| format!("no {name:?} in {line}"));
            Ok(format!("{}/p2p/{}", field("addr")?, field("peer_id")?))
        });
        let mut victim = Self::new(remote, address, true)?;
        if attack == Attack::D13Unread {
            victim._unread = errors;
        } else {
            victim.log = errors.map(count_lines);
        }
        Ok(victim)
    }

    fn new(remote: Remote, address: Result<String, String>, is_program: bool) -> Result<Self, String> {
        let started = address.and_then(|address| {
            let Host::Process(child) = &remote.host else { return Err("no process".to_owned()) };
            Ok((child.id(), address.parse::<Multiaddr>().map_err(|error| format!("{address:?}: {error}"))?))
        });
        match started {
            Ok((process, address)) => {
                Ok(Self { remote, process, address, log: None, is_program, _unread: None })
            }
            Err(error) => {
                kill(remote);
                Err(format!("the node does not start: {error}"))
            }
        }
    }

    pub fn stop(self) {
        if self.is_program { kill(self.remote) } else { self.remote.stop() }
    }

    pub fn cpu_seconds(&self) -> Result<f64, String> {
        usage::cpu_seconds(self.process)
    }

    /// The peak is that since the last call.
    pub fn memory(&mut self) -> Result<Heap, String> {
        if self.is_program {
            let resident = usage::resident_bytes(self.process)?;
            return Ok(Heap { live: resident, peak: resident, remembered: 0 });
        }
        self.remote.send("sample");
        let answer = self.remote.receive("sample", TIMEOUT)?;
        match answer.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()[..] {
            [live, peak, remembered] => Ok(Heap { live, peak, remembered }),
            _ => Err(format!("{answer:?} in place of a sample")),
        }
    }

    pub fn log_counts(&self) -> Vec<(String, f64)> {
        let counts = self.log.iter().flat_map(|log| {
            let count = |index: usize| log[index].load(Ordering::Relaxed) as f64;
            [("lines of log".to_owned(), count(0)), ("MB of log".to_owned(), count(1) / 1e6)]
        });
        counts.collect()
    }
}

/// Ends a process that does not read its input.
fn kill(remote: Remote) {
    if let Host::Process(child) = remote.host {
        remote::kill(child);
    }
}

/// Reads to the end and counts lines and bytes.
fn count_lines(errors: ChildStderr) -> Arc<[AtomicU64; 2]> {
    let counts = Arc::<[AtomicU64; 2]>::default();
    let counting = Arc::clone(&counts);
    thread::spawn(move || {
        let mut reader = BufReader::new(errors);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            counting[0].fetch_add(1, Ordering::Relaxed);
            counting[1].fetch_add(line.len() as u64, Ordering::Relaxed);
            line.clear();
        }
    });
    counts
}

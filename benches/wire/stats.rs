//! This module has the statistics of a node: published and delivered messages, latencies, CPU time and bytes on the
//! wire. Those of several nodes or rounds add up.

use std::{cell::RefCell, rc::Rc, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use testkit::wire::{clock::now, content::Content, latency::Latency, plan::NODES, swarm};
use tokio::sync::Notify;

/// The statistics of one node, shared by the tasks of its thread.
#[derive(Clone)]
pub struct Stats(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    delivered: Notify,
}

#[derive(Default)]
struct State {
    /// For each publisher, the highest number that was delivered, plus one.
    next: [u64; NODES],
    published: u64,
    delivered: u64,
    /// Latencies are recorded only during the measurement.
    measuring: bool,
    latency: Latency,
}

impl Stats {
    pub fn new() -> Self {
        Self(Rc::new(Shared { state: RefCell::default(), delivered: Notify::new() }))
    }

    pub fn record_publication(&self) {
        self.0.state.borrow_mut().published += 1;
    }

    pub fn record_delivery(&self, data: &[u8]) {
        let content = Content::decode(data);
        let mut state = self.0.state.borrow_mut();
        state.delivered += 1;
        if let Some(content) = content {
            if let Some(next) = state.next.get_mut(content.publisher) {
                *next = (*next).max(content.number + 1);
            }
            if state.measuring {
                state.latency.record(now().saturating_sub(content.published));
            }
        }
        drop(state);
        self.0.delivered.notify_one();
    }

    pub fn deliveries(&self) -> u64 {
        self.0.state.borrow().delivered
    }

    /// The lowest number of messages that this node knows another node to have published. `own` is this node.
    pub fn fewest_published(&self, own: usize) -> u64 {
        let state = self.0.state.borrow();
        let others = state.next.iter().enumerate().filter(|(index, _)| *index != own);
        others.map(|(_, next)| *next).min().unwrap_or_default()
    }

    /// Waits for a delivery, for at most 100 ms: the message may be lost.
    pub async fn delivery(&self) {
        let _ = tokio::time::timeout(Duration::from_millis(100), self.0.delivered.notified()).await;
    }

    /// Takes a snapshot. Deliveries after it are timed if `measuring`.
    pub fn snapshot(&self, measuring: bool) -> Snapshot {
        let mut state = self.0.state.borrow_mut();
        state.measuring = measuring;
        Snapshot { delivered: state.delivered, cpu: cpu(), bytes: swarm::written(), taken_at: now() }
    }

    /// The totals between two snapshots.
    pub fn totals(&self, from: &Snapshot, to: &Snapshot) -> Totals {
        let state = self.0.state.borrow();
        Totals {
            delivered: to.delivered - from.delivered,
            nanos: to.taken_at - from.taken_at,
            cpu: to.cpu.saturating_sub(from.cpu),
            bytes: to.bytes - from.bytes,
            all_published: state.published,
            all_delivered: state.delivered,
            latency: state.latency.clone(),
        }
    }
}

/// The counters at one moment.
pub struct Snapshot {
    delivered: u64,
    cpu: u64,
    bytes: u64,
    taken_at: u64,
}

/// The CPU time of all threads of this process, in nanoseconds.
fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The results of nodes. Times are in nanoseconds.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Totals {
    pub delivered: u64,
    pub nanos: u64,
    pub cpu: u64,
    pub bytes: u64,
    /// The published messages, including warm-up and drain.
    pub all_published: u64,
    /// The delivered messages, including warm-up and drain.
    pub all_delivered: u64,
    pub latency: Latency,
}

impl Totals {
    /// Adds another node of the same network. Nodes of one process count CPU time and bytes of the whole process.
    pub fn add_node(&mut self, other: Self, same_process: bool) {
        let cost = |one: u64, other: u64| if same_process { one.max(other) } else { one + other };
        self.cpu = cost(self.cpu, other.cpu);
        self.bytes = cost(self.bytes, other.bytes);
        self.nanos = self.nanos.max(other.nanos);
        self.add_messages(other);
    }

    /// Adds another network.
    pub fn add_network(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.bytes += other.bytes;
        self.nanos += other.nanos;
        self.add_messages(other);
    }

    fn add_messages(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.all_published += other.all_published;
        self.all_delivered += other.all_delivered;
        self.latency.add(other.latency);
    }
}

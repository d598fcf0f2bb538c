//! This module has the statistics of a node: published and delivered messages, latencies, CPU time and bytes on the
//! wire. Those of several nodes or rounds add up.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{plan::NODES, swarm};

/// The bytes of a message that name its publisher, its number, and the time of its publication.
const HEADER: usize = 24;

/// Nanoseconds since 1970, on the clock that all nodes of this machine share.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The content of a message of `size` bytes.
pub fn message(publisher: usize, number: u64, published: u64, size: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(size.max(HEADER));
    for field in [publisher as u64, number, published] {
        data.extend(field.to_be_bytes());
    }
    data.resize(size.max(HEADER), b'.');
    data
}

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
        let field = |index: usize| {
            let bytes = data.get(8 * index..8 * index + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_be_bytes)
        };
        let mut state = self.0.state.borrow_mut();
        state.delivered += 1;
        if let Some(next) = usize::try_from(field(0)).ok().and_then(|index| state.next.get_mut(index)) {
            *next = (*next).max(field(1) + 1);
        }
        if state.measuring {
            state.latency.record(now().saturating_sub(field(2)));
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
        self.latency.0.add(other.latency.0).expect("a histogram that resizes takes all values");
    }
}

/// A histogram of latencies in microseconds, with two significant digits. As JSON: pairs of value and count.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(2).expect("two digits are valid"))
    }
}

impl From<Vec<(u64, u64)>> for Latency {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latency = Self::default();
        for (micros, count) in counts {
            latency.0.record_n(micros, count).expect("a histogram that resizes takes all values");
        }
        latency
    }
}

impl From<Latency> for Vec<(u64, u64)> {
    fn from(latency: Latency) -> Self {
        let counts = latency.0.iter_recorded();
        counts.map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
    }
}

impl Latency {
    fn record(&mut self, nanos: u64) {
        self.0.record(nanos / 1_000).expect("a histogram that resizes takes all values");
    }

    /// The latency in milliseconds that `quantile` of the deliveries did not exceed. NaN without deliveries.
    pub fn quantile(&self, quantile: f64) -> f64 {
        if self.0.is_empty() { f64::NAN } else { self.0.value_at_quantile(quantile) as f64 / 1_000.0 }
    }
}

//! What a node counts: what it published, what it was given, how long that took, and what it cost. The
//! numbers of several nodes or rounds add up.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{plan::NODES, wire};

/// Which message it is: its publisher, its number there, and when it was published.
const HEAD: usize = 24;

/// Nanoseconds of the one clock of all nodes of this machine.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub fn message(publisher: usize, number: u64, published: u64, size: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(size.max(HEAD));
    for word in [publisher as u64, number, published] {
        data.extend(word.to_be_bytes());
    }
    data.resize(size.max(HEAD), b'.');
    data
}

/// The account of one node, shared by its tasks, which are all on its thread.
#[derive(Clone)]
pub struct Account(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    heard: Notify,
}

#[derive(Default)]
struct State {
    /// The highest number heard of each node, and one more.
    next: [u64; NODES],
    published: u64,
    delivered: u64,
    /// Only what arrives while it is measured is timed.
    measuring: bool,
    latency: Latency,
}

impl Account {
    pub fn new() -> Self {
        Self(Rc::new(Shared { state: RefCell::default(), heard: Notify::new() }))
    }

    pub fn published(&self) {
        self.0.state.borrow_mut().published += 1;
    }

    pub fn delivered(&self, data: &[u8]) {
        let word = |index: usize| {
            let bytes = data.get(8 * index..8 * index + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_be_bytes)
        };
        let mut state = self.0.state.borrow_mut();
        state.delivered += 1;
        if let Some(next) = usize::try_from(word(0)).ok().and_then(|index| state.next.get_mut(index)) {
            *next = (*next).max(word(1) + 1);
        }
        if state.measuring {
            state.latency.record(now().saturating_sub(word(2)));
        }
        drop(state);
        self.0.heard.notify_one();
    }

    pub fn deliveries(&self) -> u64 {
        self.0.state.borrow().delivered
    }

    /// How many messages the node heard of least has published, as far as is known; not of `me`.
    pub fn slowest(&self, me: usize) -> u64 {
        let state = self.0.state.borrow();
        let others = state.next.iter().enumerate().filter(|(index, _)| *index != me);
        others.map(|(_, next)| *next).min().unwrap_or_default()
    }

    /// Waits until more was heard.
    pub async fn heard(&self) {
        // A message that is lost must not be waited for.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.0.heard.notified()).await;
    }

    /// The numbers at this moment, from which on deliveries are timed or not.
    pub fn mark(&self, measuring: bool) -> Mark {
        let mut state = self.0.state.borrow_mut();
        state.measuring = measuring;
        Mark { delivered: state.delivered, cpu: cpu(), bytes: wire::written(), at: now() }
    }

    /// What it came to between two moments, and in all.
    pub fn result(&self, from: &Mark, to: &Mark) -> Tally {
        let state = self.0.state.borrow();
        Tally {
            delivered: to.delivered - from.delivered,
            nanos: to.at - from.at,
            cpu: to.cpu.saturating_sub(from.cpu),
            bytes: to.bytes - from.bytes,
            published_in_all: state.published,
            delivered_in_all: state.delivered,
            latency: state.latency.clone(),
        }
    }
}

/// The numbers at a moment.
pub struct Mark {
    delivered: u64,
    cpu: u64,
    bytes: u64,
    at: u64,
}

/// What all threads of this process have run so far, in nanoseconds; 0 where the system does not tell.
fn cpu() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(of).sum()
}

/// What nodes came to.
#[derive(Clone, Default)]
pub struct Tally {
    pub delivered: u64,
    pub nanos: u64,
    pub cpu: u64,
    pub bytes: u64,
    pub published_in_all: u64,
    pub delivered_in_all: u64,
    pub latency: Latency,
}

impl Tally {
    /// Adds another node of the same network. `together`: both are in one process, whose threads and bytes
    /// each has counted.
    pub fn join(&mut self, other: Self, together: bool) {
        let cost = |mine: u64, its: u64| if together { mine.max(its) } else { mine + its };
        self.cpu = cost(self.cpu, other.cpu);
        self.bytes = cost(self.bytes, other.bytes);
        self.nanos = self.nanos.max(other.nanos);
        self.count(other);
    }

    /// Adds another network's, at another time.
    pub fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.bytes += other.bytes;
        self.nanos += other.nanos;
        self.count(other);
    }

    fn count(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.published_in_all += other.published_in_all;
        self.delivered_in_all += other.delivered_in_all;
        self.latency.add(&other.latency);
    }

    pub fn to_json(&self) -> Value {
        let Self { delivered, nanos, cpu, bytes, published_in_all, delivered_in_all, latency } = self;
        let latency: Vec<_> = latency.0.iter().collect();
        json!([delivered, nanos, cpu, bytes, published_in_all, delivered_in_all, latency])
    }

    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |index: usize| value[index].as_u64();
        let bucket = |pair: &Value| Some((u32::try_from(pair[0].as_u64()?).ok()?, pair[1].as_u64()?));
        Some(Self {
            delivered: number(0)?,
            nanos: number(1)?,
            cpu: number(2)?,
            bytes: number(3)?,
            published_in_all: number(4)?,
            delivered_in_all: number(5)?,
            latency: Latency(value[6].as_array()?.iter().map(bucket).collect::<Option<_>>()?),
        })
    }
}

/// How many deliveries took how long, in buckets of at most 1.6 % width.
#[derive(Clone, Default)]
pub struct Latency(BTreeMap<u32, u64>);

impl Latency {
    fn record(&mut self, nanos: u64) {
        // The first seven bits of the microseconds, and how many follow.
        let micros = nanos / 1_000;
        let rest = (u64::BITS - micros.leading_zeros()).saturating_sub(7);
        *self.0.entry(rest << 7 | (micros >> rest) as u32).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(bucket, count)| *self.0.entry(*bucket).or_default() += count);
    }

    /// The milliseconds that this part of all deliveries took at most.
    pub fn quantile(&self, part: f64) -> f64 {
        let wanted = (self.0.values().sum::<u64>() as f64 * part).ceil();
        let mut so_far = 0;
        for (bucket, count) in &self.0 {
            so_far += count;
            if so_far as f64 >= wanted {
                let end = (u64::from(bucket & 0x7f) + 1) << (bucket >> 7);
                return end as f64 / 1_000.0;
            }
        }
        f64::NAN
    }
}

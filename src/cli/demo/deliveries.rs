//! The account of the demonstration: which messages were published, which node received them, and how long that took.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// Length of the header of a message: its number in the topic, and the time of its publication.
const HEADER: usize = 16;
/// The largest latency with a bucket of its own, in microseconds: one hour.
const MAX_LATENCY: u64 = 3_600_000_000;
/// Significant decimal digits of latencies: percentiles are at most 1 % too large.
const LATENCY_DIGITS: u8 = 2;

/// Counts the deliveries of all topics. Each topic has a lock of its own.
pub struct DeliveryLog {
    topics: Vec<Mutex<Topic>>,
    nodes: usize,
    start: Instant,
}

#[derive(Clone)]
struct Topic {
    published: u64,
    /// One bit for each pair of message and node: the node has the message.
    has: Vec<u64>,
    totals: Totals,
}

/// The numbers of one topic, or of all topics.
#[derive(Clone)]
pub struct Totals {
    pub published: u64,
    pub expected: u64,
    pub delivered: u64,
    /// Deliveries of a message that the node had before, or that no node has published.
    pub duplicates: u64,
    pub latency: Latency,
}

/// The distribution of latencies.
#[derive(Clone)]
pub struct Latency {
    /// In microseconds.
    histogram: Histogram<u64>,
    max: Duration,
}

/// An expected delivery that did not happen.
pub struct MissingDelivery {
    pub topic: usize,
    pub message: u64,
    pub node: usize,
}

impl Latency {
    fn new() -> Self {
        // It fails only for bounds and digits outside the documented ranges.
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY, LATENCY_DIGITS).expect("valid bounds");
        Self { histogram, max: Duration::ZERO }
    }

    fn record(&mut self, latency: Duration) {
        self.histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        self.max = self.max.max(latency);
    }

    fn add(&mut self, other: &Self) {
        // It fails only for different bounds.
        self.histogram.add(&other.histogram).expect("equal bounds");
        self.max = self.max.max(other.max);
    }

    /// The latency that `percent` % of the deliveries do not exceed; 0 without deliveries.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.histogram.value_at_percentile(percent)).min(self.max)
    }

    pub fn max(&self) -> Duration {
        self.max
    }
}

impl Totals {
    fn new() -> Self {
        Self { published: 0, expected: 0, delivered: 0, duplicates: 0, latency: Latency::new() }
    }

    pub fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.delivered)
    }

    fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.duplicates += other.duplicates;
        self.latency.add(&other.latency);
    }
}

impl DeliveryLog {
    pub fn new(topics: usize, nodes: usize) -> Self {
        let topic = || Mutex::new(Topic { published: 0, has: Vec::new(), totals: Totals::new() });
        Self { topics: (0..topics).map(|_| topic()).collect(), nodes, start: Instant::now() }
    }

    /// Time since the log was created.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Counts a publication of node `publisher`, and returns the message, which is `size` bytes long.
    pub fn publish(&self, topic: usize, publisher: usize, size: usize) -> Vec<u8> {
        let number = {
            let mut topic = self.topic(topic);
            let number = topic.published;
            topic.published += 1;
            topic.totals.published += 1;
            topic.totals.expected += self.nodes as u64 - 1;
            let bit = self.bit(number, publisher);
            topic.set(bit);
            number
        };
        let mut data = Vec::with_capacity(size.max(HEADER));
        data.extend(number.to_be_bytes());
        // 64 bits of nanoseconds are enough for 584 years.
        data.extend((self.elapsed().as_nanos() as u64).to_be_bytes());
        data.resize(size.max(HEADER), b'.');
        data
    }

    /// Counts the delivery of a message at `node`.
    pub fn delivered(&self, topic: usize, node: usize, data: &[u8]) {
        let now = self.elapsed();
        let header = data.first_chunk::<HEADER>().map(|header| u128::from_be_bytes(*header));
        let mut topic = self.topic(topic);
        let number = header.map(|header| (header >> 64) as u64).filter(|number| *number < topic.published);
        let bit = number.map(|number| self.bit(number, node));
        if !bit.is_some_and(|bit| topic.set(bit)) {
            topic.totals.duplicates += 1;
            return;
        }
        topic.totals.delivered += 1;
        let sent = Duration::from_nanos(header.unwrap_or_default() as u64);
        topic.totals.latency.record(now.saturating_sub(sent));
    }

    /// The numbers of one topic.
    pub fn topic_totals(&self, topic: usize) -> Totals {
        self.topic(topic).totals.clone()
    }

    /// The numbers of all topics together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        (0..self.topics.len()).for_each(|topic| totals.add(&self.topic(topic).totals));
        totals
    }

    /// The first `limit` missing deliveries.
    pub fn missing(&self, limit: usize) -> Vec<MissingDelivery> {
        let mut missing = Vec::new();
        for index in 0..self.topics.len() {
            let topic = self.topic(index);
            let all =
                (0..topic.published).flat_map(|message| (0..self.nodes).map(move |node| (message, node)));
            let lacking = all.filter(|(message, node)| !topic.has(self.bit(*message, *node)));
            let entries = lacking.map(|(message, node)| MissingDelivery { topic: index, message, node });
            missing.extend(entries.take(limit - missing.len()));
        }
        missing
    }

    fn bit(&self, message: u64, node: usize) -> usize {
        message as usize * self.nodes + node
    }

    fn topic(&self, topic: usize) -> MutexGuard<'_, Topic> {
        // A panic can't leave the numbers inconsistent.
        self.topics[topic].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topic {
    /// Sets a bit. Returns false if it was set before.
    fn set(&mut self, bit: usize) -> bool {
        let block = bit / 64;
        if block >= self.has.len() {
            self.has.resize(block + 1, 0);
        }
        let new = !self.has(bit);
        self.has[block] |= 1 << (bit % 64);
        new
    }

    fn has(&self, bit: usize) -> bool {
        self.has.get(bit / 64).is_some_and(|block| block & (1 << (bit % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_accounted_for() {
        let log = DeliveryLog::new(2, 3);
        let data = log.publish(1, 0, 20);
        assert_eq!(data.len(), 20);
        assert_eq!((log.totals().expected, log.totals().missing()), (2, 2));
        log.delivered(1, 2, &data);
        let missing = log.missing(10);
        assert_eq!((missing.len(), missing[0].topic, missing[0].message, missing[0].node), (1, 1, 0, 1));

        // A repeated delivery, one to the publisher, unknown data, and a delivery on another topic are duplicates.
        log.delivered(1, 2, &data);
        log.delivered(1, 0, &data);
        log.delivered(1, 1, b"x");
        log.delivered(0, 1, &data);
        let totals = log.totals();
        assert_eq!((totals.published, totals.delivered, totals.duplicates), (1, 1, 4));
        log.delivered(1, 1, &data);
        assert_eq!((log.totals().missing(), log.topic_totals(0).duplicates), (0, 1));
        assert!(log.missing(10).is_empty());
    }

    #[test]
    fn percentiles_are_exact_to_two_digits() {
        let mut latency = Latency::new();
        (1..=10_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
        for (percent, exact) in [(0.01, 1), (50.0, 5_000), (90.0, 9_000), (99.0, 9_900), (100.0, 10_000)] {
            let found = latency.percentile(percent).as_micros() as u64;
            assert!((exact..=exact + exact / 60).contains(&found), "{percent}: {found}, not {exact}");
        }
        assert_eq!(latency.max(), Duration::from_millis(10));
    }

    #[test]
    fn every_duration_has_a_bucket() {
        assert_eq!(Latency::new().percentile(50.0), Duration::ZERO);
        for micros in (0..100_000).step_by(37).chain([1 << 20, (1 << 31) + 7]) {
            let (exact, mut latency) = (Duration::from_micros(micros), Latency::new());
            latency.record(exact);
            assert_eq!(latency.percentile(50.0), exact);
        }
        let mut latency = Latency::new();
        latency.record(Duration::MAX);
        assert_eq!(latency.max(), Duration::MAX);
        assert!(latency.percentile(50.0) >= Duration::from_micros(MAX_LATENCY));
    }
}

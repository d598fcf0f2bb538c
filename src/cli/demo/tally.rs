//! What was published and who got it: each delivery expected, made, or made once too often. It never
//! hears of how messages travel.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::latency::Latency;

/// Length of the part of a message that says which it is.
const HEAD: usize = 16;

/// The account of all topics. Deliveries of different topics don't wait for each other.
pub struct Tally {
    topics: Vec<Mutex<Topic>>,
    nodes: usize,
    start: Instant,
}

#[derive(Clone)]
struct Topic {
    published: u64,
    /// A bit for each message and node: it has the message.
    has: Vec<u64>,
    sums: Sums,
}

/// Numbers of a topic, or of all.
#[derive(Clone)]
pub struct Sums {
    pub published: u64,
    pub expected: u64,
    pub delivered: u64,
    /// Deliveries of what the node had already, had published itself, or nobody had published.
    pub duplicates: u64,
    pub latency: Latency,
}

/// A delivery that was not made.
pub struct Missing {
    pub topic: usize,
    pub message: u64,
    pub node: usize,
}

impl Sums {
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

impl Tally {
    pub fn new(topics: usize, nodes: usize) -> Self {
        let topic = || Mutex::new(Topic { published: 0, has: Vec::new(), sums: Sums::new() });
        Self { topics: (0..topics).map(|_| topic()).collect(), nodes, start: Instant::now() }
    }

    /// The time of the demonstration's one clock.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The next message of `publisher` on `topic`, `size` bytes long.
    pub fn message(&self, topic: usize, publisher: usize, size: usize) -> Vec<u8> {
        let number = {
            let mut topic = self.topic(topic);
            let number = topic.published;
            topic.published += 1;
            topic.sums.published += 1;
            topic.sums.expected += self.nodes as u64 - 1;
            let bit = self.bit(number, publisher);
            topic.set(bit);
            number
        };
        let mut data = Vec::with_capacity(size.max(HEAD));
        data.extend(number.to_be_bytes());
        // More nanoseconds than 584 years have.
        data.extend((self.elapsed().as_nanos() as u64).to_be_bytes());
        data.resize(size.max(HEAD), b'.');
        data
    }

    /// `node` was given a message.
    pub fn delivered(&self, topic: usize, node: usize, data: &[u8]) {
        let now = self.elapsed();
        let head = data.first_chunk::<HEAD>().map(|head| u128::from_be_bytes(*head));
        let mut topic = self.topic(topic);
        let number = head.map(|head| (head >> 64) as u64).filter(|number| *number < topic.published);
        let bit = number.map(|number| self.bit(number, node));
        if !bit.is_some_and(|bit| topic.set(bit)) {
            topic.sums.duplicates += 1;
            return;
        }
        topic.sums.delivered += 1;
        let sent = Duration::from_nanos(head.unwrap_or_default() as u64);
        topic.sums.latency.record(now.saturating_sub(sent));
    }

    /// The numbers of one topic.
    pub fn sums(&self, topic: usize) -> Sums {
        self.topic(topic).sums.clone()
    }

    /// The numbers of all topics together.
    pub fn total(&self) -> Sums {
        let mut total = Sums::new();
        (0..self.topics.len()).for_each(|topic| total.add(&self.topic(topic).sums));
        total
    }

    /// At most `limit` of the deliveries that were not made.
    pub fn missing(&self, limit: usize) -> Vec<Missing> {
        let mut missing = Vec::new();
        for index in 0..self.topics.len() {
            let topic = self.topic(index);
            let all =
                (0..topic.published).flat_map(|message| (0..self.nodes).map(move |node| (message, node)));
            let lacking = all.filter(|(message, node)| !topic.has(self.bit(*message, *node)));
            let entries = lacking.map(|(message, node)| Missing { topic: index, message, node });
            missing.extend(entries.take(limit - missing.len()));
        }
        missing
    }

    fn bit(&self, message: u64, node: usize) -> usize {
        message as usize * self.nodes + node
    }

    fn topic(&self, topic: usize) -> MutexGuard<'_, Topic> {
        // Plain numbers: a panic elsewhere leaves them whole.
        self.topics[topic].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topic {
    /// Sets a bit; `false` if it was set.
    fn set(&mut self, bit: usize) -> bool {
        let word = bit / 64;
        if word >= self.has.len() {
            self.has.resize(word + 1, 0);
        }
        let new = !self.has(bit);
        self.has[word] |= 1 << (bit % 64);
        new
    }

    fn has(&self, bit: usize) -> bool {
        self.has.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_accounted_for() {
        let tally = Tally::new(2, 3);
        let data = tally.message(1, 0, 20);
        assert_eq!(data.len(), 20);
        assert_eq!((tally.total().expected, tally.total().missing()), (2, 2));
        tally.delivered(1, 2, &data);
        let missing = tally.missing(10);
        assert_eq!((missing.len(), missing[0].topic, missing[0].message, missing[0].node), (1, 1, 0, 1));

        // Again, to its publisher, something else, and on another topic: once too often each.
        tally.delivered(1, 2, &data);
        tally.delivered(1, 0, &data);
        tally.delivered(1, 1, b"x");
        tally.delivered(0, 1, &data);
        let total = tally.total();
        assert_eq!((total.published, total.delivered, total.duplicates), (1, 1, 4));
        tally.delivered(1, 1, &data);
        assert_eq!((tally.total().missing(), tally.sums(0).duplicates), (0, 1));
        assert!(tally.missing(10).is_empty());
    }
}

//! Parked messages: the application could not decide their validity yet.

use std::collections::{BTreeMap, BTreeSet};

use derive_where::derive_where;

use crate::{
    limits::{Bounds, Extensions},
    network::{Delivery, Network, Validity},
};

/// The parked messages with their senders, sorted by id and topic.
///
/// The ids of a topic are expected to ascend with the time at which they become decidable: a message is not tried before
/// those of its topic that have smaller ids.
#[derive_where(Debug)]
pub(crate) struct Parked<N: Network> {
    capacity: usize,
    max_bytes: usize,
    max_co_senders: usize,
    bytes: usize,
    /// The number of calls of [`check`](Self::check).
    checks: u64,
    messages: BTreeMap<Key<N>, ParkedMessage<N>>,
    /// Since when the messages were parked that the last check removed to be tried again. Their content may be undecided
    /// still.
    retried: BTreeMap<Key<N>, u64>,
}

pub(super) type Key<N> = (<N as Network>::MessageId, <N as Network>::Topic);

#[derive_where(Debug)]
struct ParkedMessage<N: Network> {
    delivery: Delivery<N>,
    bytes: usize,
    /// The value of `checks` when it was parked first.
    since: u64,
}

/// The messages that [`Parked::check`] removes.
#[derive_where(Default)]
pub(crate) struct CheckedMessages<N: Network> {
    /// The deliveries to handle again, in ascending order of ids.
    pub(crate) decided: Vec<Delivery<N>>,
    /// The number of messages that were parked for too long.
    pub(crate) expired: usize,
    /// The messages that are dropped: they were parked for too long, or their id is outdated.
    pub(super) dropped: Vec<Key<N>>,
}

/// The messages that [`Parked::add`] drops.
#[derive_where(Default)]
pub(crate) struct DroppedMessages<N: Network> {
    /// Their number.
    pub(crate) count: usize,
    /// The keys of messages of which no other content is parked.
    pub(super) keys: Vec<Key<N>>,
}

impl<N: Network> Parked<N> {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            capacity: bounds.max_parked_messages,
            // Messages of unknown validity use at most half of the bytes of inputs.
            max_bytes: bounds.max_parked_bytes.min(bounds.max_input_bytes / 2),
            max_co_senders: bounds.max_co_senders,
            bytes: 0,
            checks: 0,
            messages: BTreeMap::new(),
            retried: BTreeMap::new(),
        }
    }

    /// Parks a message of `bytes` bytes, or adds its senders to the same parked message. Another content with a parked
    /// id is dropped. When the collection is full, the greatest keys are dropped. Returns the dropped messages.
    pub(crate) fn add(&mut self, mut delivery: Delivery<N>, bytes: usize) -> DroppedMessages<N> {
        let mut dropped = DroppedMessages::default();
        let key = (delivery.message.message_id.clone(), delivery.message.topic.clone());
        if let Some(parked) = self.messages.get_mut(&key) {
            let same = parked.delivery.message.message == delivery.message.message;
            if same {
                parked.delivery.join(delivery, self.max_co_senders);
            }
            dropped.count = usize::from(!same);
            return dropped;
        }
        while self.messages.len() >= self.capacity || bytes > self.max_bytes - self.bytes {
            dropped.count += 1;
            match self.messages.last_entry() {
                Some(greatest) if *greatest.key() > key => {
                    let (evicted, parked) = greatest.remove_entry();
                    self.bytes -= parked.bytes;
                    dropped.keys.push(evicted);
                }
                _ => {
                    dropped.keys.push(key);
                    return dropped;
                }
            }
        }
        delivery.co_senders.truncate(self.max_co_senders);
        delivery.co_senders.sort_unstable();
        self.bytes += bytes;
        let since = self.retried.remove(&key).unwrap_or(self.checks);
        self.messages.insert(key, ParkedMessage { delivery, bytes, since });
        dropped
    }

    /// Removes the messages whose id `validate_id` can decide now, with their verdicts, and those that were parked longer
    /// than `parked_ticks` checks ago. Each id is validated at most once. Called once a heartbeat.
    pub(crate) fn check(
        &mut self,
        extensions: &Extensions,
        validate_id: impl Fn(&N::MessageId) -> Validity,
    ) -> CheckedMessages<N> {
        self.checks += 1;
        let (mut checked, mut blocked) = (CheckedMessages::default(), BTreeSet::new());
        let mut removed = Vec::new();
        self.retried.clear();
        for (key @ (id, topic), parked) in &self.messages {
            let age = self.checks - parked.since;
            let expires = extensions.parked_ticks > 0 && age > extensions.parked_ticks;
            let mut retry = false;
            if expires {
                checked.expired += 1;
            } else if blocked.contains(topic) {
                continue;
            } else {
                match validate_id(id) {
                    Validity::Unknown if extensions.parked_topics_are_independent => {
                        blocked.insert(topic);
                        continue;
                    }
                    Validity::Unknown => break,
                    // Dropped without another validation.
                    Validity::Outdated => {}
                    Validity::Valid | Validity::Invalid => retry = true,
                }
            }
            removed.push((key.clone(), retry));
        }
        for (key, retry) in removed {
            let Some(parked) = self.messages.remove(&key) else { continue };
            self.bytes -= parked.bytes;
            if retry {
                self.retried.insert(key, parked.since);
                checked.decided.push(parked.delivery);
            } else {
                checked.dropped.push(key);
            }
        }
        checked
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}

//! A network that counts what an engine does with the names of topics and peers, and how often it judges a message id. The
//! counts show how much work an input takes, on any machine.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use actix_gossipsub::{Network, Validity};

/// A key that counts its clones, comparisons and hashes in a counter that it shares with its clones.
pub struct Counted {
    pub number: u64,
    uses: Arc<AtomicU64>,
}

impl Counted {
    /// A key that counts in `uses`.
    pub fn new(number: u64, uses: &Arc<AtomicU64>) -> Self {
        Self { number, uses: Arc::clone(uses) }
    }

    fn count(&self) {
        self.uses.fetch_add(1, Relaxed);
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.count();
        Self::new(self.number, &self.uses)
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.count();
        self.number == other.number
    }
}

impl Eq for Counted {}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        self.count();
        self.number.cmp(&other.number)
    }
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.count();
        self.number.hash(state);
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// A network whose topics and peers are [`Counted`]. Ids from `invalid_from` on are invalid.
#[derive(Debug)]
pub struct CountedNetwork {
    pub judged_ids: AtomicU64,
    pub invalid_from: u64,
}

impl Default for CountedNetwork {
    fn default() -> Self {
        Self { judged_ids: AtomicU64::new(0), invalid_from: u64::MAX }
    }
}

impl Network for CountedNetwork {
    type Peer = Counted;
    type Topic = Counted;
    type MessageId = u64;
    type Message = ();
    type Point = u64;

    fn topic_of(&self, _: &u64) -> Option<Counted> {
        None
    }

    fn message_size(&self, message: &()) -> usize {
        size_of_val(message)
    }

    fn message_id_size(&self, id: &u64) -> usize {
        size_of_val(id)
    }

    fn topic_size(&self, topic: &Counted) -> usize {
        size_of_val(topic)
    }

    fn validate_id(&self, id: &u64) -> Validity {
        self.judged_ids.fetch_add(1, Relaxed);
        if *id < self.invalid_from { Validity::Valid } else { Validity::Invalid }
    }
}

//! The limits in bytes of what an engine remembers for its topics and peers. All topics, or all peers, share each limit:
//! each may use the first half as it needs, and has a fair share of the second half.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use enum_map::{Enum, EnumMap, enum_map};
use strum::VariantNames;

use crate::limits::Bounds;

/// The kinds of state that are stored for a topic or a peer; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Remembered {
    /// Messages that peers can request, and who requested them.
    History,
    /// Ids of handled messages with their senders.
    Seen,
    /// Rejected messages.
    Invalid,
    Backoffs,
    /// The backoffs of topics that are not joined, with the names of these topics.
    PassiveBackoffs,
    /// For a peer: the ids of its IDONTWANTs, and those of messages that it was not sent.
    PeerIds,
    /// For a peer: the names of the topics that it is subscribed to.
    TopicNames,
}

/// The bytes of each kind that a topic of the application may have whatever other topics have, so that none is left without
/// any.
pub(crate) const FLOOR: usize = 16 * 1024;

/// The limits of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Totals(EnumMap<Remembered, Arc<Total>>);

/// The limit of one kind and what topics have of it.
#[derive(Debug)]
struct Total {
    max: usize,
    /// [`FLOOR`], or 0 for a kind that topics have which were never joined.
    floor: usize,
    used: AtomicUsize,
    /// The number of topics or peers that have something.
    owners: AtomicUsize,
    /// The number of entries that were removed before their time, or not stored.
    evicted: AtomicU64,
}

/// The bytes of one kind that one topic or peer has. Dropping it returns them.
#[derive(Debug)]
pub(crate) struct Share {
    total: Arc<Total>,
    own: usize,
}

impl Totals {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let total = |max, floor: usize| Total {
            max,
            floor: floor.min(max),
            used: 0.into(),
            owners: 0.into(),
            evicted: 0.into(),
        };
        Self(enum_map! {
            Remembered::History => Arc::new(total(bounds.max_history_bytes, FLOOR)),
            Remembered::Seen => Arc::new(total(bounds.max_seen_bytes, FLOOR)),
            Remembered::Invalid => Arc::new(total(bounds.max_invalid_bytes, FLOOR)),
            Remembered::Backoffs => Arc::new(total(bounds.max_backoff_bytes, FLOOR)),
            Remembered::PassiveBackoffs => Arc::new(total(bounds.max_backoff_bytes / 4, 0)),
            Remembered::PeerIds => Arc::new(total(bounds.max_peer_id_bytes, 0)),
            Remembered::TopicNames => Arc::new(total(bounds.max_topic_name_bytes, 0)),
        })
    }

    /// An empty share for a topic or a peer.
    pub(crate) fn share(&self, kind: Remembered) -> Share {
        Share { total: Arc::clone(&self.0[kind]), own: 0 }
    }

    /// The bytes that all topics or peers have of a kind.
    pub(crate) fn used(&self, kind: Remembered) -> usize {
        self.0[kind].used.load(Ordering::Relaxed)
    }

    /// The number of entries of each kind that were removed before their time, or not stored.
    pub(crate) fn evicted(&self) -> EnumMap<Remembered, u64> {
        enum_map! { kind => self.0[kind].evicted.load(Ordering::Relaxed) }
    }
}

impl Share {
    /// Adds an entry of `bytes`. Returns false if there is no room for it: the caller removes older entries or does without.
    pub(crate) fn try_add(&mut self, bytes: usize) -> bool {
        let used = self.total.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = used <= self.total.max / 2 || self.fits_share(used, bytes);
        if !fits {
            self.total.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.added(bytes);
        true
    }

    /// Whether [`try_add`](Self::try_add) would add an entry of `bytes`, if nobody else adds one.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.total.used.load(Ordering::Relaxed) + bytes;
        used <= self.total.max / 2 || self.fits_share(used, bytes)
    }

    /// Adds an entry of `bytes`, even beyond the limit.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.total.used.fetch_add(bytes, Ordering::Relaxed);
        self.added(bytes);
    }

    fn added(&mut self, bytes: usize) {
        if self.own == 0 && bytes > 0 {
            self.total.owners.fetch_add(1, Ordering::Relaxed);
        }
        self.own += bytes;
    }

    #[cold]
    fn fits_share(&self, used: usize, bytes: usize) -> bool {
        let owners = self.total.owners.load(Ordering::Relaxed) + usize::from(self.own == 0);
        let own = self.own + bytes;
        own <= self.total.floor || (used <= self.total.max && own <= self.total.max / 2 / owners.max(1))
    }

    /// Removes an entry of `bytes`.
    pub(crate) fn remove(&mut self, bytes: usize) {
        let bytes = bytes.min(self.own);
        self.own -= bytes;
        self.total.used.fetch_sub(bytes, Ordering::Relaxed);
        if self.own == 0 && bytes > 0 {
            self.total.owners.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Removes all entries.
    pub(crate) fn clear(&mut self) {
        self.remove(self.own);
    }

    /// Moves everything to another share.
    pub(crate) fn take(&mut self) -> Self {
        let own = std::mem::take(&mut self.own);
        Self { total: Arc::clone(&self.total), own }
    }

    /// A share of as many bytes that counts for no limit.
    pub(crate) fn uncounted(&self) -> Self {
        let total =
            Total { max: usize::MAX, floor: 0, used: self.own.into(), owners: 1.into(), evicted: 0.into() };
        Self { total: Arc::new(total), own: self.own }
    }

    /// Counts an entry that was removed before its time, or not stored.
    pub(crate) fn count_evicted(&self, entries: usize) {
        self.total.evicted.fetch_add(entries as u64, Ordering::Relaxed);
    }

    /// The bytes that this topic or peer has.
    pub(crate) fn bytes(&self) -> usize {
        self.own
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

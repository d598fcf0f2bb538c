//! What questions to a running engine are asked with, and answered in. Asks nothing.

use derive_where::derive_where;

use crate::{network::Network, protocol::outcome::decision::EventRecord, timestamp::Timestamp};

/// Which part of a list is wanted: the lists of this engine are in the order of their keys, and what is in
/// them changes between two questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// From behind this one; from the start when `None`. It need not be there any more.
    pub after: Option<K>,
    /// At most so many items.
    pub limit: usize,
    /// The page ends with the item that brings what is in its items to so many in all: a mesh has peers, a
    /// connection has topics.
    pub max_entries: usize,
}

impl<K> Page<K> {
    /// Everything.
    pub fn all() -> Self {
        Self { after: None, limit: usize::MAX, max_entries: usize::MAX }
    }

    /// The first `limit` items.
    pub fn first(limit: usize) -> Self {
        Self { limit, ..Self::all() }
    }

    /// The same, from behind `key`.
    pub fn after(self, key: K) -> Self {
        Self { after: Some(key), ..self }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct PageOf<T> {
    /// The items, ascending.
    pub items: Vec<T>,
    /// There may be more behind the last of them.
    pub more: bool,
}

/// How much waits in a queue of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Its name: `input`, `input_bytes`, `publication`, `p2p_output`, `app_output` or `validation`.
    pub name: &'static str,
    /// What waits in it.
    pub depth: usize,
    /// What may wait before something is refused or dropped.
    pub capacity: usize,
}

/// The engine's last heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatStatus {
    /// Its number; 0 before the first.
    pub tick: u64,
    /// When it began; the engine's start before the first.
    pub at: Timestamp,
    /// Heartbeats come by [`Worker::tick`](crate::Worker::tick) only.
    pub manual: bool,
    /// The joined topics that no peer had subscribed to at their last heartbeat.
    pub topics_without_peers: usize,
}

/// Events, oldest first.
#[derive_where(Clone, Debug)]
pub struct Events<N: Network> {
    /// The events asked for.
    pub records: Vec<EventRecord<N>>,
    /// The number of the last event there is.
    pub last: u64,
}

//! The types in which queries are asked and answered: pages of ordered lists, queue fill levels, events.

use derive_where::derive_where;

use crate::{network::Network, protocol::outcome::decision::EventRecord, timestamp::Timestamp};

/// The part of a list that a query returns. Lists are ordered by their keys. They may change between two queries.
///
/// # Examples
/// ```
/// # use actix_gossipsub::{Limits, LimitsConfig, Page, Started, Worker, plain::PlainNetwork};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
/// # let limits = Limits::try_from(LimitsConfig::default())?;
/// let topics = ["a", "b", "c"].map(str::to_owned);
/// let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(topics)?;
/// let page = Page::first(2);
/// let first = worker.topics(&page);
/// assert_eq!((first.items, first.more), (vec!["a".to_owned(), "b".to_owned()], true));
/// let next = worker.topics(&page.after("b".to_owned()));
/// assert_eq!((next.items, next.more), (vec!["c".to_owned()], false));
/// # worker.shutdown().await;
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// The page starts after this key, which need not exist any more; at the start of the list if `None`.
    pub after: Option<K>,
    /// The page has at most this many items.
    pub limit: usize,
    /// The page ends with the item at which the entries of all its items together reach this number. The entries of a
    /// mesh are its peers, those of a connection its topics.
    pub max_entries: usize,
}

impl<K> Page<K> {
    /// The whole list.
    pub fn all() -> Self {
        Self { after: None, limit: usize::MAX, max_entries: usize::MAX }
    }

    /// The first `limit` items.
    pub fn first(limit: usize) -> Self {
        Self { limit, ..Self::all() }
    }

    /// A page of the same size that starts after `key`.
    pub fn after(self, key: K) -> Self {
        Self { after: Some(key), ..self }
    }

    /// Whether the page starts before `key`.
    pub(super) fn starts_before(&self, key: &K) -> bool
    where
        K: Ord,
    {
        self.after.as_ref().is_none_or(|after| key > after)
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct PageOf<T> {
    /// The items, in ascending order of their keys.
    pub items: Vec<T>,
    /// Whether there may be more items after the last one.
    pub more: bool,
}

impl<T> PageOf<T> {
    /// The first `limit` of `items` by `key`.
    pub(super) fn sorted<K: Ord>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> &K) -> Self {
        items.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

/// The fill level of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// The queue: `input`, `input_bytes`, `publication`, `p2p_output`, `app_output` or `validation`.
    pub name: &'static str,
    /// Its items; for `input_bytes`, their bytes.
    pub depth: usize,
    /// The depth from which on the engine refuses inputs or drops outputs.
    pub capacity: usize,
}

/// The last heartbeat of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatStatus {
    /// Its number, from 1; 0 before the first heartbeat.
    pub tick: u64,
    /// The time at which it started; the start of the engine before the first heartbeat.
    pub started_at: Timestamp,
    /// Whether the engine has no timers: only [`Worker::tick`](crate::Worker::tick) runs a heartbeat.
    pub manual: bool,
    /// The number of joined topics that had no subscribed peer at their last heartbeat.
    pub topics_without_peers: usize,
    /// The number of joined topics whose mesh had fewer than D_low peers at their last heartbeat. Those without subscribed
    /// peers are among them.
    pub topics_below_degree_low: usize,
    /// The number of joined topics that had no score parameters of their own at their last heartbeat, while other topics have
    /// some.
    pub topics_without_scores: usize,
}

/// Events, from the oldest to the newest.
#[derive_where(Clone, Debug)]
pub struct Events<N: Network> {
    /// The requested events.
    pub records: Vec<EventRecord<N>>,
    /// The number of the newest event of the engine, in `records` or not.
    pub last: u64,
}

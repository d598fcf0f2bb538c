//! The types in which queries are asked and answered: pages of ordered lists, queue fill levels, events.

use std::collections::BTreeMap;

use derive_where::derive_where;

use crate::{
    actors::diagnostics::topic_status::TopicStatus,
    network::Network,
    protocol::{inspect::stats::TopicProblem, outcome::decision::EventRecord},
    timestamp::Timestamp,
};

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

/// The position of an item in a list that begins with what needs attention first. A list is ordered by rank, and items of
/// one rank by their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// The kind of problem: 0 is the most urgent.
    pub class: u8,
    /// The order within the kind.
    pub value: i64,
}

impl TopicStatus {
    /// Topics without subscribers are first, then those with the smallest meshes below D_low, then those without score
    /// parameters, then all others.
    pub fn rank(&self) -> Rank {
        let class = self.problem.map_or(TopicProblem::ALL.len(), |problem| problem as usize);
        let below = self.problem == Some(TopicProblem::BelowDLow);
        let value = if below { i64::try_from(self.mesh).unwrap_or(i64::MAX) } else { 0 };
        Rank { class: u8::try_from(class).unwrap_or(u8::MAX), value }
    }
}

/// A peer that is connected, or whose score is remembered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerStatus {
    /// Whether it is connected.
    pub connected: bool,
    /// Whether we dialled its last connection.
    pub outbound: bool,
    /// Whether it is a direct peer.
    pub direct: bool,
    /// Whether it is a bootstrap peer.
    pub bootstrap: bool,
    /// Whether it speaks floodsub.
    pub floodsub: bool,
    /// Its score, without deliveries since the last heartbeat.
    pub score: f64,
}

impl PeerStatus {
    /// Connected peers are before others, and peers with lower scores before those with higher ones.
    pub fn rank(&self) -> Rank {
        // An integer of the same order as the float, as in `f64::total_cmp`: but for the sign, the bits of a negative one are
        // inverted.
        let bits = self.score.to_bits().cast_signed();
        let value = bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed();
        Rank { class: u8::from(!self.connected), value }
    }
}

/// The first items of a ranked list, of those that are [offered](Self::offer).
pub(super) struct FirstItems<'a, K, T> {
    page: &'a Page<(Rank, K)>,
    items: BTreeMap<(Rank, K), T>,
    more: bool,
}

impl<'a, K: Clone + Ord, T> FirstItems<'a, K, T> {
    pub(super) fn new(page: &'a Page<(Rank, K)>) -> Self {
        Self { page, items: BTreeMap::new(), more: false }
    }

    /// Adds an item, if it is on the page as far as that is known.
    pub(super) fn offer(&mut self, rank: Rank, key: &K, item: T) {
        let position = (rank, key);
        if self.page.after.as_ref().is_some_and(|(rank, key)| position <= (*rank, key)) {
            return;
        }
        let last = self.items.last_key_value().map(|((rank, key), _)| (*rank, key));
        if self.items.len() >= self.page.limit && last.is_none_or(|last| last < position) {
            self.more = true;
            return;
        }
        self.items.insert((rank, key.clone()), item);
        if self.items.len() > self.page.limit {
            self.items.pop_last();
            self.more = true;
        }
    }

    pub(super) fn finish(self) -> PageOf<(K, T)> {
        let items = self.items.into_iter().map(|((_, key), item)| (key, item)).collect();
        PageOf { items, more: self.more }
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

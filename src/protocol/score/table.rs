//! The score counters of all (topic, peer) pairs, one row a topic. A heartbeat walks the rows in the order of topics;
//! an event of a topic costs one search for its row.

use std::{cmp::Ordering, collections::BTreeMap, ops::Bound};

use derive_where::derive_where;
use slab::Slab;

use super::counters::TopicCounters;
use crate::{limits::PatternIndex, protocol::inspect::memory::TOPIC_COUNTERS};

const _: () = assert!(size_of::<(PeerKey, TopicCounters)>() <= TOPIC_COUNTERS);

/// The key of a peer, valid while the peer has a score.
pub(super) type PeerKey = u32;

/// The key of a topic, valid while its row has counters.
pub(super) type TopicKey = u32;

/// All counters.
#[derive(Clone, Debug)]
#[derive_where(Default)]
pub(super) struct CounterTable<T> {
    rows: Slab<TopicRow<T>>,
    index: BTreeMap<T, TopicKey>,
}

/// The counters of one topic, for peers that are or were in its mesh or delivered messages.
#[derive(Clone, Debug)]
pub(super) struct TopicRow<T> {
    pub(super) topic: T,
    /// The pattern of score parameters that matches the topic, found when the row was made.
    pub(super) pattern: Option<PatternIndex>,
    /// Ascending by peer key.
    counters: Vec<(PeerKey, TopicCounters)>,
}

impl<T: Ord + Clone> CounterTable<T> {
    /// The row of a topic. It is created if it does not exist, with the pattern that `find` returns.
    pub(super) fn row_or_insert(
        &mut self,
        topic: &T,
        find: impl FnOnce() -> Option<PatternIndex>,
    ) -> TopicKey {
        if let Some(row) = self.index.get(topic) {
            return *row;
        }
        let row = TopicRow { topic: topic.clone(), pattern: find(), counters: Vec::new() };
        let row = self.rows.insert(row) as TopicKey;
        self.index.insert(topic.clone(), row);
        row
    }

    pub(super) fn find(&self, topic: &T) -> Option<TopicKey> {
        self.index.get(topic).copied()
    }

    /// The row with this key, which must be valid.
    pub(super) fn row(&self, row: TopicKey) -> &TopicRow<T> {
        &self.rows[row as usize]
    }

    pub(super) fn row_mut(&mut self, row: TopicKey) -> &mut TopicRow<T> {
        &mut self.rows[row as usize]
    }

    /// Finds the pattern of each row again.
    pub(super) fn update_patterns(&mut self, find: impl Fn(&T) -> Option<PatternIndex>) {
        self.rows.iter_mut().for_each(|(_, row)| row.pattern = find(&row.topic));
    }

    /// The rows after `topic`, or all rows, ascending by topic, at most `most`.
    pub(super) fn after(&self, topic: Option<&T>, most: usize) -> Vec<TopicKey> {
        let after = topic.map_or(Bound::Unbounded, Bound::Excluded);
        self.index.range((after, Bound::Unbounded)).map(|(_, row)| *row).take(most).collect()
    }

    /// Compares the topics of two rows.
    pub(super) fn compare(&self, row: TopicKey, other: TopicKey) -> Ordering {
        self.row(row).topic.cmp(&self.row(other).topic)
    }

    /// Removes a row that has no counters.
    pub(super) fn drop_if_empty(&mut self, row: TopicKey) {
        if self.row(row).counters.is_empty() {
            let TopicRow { topic, .. } = self.rows.remove(row as usize);
            self.index.remove(&topic);
        }
    }
}

impl<T> TopicRow<T> {
    pub(super) fn get(&self, peer: PeerKey) -> Option<&TopicCounters> {
        self.index_of(peer).ok().map(|index| &self.counters[index].1)
    }

    /// The counters of a peer, created if they do not exist, and whether they were created.
    pub(super) fn get_or_insert(&mut self, peer: PeerKey) -> (&mut TopicCounters, bool) {
        let found = self.index_of(peer);
        let index = found.unwrap_or_else(|index| {
            self.counters.insert(index, (peer, TopicCounters::default()));
            index
        });
        (&mut self.counters[index].1, found.is_err())
    }

    pub(super) fn get_mut(&mut self, peer: PeerKey) -> Option<&mut TopicCounters> {
        self.index_of(peer).ok().map(|index| &mut self.counters[index].1)
    }

    pub(super) fn remove(&mut self, peer: PeerKey) {
        if let Ok(index) = self.index_of(peer) {
            self.counters.remove(index);
        }
    }

    /// Keeps only the counters for which `keep` returns true.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(PeerKey, &mut TopicCounters) -> bool) {
        self.counters.retain_mut(|(peer, counters)| keep(*peer, counters));
        // Gives back memory after many peers had counters.
        if self.counters.capacity() > 4 * self.counters.len().max(4) {
            self.counters.shrink_to_fit();
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut TopicCounters)> {
        self.counters.iter_mut().map(|(peer, counters)| (*peer, counters))
    }

    fn index_of(&self, peer: PeerKey) -> Result<usize, usize> {
        self.counters.binary_search_by_key(&peer, |(peer, _)| *peer)
    }
}

//! The counters of every (topic, peer) that has some, one row a topic: a heartbeat walks them row by row, in the
//! order of the topics' names, and a topic's word is entered after one search. Knows no name of a peer and no
//! score: [`Scores`](super::Scores) gives each peer a key and adds up.

use std::{cmp::Ordering, collections::BTreeMap, ops::Bound};

use derive_where::derive_where;
use slab::Slab;

use super::counters::TopicCounters;

/// A peer, as long as it has a score.
pub(super) type PeerKey = u32;

/// A topic, as long as its row has counters.
pub(super) type TopicKey = u32;

/// All counters.
#[derive(Clone, Debug)]
#[derive_where(Default)]
pub(super) struct CounterTable<T> {
    rows: Slab<TopicRow<T>>,
    by_name: BTreeMap<T, TopicKey>,
}

/// The counters of one topic. Few: those of the mesh, and of who was there or delivered without being in it.
#[derive(Clone, Debug)]
pub(super) struct TopicRow<T> {
    pub(super) topic: T,
    /// Ascending by key.
    counters: Vec<(PeerKey, TopicCounters)>,
}

impl<T: Ord + Clone> CounterTable<T> {
    /// The row of a topic, which is made if there is none.
    pub(super) fn row_of(&mut self, topic: &T) -> TopicKey {
        if let Some(row) = self.by_name.get(topic) {
            return *row;
        }
        let row = self.rows.insert(TopicRow { topic: topic.clone(), counters: Vec::new() }) as TopicKey;
        self.by_name.insert(topic.clone(), row);
        row
    }

    pub(super) fn find(&self, topic: &T) -> Option<TopicKey> {
        self.by_name.get(topic).copied()
    }

    /// A row that was just found.
    pub(super) fn row(&self, row: TopicKey) -> &TopicRow<T> {
        &self.rows[row as usize]
    }

    pub(super) fn row_mut(&mut self, row: TopicKey) -> &mut TopicRow<T> {
        &mut self.rows[row as usize]
    }

    /// The rows after this topic's, or from the first on; so many at most, ascending by name.
    pub(super) fn after(&self, topic: Option<&T>, most: usize) -> Vec<TopicKey> {
        let after = topic.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range((after, Bound::Unbounded)).map(|(_, row)| *row).take(most).collect()
    }

    /// How the topics of two rows compare.
    pub(super) fn compare(&self, row: TopicKey, other: TopicKey) -> Ordering {
        self.row(row).topic.cmp(&self.row(other).topic)
    }

    /// Forgets a row without counters.
    pub(super) fn drop_if_empty(&mut self, row: TopicKey) {
        if self.row(row).counters.is_empty() {
            let TopicRow { topic, .. } = self.rows.remove(row as usize);
            self.by_name.remove(&topic);
        }
    }
}

impl<T> TopicRow<T> {
    pub(super) fn get(&self, peer: PeerKey) -> Option<&TopicCounters> {
        self.place(peer).ok().map(|place| &self.counters[place].1)
    }

    /// The counters of a peer, which are made if there are none; and whether they were.
    pub(super) fn get_or_insert(&mut self, peer: PeerKey) -> (&mut TopicCounters, bool) {
        let found = self.place(peer);
        let place = found.unwrap_or_else(|place| {
            self.counters.insert(place, (peer, TopicCounters::default()));
            place
        });
        (&mut self.counters[place].1, found.is_err())
    }

    pub(super) fn get_mut(&mut self, peer: PeerKey) -> Option<&mut TopicCounters> {
        self.place(peer).ok().map(|place| &mut self.counters[place].1)
    }

    pub(super) fn remove(&mut self, peer: PeerKey) {
        if let Ok(place) = self.place(peer) {
            self.counters.remove(place);
        }
    }

    /// Those whose counters `keep` says to keep stay.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(PeerKey, &mut TopicCounters) -> bool) {
        self.counters.retain_mut(|(peer, counters)| keep(*peer, counters));
        // A flood of strangers long ago takes no room.
        if self.counters.capacity() > 4 * self.counters.len().max(4) {
            self.counters.shrink_to_fit();
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (PeerKey, &mut TopicCounters)> {
        self.counters.iter_mut().map(|(peer, counters)| (*peer, counters))
    }

    fn place(&self, peer: PeerKey) -> Result<usize, usize> {
        self.counters.binary_search_by_key(&peer, |(peer, _)| *peer)
    }
}

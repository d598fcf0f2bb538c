//! The prune backoffs of a topic (v1.1 "prune backoff"). A topic keeps them while it is active, and the peers' side
//! while it is passive.

use std::{collections::BTreeMap, time::Duration};

use crate::timestamp::Timestamp;

/// The backoffs of one topic.
///
/// As in the reference, an expired entry prevents this node from grafting the peer until the next cleanup, while a
/// GRAFT of the peer is accepted as soon as the backoff has ended.
#[derive(Clone, Debug)]
pub(crate) struct Backoffs<P> {
    until: BTreeMap<P, Timestamp>,
    max: usize,
}

impl<P: Ord + Clone> Backoffs<P> {
    /// Makes an empty collection that holds at most `max` backoffs.
    pub(crate) fn new(max: usize) -> Self {
        Self { until: BTreeMap::new(), max }
    }

    /// Sets a backoff of `span` for `peer`. A longer existing backoff is not shortened.
    pub(crate) fn set(&mut self, peer: &P, span: Duration, now: Timestamp) {
        let expiry = now.after(span);
        match self.until.get_mut(peer) {
            Some(until) => *until = expiry.max(*until),
            None => {
                self.make_room();
                if self.until.len() < self.max {
                    self.until.insert(peer.clone(), expiry);
                }
            }
        }
    }

    /// Removes the eighth of the entries that ends first if the collection is full. Removing many at once makes the
    /// search rare.
    fn make_room(&mut self) {
        if self.until.len() < self.max || self.until.is_empty() {
            return;
        }
        let mut ends: Vec<_> = self.until.iter().map(|(peer, until)| (*until, peer.clone())).collect();
        let (first, last, _) = ends.select_nth_unstable(self.max / 8);
        for (_, peer) in first.iter().chain([&*last]) {
            self.until.remove(peer);
        }
    }

    /// The end of the backoff of `peer`, which may have passed.
    pub(crate) fn get(&self, peer: &P) -> Option<Timestamp> {
        self.until.get(peer).copied()
    }

    pub(crate) fn contains(&self, peer: &P) -> bool {
        self.until.contains_key(peer)
    }

    /// Removes entries that expired at least `slack` ago. The slack covers a GRAFT in transit and clock differences.
    pub(crate) fn cleanup(&mut self, slack: Duration, now: Timestamp) {
        self.until.retain(|_, until| until.after(slack) > now);
    }

    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&P, Timestamp)> {
        self.until.iter().map(|(peer, until)| (peer, *until))
    }
}

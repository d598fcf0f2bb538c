//! Who may not be grafted on a topic, and until when. Never sends anything.

use std::{collections::BTreeMap, time::Duration};

use crate::timestamp::Timestamp;

/// The backoffs of one topic (v1.1 "prune backoff").
///
/// An expired entry goes on keeping us from grafting the peer until the next cleanup, as in the
/// reference; a remote GRAFT is accepted as soon as the time has come.
#[derive(Clone, Debug)]
pub(crate) struct Backoffs<P> {
    until: BTreeMap<P, Timestamp>,
    max: usize,
}

impl<P: Ord + Clone> Backoffs<P> {
    /// At most `max` of them.
    pub(crate) fn new(max: usize) -> Self {
        Self { until: BTreeMap::new(), max }
    }

    /// Backs `peer` off for `span`; an entry that lasts longer is not shortened.
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

    /// When full, forgets the eighth that ends first: many at once, so that the search is seldom.
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

    /// Until when `peer` is backed off, be it past.
    pub(crate) fn get(&self, peer: &P) -> Option<Timestamp> {
        self.until.get(peer).copied()
    }

    pub(crate) fn contains(&self, peer: &P) -> bool {
        self.until.contains_key(peer)
    }

    /// Drops what expired at least `slack` ago: a GRAFT may be on its way, and the peer's clock late.
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

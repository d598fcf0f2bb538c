//! The prune backoffs of a topic (v1.1 "prune backoff"). A topic keeps them while it is active, and the peers' side
//! while it is passive. A node that starts again takes over those of its former process ([`RemainingBackoff`]).

use std::{collections::BTreeMap, time::Duration};

use derive_where::derive_where;

use crate::{admission::totals::Share, limits::Limits, network::Network, timestamp::Timestamp};

/// How long this node does not graft a peer on a topic. Peers count the same time from the same PRUNE, and remember it when
/// this node starts again: a GRAFT before its end would cost it score (P7).
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct RemainingBackoff<N: Network> {
    /// The topic.
    pub topic: N::Topic,
    /// The peer.
    pub peer: N::Peer,
    /// The time until its end.
    pub remaining: Duration,
}

/// The backoffs of one topic.
///
/// As in the reference, an expired entry prevents this node from grafting the peer until the next cleanup, while a
/// GRAFT of the peer is accepted as soon as the backoff has ended.
#[derive(Debug)]
pub(crate) struct Backoffs<P> {
    entries: BTreeMap<P, Backoff>,
    max: usize,
    /// The bytes of the entries.
    share: Share,
    /// The last end of those that a former process left.
    restored_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    until: Timestamp,
    /// A former process of this node left it.
    restored: bool,
}

impl<P: Ord + Clone> Backoffs<P> {
    /// The approximate bytes of an entry.
    const ENTRY: usize = 2 * size_of::<(P, Backoff)>();

    /// Makes an empty collection that holds at most `max` backoffs.
    pub(crate) fn new(max: usize, share: Share) -> Self {
        Self { entries: BTreeMap::new(), max, share, restored_until: None }
    }

    /// Takes all backoffs.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            entries: std::mem::take(&mut self.entries),
            max: self.max,
            share: self.share.take(),
            restored_until: self.restored_until.take(),
        }
    }

    /// Counts the backoffs in another share. They are dropped if it has no room for them.
    pub(crate) fn moved_to(mut self, mut share: Share) -> Self {
        if !share.try_add(self.share.bytes()) {
            share.count_evicted(self.entries.len());
            self.entries.clear();
        }
        self.share = share;
        self
    }

    /// A copy for queries, which counts for no limit.
    pub(crate) fn snapshot(&self) -> Self {
        Self {
            entries: self.entries.clone(),
            max: self.max,
            share: self.share.uncounted(),
            restored_until: self.restored_until,
        }
    }

    /// Sets a backoff of `span` for `peer`. A longer existing backoff is not shortened.
    pub(crate) fn set(&mut self, peer: &P, span: Duration, now: Timestamp) {
        self.insert(peer, Backoff { until: now.after(span), restored: false });
    }

    /// Sets a backoff that a former process of this node left.
    pub(crate) fn restore(&mut self, peer: &P, remaining: Duration, now: Timestamp) {
        let until = now.after(remaining);
        self.insert(peer, Backoff { until, restored: true });
        self.restored_until = self.restored_until.max(Some(until));
    }

    fn insert(&mut self, peer: &P, backoff: Backoff) {
        if let Some(known) = self.entries.get_mut(peer) {
            if backoff.until > known.until {
                *known = backoff;
            }
        } else if self.make_room() {
            self.entries.insert(peer.clone(), backoff);
        } else {
            self.share.count_evicted(1);
        }
    }

    /// Makes room for one more entry. If there is none, it removes the eighth of the entries that ends first: removing many
    /// at once makes the search rare. Returns false if that is not enough.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.max && self.share.try_add(Self::ENTRY) {
            return true;
        }
        if self.entries.is_empty() {
            return false;
        }
        let mut ends: Vec<_> = self.iter().map(|(peer, until)| (until, peer.clone())).collect();
        let eighth = ends.len() / 8;
        let (first, last, _) = ends.select_nth_unstable(eighth);
        for (_, peer) in first.iter().chain([&*last]) {
            self.entries.remove(peer);
        }
        self.share.count_evicted(eighth + 1);
        self.share.remove((eighth + 1) * Self::ENTRY);
        self.entries.len() < self.max && self.share.try_add(Self::ENTRY)
    }

    /// The end of the backoff of `peer`, which may have passed.
    pub(crate) fn get(&self, peer: &P) -> Option<Timestamp> {
        self.entries.get(peer).map(|backoff| backoff.until)
    }

    pub(crate) fn contains(&self, peer: &P) -> bool {
        self.entries.contains_key(peer)
    }

    /// Heartbeat: removes expired entries every `backoff_cleanup_ticks`. Those of a former process it removes at each heartbeat, if
    /// they expired a heartbeat ago: the node was out of the meshes for long enough.
    pub(crate) fn expire<T>(&mut self, tick: u64, limits: &Limits<T>, now: Timestamp) {
        if tick.is_multiple_of(limits.backoff_cleanup_ticks) {
            self.cleanup(limits.backoff_slack(), now);
        }
        let Some(last) = self.restored_until else { return };
        let slack = limits.backoff_slack().min(limits.heartbeat_interval);
        self.retain(|backoff| !backoff.restored || backoff.until.after(slack) > now);
        if last.after(slack) <= now {
            self.restored_until = None;
        }
    }

    /// Removes entries that expired at least `slack` ago. The slack covers a GRAFT in transit and clock differences.
    pub(crate) fn cleanup(&mut self, slack: Duration, now: Timestamp) {
        self.retain(|backoff| backoff.until.after(slack) > now);
    }

    fn retain(&mut self, stays: impl Fn(&Backoff) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|_, backoff| stays(backoff));
        self.share.remove((before - self.entries.len()) * Self::ENTRY);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.share.bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&P, Timestamp)> {
        self.entries.iter().map(|(peer, backoff)| (peer, backoff.until))
    }
}

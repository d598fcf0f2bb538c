//! IWANT promises (v1.1 "broken promises"): ids that a peer offered and was asked for. At most one promise a peer is
//! tracked at a time, so a topic has no more promises than subscribers.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{network::Network, protocol::outcome::counters::InputCounters, timestamp::Timestamp};

/// The tracked promises of one topic.
#[derive_where(Debug, Default)]
pub(super) struct Promises<N: Network> {
    /// The promised message and the deadline of each peer.
    by_peer: BTreeMap<N::Peer, (N::MessageId, Timestamp)>,
    /// The peers that promised a message. Used only for lookups, so the hash map's order reaches no output.
    by_message: HashMap<N::MessageId, Vec<N::Peer>, RandomState>,
}

impl<N: Network> Promises<N> {
    /// Tracks that `peer` delivers `id` by `deadline`. Returns false if a promise of the peer is tracked already, or if
    /// `max` promises are.
    pub(super) fn track(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        deadline: Timestamp,
        max: usize,
    ) -> bool {
        let tracked = self.by_peer.len() < max && !self.by_peer.contains_key(peer);
        if tracked {
            self.by_peer.insert(peer.clone(), (id.clone(), deadline));
            self.by_message.entry(id.clone()).or_default().push(peer.clone());
        }
        tracked
    }

    /// Fulfils the promises of a message that was received from any peer. `deadline` is that of a request made now,
    /// from which the duration of a promise is computed.
    #[inline]
    pub(super) fn fulfil(
        &mut self,
        id: &N::MessageId,
        deadline: impl FnOnce() -> Timestamp,
        counters: &mut InputCounters,
    ) {
        // The common case is that no promise is tracked.
        if !self.by_message.is_empty() {
            self.fulfil_all(id, deadline(), counters);
        }
    }

    fn fulfil_all(&mut self, id: &N::MessageId, deadline: Timestamp, counters: &mut InputCounters) {
        for peer in self.by_message.remove(id).unwrap_or_default() {
            if let Some((_, due)) = self.by_peer.remove(&peer) {
                counters.promise_fulfilled(deadline.saturating_since(due));
            }
        }
    }

    /// Removes the promises whose deadline has passed, and returns their peers, ascending.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<N::Peer> {
        let overdue = self.by_peer.iter().filter(|(_, (_, deadline))| *deadline <= now);
        let overdue: Vec<_> = overdue.map(|(peer, _)| peer.clone()).collect();
        for peer in &overdue {
            if let Some((id, _)) = self.by_peer.remove(peer) {
                self.remove(peer, &id);
            }
        }
        overdue
    }

    fn remove(&mut self, peer: &N::Peer, id: &N::MessageId) {
        if let Some(peers) = self.by_message.get_mut(id) {
            peers.retain(|other| other != peer);
            if peers.is_empty() {
                self.by_message.remove(id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }
}

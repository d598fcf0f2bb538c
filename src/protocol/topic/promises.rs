//! IWANT promises (v1.1 "broken promises"): ids that a peer offered and was asked for. One id of each IWANT is tracked, chosen
//! at random, as in go-libp2p: a peer cannot know for which id it is held to its offer, and one IWANT is at most one
//! misbehaviour. The penalty (P7) grows with the square of the misbehaviours, so if each id counted, one lost answer of many
//! messages would exclude an honest peer.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{network::Network, protocol::outcome::counters::InputCounters, timestamp::Timestamp};

/// The tracked promises of one topic.
#[derive_where(Debug, Default)]
pub(super) struct Promises<N: Network> {
    /// The promises of each message: the peers with their deadlines. The hash map's order reaches no output.
    by_message: HashMap<N::MessageId, Vec<(N::Peer, Timestamp)>, RandomState>,
    /// The number of promises of each peer that has some.
    by_peer: BTreeMap<N::Peer, usize>,
    len: usize,
}

impl<N: Network> Promises<N> {
    /// Tracks that `peer` delivers `id` by `deadline`. Returns false if `max` promises are tracked. The second half of them is
    /// for the first promise of each peer, so that some peers cannot use up all.
    pub(super) fn track(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        deadline: Timestamp,
        max: usize,
    ) -> bool {
        let max = if self.by_peer.contains_key(peer) { max / 2 } else { max };
        let tracked = self.len < max;
        if tracked {
            self.by_message.entry(id.clone()).or_default().push((peer.clone(), deadline));
            *self.by_peer.entry(peer.clone()).or_default() += 1;
            self.len += 1;
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
        for (peer, due) in self.by_message.remove(id).unwrap_or_default() {
            self.forget(peer);
            counters.promise_fulfilled(deadline.saturating_since(due));
        }
    }

    /// Removes the promises whose deadline has passed, and returns their peers, ascending, once for each promise.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<N::Peer> {
        let mut overdue = Vec::new();
        self.by_message.retain(|_, promises| {
            let expired = promises.extract_if(.., |(_, deadline)| *deadline <= now);
            overdue.extend(expired.map(|(peer, _)| peer));
            !promises.is_empty()
        });
        overdue.sort_unstable();
        overdue.iter().for_each(|peer| self.forget(peer.clone()));
        overdue
    }

    /// One promise of `peer` is over.
    fn forget(&mut self, peer: N::Peer) {
        if let Entry::Occupied(mut count) = self.by_peer.entry(peer) {
            self.len -= 1;
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

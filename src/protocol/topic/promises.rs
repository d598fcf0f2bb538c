//! What peers offered, were asked for, and owe us (v1.1 "broken promises"). One request a peer is watched
//! at a time, so that a topic watches no more requests than it has peers. Penalises nobody.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{network::Network, protocol::outcome::counters::InputCounters, timestamp::Timestamp};

/// The watched requests of one topic.
#[derive_where(Debug, Default)]
pub(super) struct Promises<N: Network> {
    /// Who owes which message, and by when.
    debtors: BTreeMap<N::Peer, (N::MessageId, Timestamp)>,
    /// Who owes a message. Only looked up by key: its order can't reach an output.
    owed: HashMap<N::MessageId, Vec<N::Peer>, RandomState>,
}

impl<N: Network> Promises<N> {
    /// Watches that `peer`, who was asked for `id`, sends it by `deadline`; unless it owes another one, or
    /// `max` peers do. Tells whether it is watched.
    pub(super) fn watch(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        deadline: Timestamp,
        max: usize,
    ) -> bool {
        let watched = self.debtors.len() < max && !self.debtors.contains_key(peer);
        if watched {
            self.debtors.insert(peer.clone(), (id.clone(), deadline));
            self.owed.entry(id.clone()).or_default().push(peer.clone());
        }
        watched
    }

    /// A message came, from whomever: nobody owes it any more. If it was asked for now, it would be owed by
    /// `deadline`.
    #[inline]
    pub(super) fn keep(
        &mut self,
        id: &N::MessageId,
        deadline: impl FnOnce() -> Timestamp,
        tally: &mut InputCounters,
    ) {
        // Most of the time nothing is owed.
        if !self.owed.is_empty() {
            self.acquit(id, deadline(), tally);
        }
    }

    fn acquit(&mut self, id: &N::MessageId, deadline: Timestamp, tally: &mut InputCounters) {
        for peer in self.owed.remove(id).unwrap_or_default() {
            if let Some((_, due)) = self.debtors.remove(&peer) {
                tally.promise_kept(deadline.saturating_since(due));
            }
        }
    }

    /// Takes out those whose time is over, ascending.
    pub(super) fn broken(&mut self, now: Timestamp) -> Vec<N::Peer> {
        let overdue = self.debtors.iter().filter(|(_, (_, deadline))| *deadline <= now);
        let overdue: Vec<_> = overdue.map(|(peer, _)| peer.clone()).collect();
        for peer in &overdue {
            if let Some((id, _)) = self.debtors.remove(peer) {
                self.forgive(peer, &id);
            }
        }
        overdue
    }

    fn forgive(&mut self, peer: &N::Peer, id: &N::MessageId) {
        if let Some(debtors) = self.owed.get_mut(id) {
            debtors.retain(|debtor| debtor != peer);
            if debtors.is_empty() {
                self.owed.remove(id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.debtors.len()
    }
}

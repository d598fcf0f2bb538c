//! The messages that each connected peer was not sent, which the transport and the router report on their threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::{
    admission::totals::Totals,
    limits::Limits,
    network::Network,
    protocol::peers::missed::{IdsByTopic, MissedMessages},
};

/// The missed messages of all connected peers.
pub(crate) struct MissedByPeer<N: Network> {
    peers: DashMap<N::Peer, MissedMessages<N>, RandomState>,
    /// The number of ids of all peers.
    ids: AtomicUsize,
    totals: Totals,
}

impl<N: Network> MissedByPeer<N> {
    pub(crate) fn new(totals: Totals) -> Self {
        Self { peers: DashMap::default(), ids: AtomicUsize::new(0), totals }
    }

    /// Adds ids of messages that `peer` was not sent. `blocked`: the transport will report when it has room for the peer.
    /// Returns the number of ids that were dropped for new ones.
    pub(crate) fn insert(
        &self,
        peer: &N::Peer,
        (topic, ids): (&N::Topic, &[(N::MessageId, usize)]),
        blocked: bool,
        limits: &Limits<N::Topic>,
    ) -> usize {
        let mut missed = self.peers.entry(peer.clone()).or_insert_with(|| MissedMessages::new(&self.totals));
        if blocked {
            missed.set_room(0);
        }
        self.update(&mut missed, |missed| missed.insert(topic, ids, limits))
    }

    /// The transport has room for this number of messages to `peer`. Returns what is to be offered to it now.
    pub(crate) fn set_room(
        &self,
        peer: &N::Peer,
        messages: usize,
        limits: &Limits<N::Topic>,
    ) -> IdsByTopic<N> {
        let Some(mut missed) = self.peers.get_mut(peer) else { return Vec::new() };
        missed.set_room(messages);
        self.update(&mut missed, |missed| missed.take(usize::MAX, limits))
    }

    /// A heartbeat starts. Returns what is to be offered now: at most as many messages as fit into half of the p2p stream if
    /// all are requested.
    pub(crate) fn advance(&self, limits: &Limits<N::Topic>) -> Vec<(N::Peer, IdsByTopic<N>)> {
        let mut offers = Vec::new();
        let share = (limits.bounds.max_output_items / 2 / self.peers.len().max(1)).max(1);
        self.peers.retain(|peer, missed| {
            missed.advance();
            let retained = !missed.is_empty();
            let taken = self.update(missed, |missed| missed.take(share, limits));
            if !taken.is_empty() {
                offers.push((peer.clone(), taken));
            }
            retained
        });
        offers
    }

    /// Forgets what a peer missed: it has disconnected.
    pub(crate) fn remove(&self, peer: &N::Peer) {
        if let Some((_, removed)) = self.peers.remove(peer) {
            self.ids.fetch_sub(removed.len(), Ordering::AcqRel);
        }
    }

    /// The number of ids of all peers.
    pub(crate) fn ids(&self) -> usize {
        self.ids.load(Ordering::Acquire)
    }

    /// Changes the entry of a peer, and counts its ids anew.
    fn update<T>(
        &self,
        missed: &mut MissedMessages<N>,
        change: impl FnOnce(&mut MissedMessages<N>) -> T,
    ) -> T {
        let before = missed.len();
        let result = change(missed);
        self.ids.fetch_add(missed.len(), Ordering::AcqRel);
        self.ids.fetch_sub(before, Ordering::AcqRel);
        result
    }
}

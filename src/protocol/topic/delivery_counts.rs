//! Counts the deliveries of peers in one topic until they are reported to the peers' side, so that many deliveries cost
//! one event.

use derive_where::derive_where;

use crate::{
    network::Network,
    protocol::exchange::{
        Outbox,
        event::{PeerDeliveries, TopicEvent},
    },
};

/// The counts are flushed when more than this many distinct peers are pending. It is larger than any mesh.
const MAX_PEERS: usize = 64;

/// The unreported deliveries, one entry a peer.
#[derive_where(Debug, Default)]
pub(super) struct DeliveryCounts<N: Network> {
    /// A short list, searched linearly.
    deliveries: Vec<PeerDeliveries<N>>,
}

impl<N: Network> DeliveryCounts<N> {
    /// Counts a first delivery of a message by `peer`.
    pub(super) fn first(&mut self, peer: &N::Peer, outbox: &mut Outbox<N>) {
        self.of(peer, outbox).first += 1;
    }

    /// Counts a duplicate of `peer` within the delivery window.
    pub(super) fn duplicate_in_window(&mut self, peer: &N::Peer, outbox: &mut Outbox<N>) {
        self.of(peer, outbox).duplicate_in_window += 1;
    }

    /// Reports all counts to the peers' side.
    pub(super) fn flush(&mut self, outbox: &mut Outbox<N>) {
        if !self.deliveries.is_empty() {
            outbox.events.push(TopicEvent::Delivered(std::mem::take(&mut self.deliveries)));
        }
    }

    pub(super) fn as_slice(&self) -> &[PeerDeliveries<N>] {
        &self.deliveries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    fn of(&mut self, peer: &N::Peer, outbox: &mut Outbox<N>) -> &mut PeerDeliveries<N> {
        let known = self.deliveries.iter().position(|deliveries| deliveries.peer == *peer);
        let index = known.unwrap_or_else(|| {
            if self.deliveries.len() >= MAX_PEERS {
                self.flush(outbox);
            }
            self.deliveries.push(PeerDeliveries { peer: peer.clone(), first: 0, duplicate_in_window: 0 });
            self.deliveries.len() - 1
        });
        &mut self.deliveries[index]
    }
}

//! What peers' deliveries on one topic are worth and the peers' side was not told yet: most messages come many
//! times, and one word for all copies is enough. Counts; the worth is [`counters`](crate::protocol::score::counters)'.

use derive_where::derive_where;

use crate::{
    network::Network,
    protocol::exchange::{
        Outbox,
        event::{PeerDeliveries, TopicEvent},
    },
};

/// More than peers of any mesh: who comes beyond has the others told first.
const MAX_PEERS: usize = 64;

/// The deliveries of some peers, each once.
#[derive_where(Debug, Default)]
pub(super) struct DeliveryCounts<N: Network> {
    /// Few: looked through from the front.
    deliveries: Vec<PeerDeliveries<N>>,
}

impl<N: Network> DeliveryCounts<N> {
    /// `peer` was the first to deliver a message.
    pub(super) fn first(&mut self, peer: &N::Peer, outbox: &mut Outbox<N>) {
        self.of(peer, outbox).first += 1;
    }

    /// `peer` delivered a copy soon after.
    pub(super) fn duplicate_in_window(&mut self, peer: &N::Peer, outbox: &mut Outbox<N>) {
        self.of(peer, outbox).duplicate_in_window += 1;
    }

    /// Tells the peers' side.
    pub(super) fn tell(&mut self, outbox: &mut Outbox<N>) {
        if !self.deliveries.is_empty() {
            outbox.facts.push(TopicEvent::Delivered(std::mem::take(&mut self.deliveries)));
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
        let place = known.unwrap_or_else(|| {
            if self.deliveries.len() >= MAX_PEERS {
                self.tell(outbox);
            }
            self.deliveries.push(PeerDeliveries { peer: peer.clone(), first: 0, duplicate_in_window: 0 });
            self.deliveries.len() - 1
        });
        &mut self.deliveries[place]
    }
}

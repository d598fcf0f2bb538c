//! The reports of the transport: slow peers, violations of the protocol, messages that were not sent, and points that can't be
//! reached. And the application's feedback about peers.

use std::net::IpAddr;

use super::Node;
use crate::{
    network::{Network, PeerFeedback},
    protocol::{
        exchange::{command::TopicCommand, event::TopicEvent},
        output::pending::PendingOutput,
        peers::missed::{IdsByTopic, MissedMessages},
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// The connections of a peer are from these addresses, in place of those before.
    pub(super) fn set_addresses(&mut self, peer: &N::Peer, addresses: &[IpAddr], now: Timestamp) {
        self.flush_delivery_counts(now);
        self.peers.set_addresses(peer, addresses);
        self.settle(now);
    }

    /// A peer is sent everything over another connection from now on.
    pub(super) fn further_connection(&mut self, peer: &N::Peer, now: Timestamp) {
        let Some(connection_id) = self.peers.connection_id(peer) else { return };
        self.idontwant.remove(peer);
        self.emitted.push(PendingOutput::Connected(connection_id));
        self.peers.graft_again(peer);
        self.settle(now);
    }

    /// Handles a slow-peer report of the transport.
    pub fn report_slow_peer(&mut self, peer: &N::Peer) {
        self.peers.on_slow_peer(peer.clone());
        self.settle(Timestamp::ZERO);
    }

    /// Handles the transport's report that a peer sent bytes that are no RPC.
    pub fn report_protocol_violation(&mut self, peer: &N::Peer, now: Timestamp) {
        self.peers.on_protocol_violation(peer.clone(), now);
        self.settle(now);
    }

    /// Handles the application's feedback about a peer, which concerns its score in a topic. A peer without a score is ignored.
    pub fn report_peer_feedback(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        feedback: PeerFeedback,
        now: Timestamp,
    ) {
        self.peers.apply_event(topic, TopicEvent::of_feedback(peer.clone(), feedback), now);
        self.settle(now);
    }

    /// Stores ids of messages that a connected peer was not sent because a queue of the transport was full. Returns how
    /// many older ones were dropped for them. They are offered to the peer by IHAVE after
    /// [`report_room`](Self::report_room).
    pub fn report_missed(&mut self, peer: &N::Peer, topic: &N::Topic, ids: &[N::MessageId]) -> usize {
        let max = self.limits.extensions.max_missed_ids_per_peer;
        if max == 0 || ids.is_empty() || self.peers.connection_id(peer).is_none() {
            return 0;
        }
        let ids = MissedMessages::sized(ids, &self.network);
        let missed = self.missed.entry(peer.clone()).or_insert_with(|| MissedMessages::new(&self.totals));
        missed.set_room(0);
        missed.insert(topic, &ids, &self.limits)
    }

    /// The transport has room again for this number of messages to a peer, to which it had dropped some before.
    pub fn report_room(&mut self, peer: &N::Peer, messages: usize, now: Timestamp) {
        let Some(missed) = self.missed.get_mut(peer) else { return };
        missed.set_room(messages);
        let taken = missed.take(usize::MAX, &self.limits);
        self.offer_missed(peer, taken, now);
    }

    /// Records that an attempt to reach a point failed.
    pub fn set_unreachable_point(&mut self, point: N::Point) {
        self.peers.set_unreachable_point(point);
    }

    /// Offers missed messages for which the last heartbeat had no IHAVE left: a heartbeat starts.
    pub(super) fn offer_all_missed(&mut self, now: Timestamp) {
        self.missed.retain(|_, missed| !missed.is_empty());
        let mut offers = Vec::new();
        for (peer, missed) in &mut self.missed {
            missed.advance();
            offers.push((peer.clone(), missed.take(usize::MAX, &self.limits)));
        }
        offers.into_iter().for_each(|(peer, taken)| self.offer_missed(&peer, taken, now));
    }

    fn offer_missed(&mut self, peer: &N::Peer, taken: IdsByTopic<N>, now: Timestamp) {
        for (topic, ids) in taken {
            if self.topics.find(&topic).is_some() {
                let command = TopicCommand::OfferMissed(peer.clone(), ids);
                self.on_active_topic(&topic, now, |state, cx, outbox| {
                    state.handle_command(command, cx, outbox)
                });
            }
        }
    }
}

//! Messages that were not sent because a queue was full or the peer reads too slowly. Their ids are stored, and offered later.

use super::{mesh::messages::TopicItem, shared::Shared};
use crate::{
    network::{Network, P2pMessage},
    outputs::publication::DropReason,
    protocol::{
        exchange::command::TopicCommand,
        output::{Lane, pending::PendingOutput},
        peers::missed::{IdsByTopic, MissedMessages},
    },
};

impl<N: Network> Shared<N> {
    /// Stores the ids of messages that `peer` was not sent for this reason, to offer them to it later.
    pub(crate) fn store_missed(
        &self,
        peer: &N::Peer,
        messages: (&N::Topic, &[N::MessageId]),
        reason: DropReason,
    ) {
        let blocked = reason == DropReason::PeerQueueFull;
        let (topic, ids) = messages;
        let ids = MissedMessages::sized(ids, &self.network);
        let forgotten = self.directory.insert_missed(peer, (topic, &ids), blocked, &self.limits.load());
        if forgotten > 0 {
            self.metrics.output_dropped(Lane::Gossip, reason, forgotten);
        }
    }

    /// Stores what the recipients of an output miss because the p2p stream is full. Gossip to many peers is left out: later
    /// heartbeats repeat it.
    pub(in crate::actors) fn store_missed_outputs(&self, output: &PendingOutput<N>) {
        let reason = DropReason::OutputQueueFull;
        match output {
            PendingOutput::Broadcast { to, message, .. } => {
                let id = std::slice::from_ref(&message.message_id);
                to.iter().for_each(|peer| self.store_missed(peer, (&message.topic, id), reason));
            }
            PendingOutput::Message { to, message: P2pMessage::IHave { topic, message_ids } } => {
                let peer = self.directory.peers_by_connection().peer(*to).cloned();
                peer.iter().for_each(|peer| self.store_missed(peer, (topic, message_ids), reason));
            }
            _ => {}
        }
    }

    /// The transport has room for this number of messages to `peer`: the topics offer what it missed.
    pub(crate) fn offer_missed(&self, peer: &N::Peer, messages: usize) {
        let offers = self.directory.missed().set_room(peer, messages, &self.limits.load());
        self.send_offers(peer, offers);
    }

    /// As [`offer_missed`](Self::offer_missed), for all peers for which the transport has room.
    pub(crate) fn offer_all_missed(&self) {
        for (peer, offers) in self.directory.missed().advance(&self.limits.load()) {
            self.send_offers(&peer, offers);
        }
    }

    /// A topic without an actor has no messages to offer.
    fn send_offers(&self, peer: &N::Peer, offers: IdsByTopic<N>) {
        for (topic, ids) in offers {
            if let Some(entry) = self.topic_table.get(&topic) {
                entry.address.push(TopicItem::Command(TopicCommand::OfferMissed(peer.clone(), ids)));
            }
        }
    }
}

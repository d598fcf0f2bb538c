//! What the application changes while a topic is active: the parameters of the topic, and which peers are direct ones.

use super::TopicState;
use crate::{
    limits::TopicParameters,
    network::{Delivery, Network},
    protocol::{
        connection::ConnectionId,
        exchange::{Context, Outbox, event::TopicEvent},
        outcome::{ReceiveOutcome, reason::LeaveReason},
    },
};

impl<N: Network> TopicState<N> {
    /// The parameters of the topic.
    pub(crate) fn parameters(&self) -> &TopicParameters {
        &self.parameters
    }

    /// Takes the parameters of the topic from new limits. Meshes adapt to new degrees at the next heartbeat.
    pub(super) fn update_parameters(&mut self, cx: &Context<'_, N>) {
        self.parameters = cx.limits.of_topic(&self.topic, || cx.network.topic_name(&self.topic));
    }

    /// Refuses a message that is larger than the topic allows. It counts as an invalid one (P4): all nodes of the network have
    /// the same limit. It is not remembered, since a copy is refused as cheaply.
    #[cold]
    pub(super) fn refuse_too_large(
        &self,
        delivery: &Delivery<N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        outbox.stats.count_recv_invalid_app_messages += 1;
        outbox.events.extend(delivery.senders().map(|peer| TopicEvent::InvalidMessage(peer.clone())));
        ReceiveOutcome::TooLarge
    }

    /// Makes a subscriber a direct peer, or a regular one again. A direct peer is in no mesh (v1.1 "explicit peering
    /// agreements"), so it leaves this one with a PRUNE, whose backoff is observed if it becomes a regular peer again. The
    /// command may come twice, and after the connection has closed.
    pub(super) fn set_direct(
        &mut self,
        peer: N::Peer,
        connection_id: ConnectionId,
        direct: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        if !direct {
            if self.direct.get(&peer) == Some(&connection_id) {
                self.direct.remove(&peer);
            }
            return;
        }
        if !self.is_subscriber(connection_id) {
            return;
        }
        if let Some(fanout) = &mut self.fanout {
            fanout.peers.remove(&peer);
        }
        if self.is_in_mesh(&peer) {
            self.remove_from_mesh(&peer, LeaveReason::Direct, outbox);
            self.backoffs.set(&peer, cx.limits.prune_backoff, cx.now);
            let prune = self.prune_message(Vec::new(), cx.limits.prune_backoff);
            outbox.send(connection_id, prune);
        }
        self.direct.insert(peer, connection_id);
    }
}

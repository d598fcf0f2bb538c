//! Changes by the application while a topic is active: the parameters of the topic, and which peers are direct ones.

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

    /// Refuses a message of a batch that the caller has collected if it is larger than the topic allows. The engine's own
    /// batches contain no such message.
    pub(crate) fn refuse_collected(
        &self,
        delivery: &Delivery<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Option<ReceiveOutcome<N>> {
        let size = || cx.network.message_size(&delivery.message.message);
        let is_refused = self.is_joined() && self.parameters.is_too_large(size);
        is_refused.then(|| self.refuse_too_large(delivery, outbox))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        admission::{charge::Charge, totals::Totals},
        limits::{Limits, LimitsConfig},
        network::{ConnectionInfo, hooks::Hooks},
        plain::PlainNetwork,
        protocol::{
            exchange::peer_view::{PeerStatus, PeerView},
            outcome::{GraftOutcome, PublishOutcome},
            topic::interest::Interest,
        },
        timestamp::Timestamp,
    };

    /// The view of a single peer that is no direct peer any more.
    struct Regular(ConnectionId);

    impl PeerView<PlainNetwork> for Regular {
        fn status(&self, _: &u64) -> PeerStatus {
            PeerStatus { connection_id: Some(self.0), direct: false, score: None }
        }

        fn min_score_at_least(&self, _: f64) -> bool {
            true
        }

        fn resolve(&self, ids: &mut dyn Iterator<Item = ConnectionId>) -> Vec<(u64, ConnectionId)> {
            ids.map(|id| (1, id)).collect()
        }
    }

    /// The connection says at once that the peer is no direct peer any more; the command arrives later.
    #[test]
    fn a_former_direct_peer_that_grafts_before_the_command_arrives_gets_each_message_once() {
        let limits = Limits::try_from(LimitsConfig::default()).unwrap();
        let network = Hooks::new(Arc::new(PlainNetwork::new()), |_| {});
        let view = Regular(ConnectionId::new(1, &ConnectionInfo::inbound()));
        let cx = Context {
            network: &network,
            limits: &limits,
            peer_view: &view,
            self_peer: None,
            now: Timestamp::ZERO,
            present: Timestamp::ZERO,
        };
        let (topic, mut outbox) = ("a".to_owned(), Outbox::default());
        let parameters = limits.of_topic(&topic, || topic.clone());
        let mut state = TopicState::new(topic, parameters, &limits, &Totals::new(&limits.bounds), 1);
        state.join(Interest::Deliver, &cx, &mut outbox);
        let regular = view.status(&1);
        state.subscribe(&1, PeerStatus { direct: true, ..regular }, true, &cx, &mut outbox);
        assert_eq!(state.graft(&1, regular, true, &cx, &mut outbox), GraftOutcome::Grafted);
        let message = Arc::new(PlainNetwork::message("a", 1, "hello"));
        let published = state.publish(message, 0, Charge::default(), &cx, &mut outbox);
        assert_eq!(published, PublishOutcome::Published { to: vec![1] });
        state.set_direct(1, view.0, false, &cx, &mut outbox);
        assert!(state.is_in_mesh(&1));
    }
}

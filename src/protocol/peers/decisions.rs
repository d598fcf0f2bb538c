//! The decisions about peers that follow from an event of a topic, for the event log.

use crate::{
    network::Network,
    protocol::{
        exchange::event::{Maintenance, TopicEvent},
        outcome::{decision::PeerDecision, reason::Penalty},
        score::Scores,
    },
};

/// The decisions that follow from an event, which has not been applied yet. If the node is `overloaded`, broken
/// promises are not penalised. Changes of P2 and P3 are no decisions.
pub(crate) fn decisions_of<N: Network>(
    topic: &N::Topic,
    event: &TopicEvent<N>,
    scores: &Scores<N>,
    overloaded: bool,
) -> Vec<(N::Peer, PeerDecision)> {
    let deficit = |peer: &N::Peer| {
        let lost = scores.deficit(peer, topic) < 0.0;
        lost.then(|| (peer.clone(), PeerDecision::Penalised(Penalty::MeshDeficit)))
    };
    match event {
        TopicEvent::Misbehaved(peer, _) => {
            vec![(peer.clone(), PeerDecision::Penalised(Penalty::GraftBackoff))]
        }
        TopicEvent::InvalidMessage(peer) => {
            vec![(peer.clone(), PeerDecision::Penalised(Penalty::InvalidMessage))]
        }
        TopicEvent::ProtocolViolation(peer) => {
            vec![(peer.clone(), PeerDecision::Penalised(Penalty::ProtocolViolation))]
        }
        TopicEvent::Pruned(peer, ..) => deficit(peer).into_iter().collect(),
        TopicEvent::Maintained(Maintenance { grafted, pruned, broken }) => {
            let grafted = grafted.iter();
            let grafted = grafted.map(|it| (it.peer.clone(), PeerDecision::Grafted(it.reason)));
            let broken = broken.iter().filter(|_| !overloaded);
            let broken = broken.map(|peer| (peer.clone(), PeerDecision::Penalised(Penalty::BrokenPromise)));
            let mut decided: Vec<_> = grafted.chain(broken).collect();
            for pruned in pruned {
                decided.push((pruned.peer.clone(), PeerDecision::Pruned(pruned.reason)));
                decided.extend(deficit(&pruned.peer));
            }
            decided
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        admission::totals::Totals,
        limits::{Limits, LimitsConfig, TopicScoreLimits, TopicScores},
        network::{ConnectionInfo, PeerKind, hooks::Hooks},
        plain::PlainNetwork,
        protocol::{
            connection::ConnectionId,
            options::NodeOptions,
            outcome::reason::{GraftReason, LeaveReason},
            peers::Peers,
        },
        timestamp::Timestamp,
    };

    /// The peers' side after a peer with a delivery deficit has been in the mesh long enough for P3.
    fn with_deficit(id: ConnectionId) -> Peers<PlainNetwork> {
        let parameters = TopicScoreLimits::default().with(|topic| {
            // A positive score is not retained at a disconnection.
            topic.time_in_mesh_weight = 0.0;
            topic.mesh_message_deliveries_weight = -1.0;
            topic.mesh_message_deliveries_threshold = 2.0;
            topic.mesh_failure_penalty_weight = -1.0;
        });
        let config =
            LimitsConfig::default().with(|limits| limits.score.topics = TopicScores::Single { parameters });
        let limits = Arc::new(Limits::try_from(config).unwrap());
        let network = Hooks::new(Arc::new(PlainNetwork::new()), |_| {});
        let mut peers =
            Peers::new(network, Arc::clone(&limits), Totals::new(&limits.bounds), &NodeOptions::default());
        peers.connect(&1, id, PeerKind::default());
        let grafted = TopicEvent::Grafted(1, id, GraftReason::RemoteGraft);
        peers.apply_event(&"a".to_owned(), grafted, Timestamp::ZERO);
        peers.begin_heartbeat(Vec::new(), false, Timestamp::ZERO.after(Duration::from_secs(3600)));
        peers
    }

    #[test]
    fn a_deficit_is_counted_at_a_prune_and_at_a_disconnection() {
        let (id, topic) = (ConnectionId::new(1, &ConnectionInfo::inbound()), "a".to_owned());
        let mut peers = with_deficit(id);
        let pruned = TopicEvent::Pruned(1, id, LeaveReason::RemotePrune);
        let decisions = decisions_of(&topic, &pruned, &peers.scores, false);
        assert_eq!(decisions, [(1, PeerDecision::Penalised(Penalty::MeshDeficit))]);
        peers.apply_event(&topic, pruned, Timestamp::ZERO);
        assert_eq!(peers.drain().penalties[Penalty::MeshDeficit], 1);
        // The peer is not in the mesh any more.
        peers.disconnect(&1, Timestamp::ZERO);
        assert_eq!(peers.drain().penalties[Penalty::MeshDeficit], 0);

        let mut peers = with_deficit(id);
        peers.disconnect(&1, Timestamp::ZERO);
        assert_eq!(peers.drain().penalties[Penalty::MeshDeficit], 1);
    }
}

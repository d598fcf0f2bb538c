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
        TopicEvent::Pruned(peer, _) => deficit(peer).into_iter().collect(),
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

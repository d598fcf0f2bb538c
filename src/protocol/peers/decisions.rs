//! The decisions about peers that follow from an event of a topic, for the event log.

use crate::{
    network::Network,
    protocol::{
        exchange::event::{Maintenance, Pruned, TopicEvent},
        outcome::decision::{Grafting, PeerDecision, Penalty, Pruning},
        score::Scores,
    },
};

/// Of what a topic tells the peers' side, before that side heard of it. `overloaded`: nobody is to blame for
/// what did not come. What deliveries are worth is not among it.
pub(crate) fn decisions_of<N: Network>(
    topic: &N::Topic,
    fact: &TopicEvent<N>,
    scores: &Scores<N>,
    overloaded: bool,
) -> Vec<(N::Peer, PeerDecision)> {
    let deficit = |peer: &N::Peer| {
        let lost = scores.deficit(peer, topic) < 0.0;
        lost.then(|| (peer.clone(), PeerDecision::Penalised(Penalty::MeshDeficit)))
    };
    match fact {
        TopicEvent::Misbehaved(peer, _) => {
            vec![(peer.clone(), PeerDecision::Penalised(Penalty::GraftBackoff))]
        }
        TopicEvent::InvalidMessage(peer) => {
            vec![(peer.clone(), PeerDecision::Penalised(Penalty::InvalidMessage))]
        }
        TopicEvent::Pruned(peer, _) => deficit(peer).into_iter().collect(),
        TopicEvent::Maintained(Maintenance { grafted, pruned, broken }) => {
            let grafted =
                grafted.iter().map(|(peer, _)| (peer.clone(), PeerDecision::Grafted(Grafting::Heartbeat)));
            let broken = broken.iter().filter(|_| !overloaded);
            let broken = broken.map(|peer| (peer.clone(), PeerDecision::Penalised(Penalty::BrokenPromise)));
            let mut decided: Vec<_> = grafted.chain(broken).collect();
            for Pruned { peer, no_px, .. } in pruned {
                let why = if *no_px { Pruning::NegativeScore } else { Pruning::AboveDegreeHigh };
                decided.push((peer.clone(), PeerDecision::Pruned(why)));
                decided.extend(deficit(peer));
            }
            decided
        }
        _ => Vec::new(),
    }
}

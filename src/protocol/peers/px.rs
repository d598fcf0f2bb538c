//! Peers that a PRUNE offers (v1.1 "peer exchange"): which to connect to and which to forget. The peers that this node
//! offers are chosen in [`topic::px`](crate::protocol::topic).

use std::collections::BTreeMap;

use super::Peers;
use crate::{
    network::{Network, Origin, P2pOutput, PxPeer},
    protocol::{outcome::PruneOutcome, output::pending::forget_all, rng::choose},
};

impl<N: Network> Peers<N> {
    /// Handles the peers that `from` offered. Each is either connected to, with the signed record that came with it, or
    /// forgotten: the p2p layer gets no record of a peer that is not accepted.
    pub(super) fn handle_px(&mut self, from: &N::Peer, px: Vec<PxPeer<N::Peer>>) -> PruneOutcome<N> {
        if let Some(refusal) = self.refusal_of_px(from) {
            self.outbox.p2p.extend(forget_all(from, px.into_iter().map(|px| px.peer)));
            return refusal;
        }
        let mut offered = BTreeMap::new();
        for PxPeer { peer, record } in px {
            // Of several records of a peer in one PRUNE, the first one counts: one is verified.
            let known = offered.entry(peer).or_insert(None);
            *known = known.take().or(record);
        }
        let mut accepted = choose(offered.keys().cloned().collect(), self.limits.peers_to_px, &mut self.rng);
        accepted.sort_unstable();
        for peer in &accepted {
            if !self.is_wanted(peer) {
                continue;
            }
            let record = offered.remove(peer).flatten();
            let output = P2pOutput::Connect { peer: peer.clone(), origin: Origin::Px(from.clone()), record };
            self.outbox.p2p.push(output.into());
        }
        self.outbox.p2p.extend(forget_all(from, offered.into_keys()));
        if accepted.is_empty() { PruneOutcome::NoPx } else { PruneOutcome::Px { peers: accepted } }
    }

    /// Why no offer of this peer is accepted, if none is.
    fn refusal_of_px(&self, from: &N::Peer) -> Option<PruneOutcome<N>> {
        if !self.limits.extensions.accept_px {
            return Some(PruneOutcome::PxDisabled);
        }
        let score = self.scores.get(from).filter(|score| *score < self.limits.accept_px_threshold)?;
        Some(PruneOutcome::ScoreTooLow { score })
    }

    fn is_wanted(&self, peer: &N::Peer) -> bool {
        !self.connections.contains_key(peer)
            && self.self_peer.as_ref() != Some(peer)
            && self.may_contact(peer)
    }
}

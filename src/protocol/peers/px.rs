//! Peers that a PRUNE offers (v1.1 "peer exchange"): which to connect to and which to forget. The peers that this node
//! offers are chosen in [`topic::px`](crate::protocol::topic).

use std::collections::BTreeSet;

use super::Peers;
use crate::{
    network::{Network, Origin, P2pOutput},
    protocol::{outcome::PruneOutcome, output::pending::forget_all, rng::choose},
};

impl<N: Network> Peers<N> {
    /// Handles the peers that `from` offered. Each is either connected to or forgotten.
    pub(super) fn handle_px(&mut self, from: &N::Peer, px: Vec<N::Peer>) -> PruneOutcome<N> {
        let score = self.scores.get(from).filter(|score| *score < self.limits.accept_px_threshold);
        if let Some(score) = score {
            self.outbox.p2p.extend(forget_all(from, px));
            return PruneOutcome::ScoreTooLow { score };
        }
        let offered: BTreeSet<_> = px.into_iter().collect();
        let mut accepted = choose(offered.iter().cloned().collect(), self.limits.peers_to_px, &mut self.rng);
        accepted.sort_unstable();
        let wanted: BTreeSet<_> = accepted.iter().filter(|peer| self.is_wanted(peer)).cloned().collect();
        for peer in &wanted {
            let output = P2pOutput::Connect { peer: peer.clone(), origin: Origin::Px(from.clone()) };
            self.outbox.p2p.push(output.into());
        }
        self.outbox.p2p.extend(forget_all(from, offered.into_iter().filter(|peer| !wanted.contains(peer))));
        if accepted.is_empty() { PruneOutcome::NoPx } else { PruneOutcome::Px { peers: accepted } }
    }

    fn is_wanted(&self, peer: &N::Peer) -> bool {
        !self.connections.contains_key(peer)
            && self.self_peer.as_ref() != Some(peer)
            && self.may_contact(peer)
    }
}

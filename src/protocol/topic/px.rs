//! The peers that a PRUNE offers in exchange for this node (v1.1 "peer exchange").

use super::TopicState;
use crate::{
    network::Network,
    protocol::{exchange::Context, rng::choose},
};

impl<N: Network> TopicState<N> {
    /// Chooses the peers to offer to a pruned peer, at most `peers_to_px`.
    pub(super) fn select_px(&mut self, pruned: &N::Peer, no_px: bool, cx: &Context<'_, N>) -> Vec<N::Peer> {
        choose(self.px_offers(pruned, no_px, cx), cx.limits.peers_to_px, &mut self.rng)
    }

    /// All peers that may be offered to a pruned peer, ascending: subscribers without a negative score.
    pub(in crate::protocol) fn px_offers(
        &self,
        pruned: &N::Peer,
        no_px: bool,
        cx: &Context<'_, N>,
    ) -> Vec<N::Peer> {
        if no_px || !cx.limits.do_px {
            return Vec::new();
        }
        let offered = |peer: &N::Peer| peer != pruned && cx.peer_view.score(peer) >= 0.0;
        let subscribers = cx.peer_view.resolve(&mut self.subscribers.as_slice().iter().copied()).into_iter();
        let mut offers: Vec<_> = subscribers.map(|(peer, _)| peer).filter(offered).collect();
        offers.sort_unstable();
        offers
    }
}

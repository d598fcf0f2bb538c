//! The peers that a PRUNE offers in exchange for this node (v1.1 "peer exchange").

use super::TopicState;
use crate::{
    network::Network,
    protocol::{exchange::Context, rng::choose_except},
};

impl<N: Network> TopicState<N> {
    /// All peers that may be offered, ascending: subscribers without a negative score that do not speak floodsub. Gathered once for all PRUNEs that
    /// are sent together, because it takes time in proportion to the number of subscribers.
    pub(in crate::protocol) fn px_candidates(&self, cx: &Context<'_, N>) -> Vec<N::Peer> {
        if !cx.limits.do_px {
            return Vec::new();
        }
        let all_above = cx.peer_view.min_score_at_least(0.0);
        let subscribers = self.subscribers.as_slice().iter().copied();
        let mut in_gossipsub = subscribers.filter(|connection_id| !connection_id.is_floodsub());
        let resolved = cx.peer_view.resolve(&mut in_gossipsub).into_iter();
        let mut candidates: Vec<_> = resolved.map(|(peer, _)| peer).collect();
        candidates.retain(|peer| all_above || cx.peer_view.score(peer) >= 0.0);
        candidates.sort_unstable();
        candidates
    }

    /// Chooses the peers to offer to a pruned peer, at most `peers_to_px`.
    pub(super) fn select_px(
        &mut self,
        candidates: &[N::Peer],
        pruned: &N::Peer,
        cx: &Context<'_, N>,
    ) -> Vec<N::Peer> {
        choose_except(candidates, pruned, cx.limits.peers_to_px, &mut self.rng)
    }
}

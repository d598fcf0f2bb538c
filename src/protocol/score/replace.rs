//! New parameters of the score while the engine runs. The counters stay; every score follows from them anew.

use std::sync::Arc;

use super::Scores;
use crate::{
    limits::{Limits, PatternIndex},
    network::{Network, hooks::Hooks},
};

impl<N: Network> Scores<N> {
    /// Replaces the limits. Counters stay as they are, also those above a new cap; a later delivery lowers them to it. All
    /// sums are computed again when they are read, also those of a refresh in progress.
    pub(crate) fn set_limits(&mut self, limits: Arc<Limits<N::Topic>>) {
        self.limits = limits;
        let Self { network, limits, table, .. } = self;
        table.update_patterns(|topic| pattern_of(network, limits, topic));
        self.min_score.get_mut().all_changed();
        self.update_colocation();
        for (_, score) in &mut self.peers {
            score.invalidate_sums();
            score.mark_changed(&mut self.changed);
        }
    }

    /// Lists a peer as one whose score changed, so that what depends on it is decided again.
    pub(crate) fn publish_again(&mut self, peer: &N::Peer) {
        self.update(peer, |_| {});
    }
}

/// The pattern of score parameters that matches a topic.
pub(super) fn pattern_of<N: Network>(
    network: &Hooks<N>,
    limits: &Limits<N::Topic>,
    topic: &N::Topic,
) -> Option<PatternIndex> {
    limits.score.topics.pattern_of(|| network.topic_name(topic))
}

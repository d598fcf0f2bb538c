//! The fanout: peers to which messages are published on a topic that is not joined (v1.0 "fanout").

use std::collections::BTreeMap;

use derive_where::derive_where;

use super::TopicState;
use crate::{
    network::Network,
    protocol::{connection::ConnectionId, exchange::Context, rng::choose},
    timestamp::Timestamp,
};

/// The peers to which messages are published on a topic that is not joined (v1.0 "fanout").
#[derive_where(Clone, Debug)]
pub(super) struct Fanout<N: Network> {
    pub(super) peers: BTreeMap<N::Peer, ConnectionId>,
    pub(super) last_published: Timestamp,
}

impl<N: Network> TopicState<N> {
    /// Makes a fanout for a message to publish, if there is none. Returns whether it did.
    pub(super) fn make_fanout(&mut self, cx: &Context<'_, N>) -> bool {
        if self.fanout.is_some() {
            return false;
        }
        let peers = self.fanout_candidates(&BTreeMap::new(), cx);
        if !peers.is_empty() {
            self.fanout = Some(Fanout { peers, last_published: cx.now });
        }
        self.fanout.is_some()
    }

    /// A message was published: extends the life of the fanout. That of an empty one is not extended: the heartbeat fills it or
    /// lets it expire.
    pub(super) fn extend_fanout(&mut self, cx: &Context<'_, N>) {
        if let Some(fanout) = self.fanout.as_mut().filter(|fanout| !fanout.peers.is_empty()) {
            fanout.last_published = cx.now;
        }
    }

    /// Heartbeat: drops an unused fanout, removes peers below the publish threshold, and fills up to D.
    pub(super) fn maintain_fanout(&mut self, cx: &Context<'_, N>) {
        let Some(mut fanout) = self.fanout.take() else { return };
        if fanout.last_published.after(cx.limits.fanout_ttl) < cx.now {
            return;
        }
        let threshold = cx.limits.publish_threshold;
        fanout.peers.retain(|peer, _| cx.peer_view.score(peer) >= threshold);
        let more = self.fanout_candidates(&fanout.peers, cx);
        fanout.peers.extend(more);
        self.fanout = Some(fanout);
    }

    /// Chooses peers that fill `present` up to D (v1.1 "publish threshold").
    fn fanout_candidates(
        &mut self,
        present: &BTreeMap<N::Peer, ConnectionId>,
        cx: &Context<'_, N>,
    ) -> BTreeMap<N::Peer, ConnectionId> {
        let missing = self.parameters.degrees.degree_optimal.saturating_sub(present.len());
        if missing == 0 {
            return BTreeMap::new();
        }
        let threshold = cx.limits.publish_threshold;
        let candidates =
            self.subscriber_candidates(cx, threshold, |_| true, |peer| !present.contains_key(peer));
        choose(candidates, missing, &mut self.rng).into_iter().collect()
    }
}

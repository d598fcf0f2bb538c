//! The peers that are sent a full message: those of the mesh or fanout, and the subscribers that are in no mesh because they
//! are sent every message. These are the direct peers, and those that speak floodsub.

use std::collections::BTreeMap;

use super::TopicState;
use crate::{
    network::Network,
    protocol::{connection::ConnectionId, exchange::Context},
};

impl<N: Network> TopicState<N> {
    /// The recipients of a message: the peers of the mesh or fanout, the direct subscribers, and those that speak floodsub and
    /// are not below the publish threshold, without its senders. The second list is the first without bootstrap peers, which
    /// are sent no full messages.
    pub(super) fn recipients(
        &self,
        sender: Option<&N::Peer>,
        others: &[N::Peer],
        cx: &Context<'_, N>,
    ) -> (Vec<N::Peer>, Vec<N::Peer>) {
        let connection_ids = self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers));
        let most = connection_ids.map_or(0, BTreeMap::len) + self.direct.len() + self.floodsub.len();
        let (mut to, mut bootstrap) = (Vec::with_capacity(most), Vec::new());
        let add = |(peer, connection_id): (&N::Peer, &ConnectionId)| {
            if Some(peer) != sender && !others.contains(peer) {
                to.push(peer.clone());
                if connection_id.is_bootstrap() {
                    bootstrap.push(peer.clone());
                }
            }
        };
        // `for_each` on the flattened option costs fewer instructions than a loop.
        connection_ids.into_iter().flatten().for_each(add);
        if !self.direct.is_empty() || !self.floodsub.is_empty() {
            self.add_unmeshed_recipients((sender, others), cx, &mut to, &mut bootstrap);
        }
        let mut sent = to.clone();
        if !bootstrap.is_empty() {
            sent.retain(|peer| !bootstrap.contains(peer));
        }
        (to, sent)
    }

    /// Adds the recipients that are in no mesh. Most topics have none: apart from the loop over the mesh, so that this stays
    /// small.
    #[inline(never)]
    fn add_unmeshed_recipients(
        &self,
        (sender, others): (Option<&N::Peer>, &[N::Peer]),
        cx: &Context<'_, N>,
        to: &mut Vec<N::Peer>,
        bootstrap: &mut Vec<N::Peer>,
    ) {
        let threshold = cx.limits.publish_threshold;
        let good = self.floodsub.iter().filter(|(peer, _)| cx.peer_view.score(peer) >= threshold);
        let is_sender = |peer: &N::Peer| Some(peer) == sender || others.contains(peer);
        for (peer, connection_id) in self.direct.iter().chain(good).filter(|(peer, _)| !is_sender(peer)) {
            to.push(peer.clone());
            if connection_id.is_bootstrap() {
                bootstrap.push(peer.clone());
            }
        }
        to.sort_unstable();
        // A direct peer may speak floodsub.
        to.dedup();
    }

    /// Adds a subscriber to those that are in no mesh, if it is direct or speaks floodsub.
    pub(super) fn add_unmeshed(&mut self, peer: &N::Peer, connection_id: ConnectionId, direct: bool) {
        let add = |connection_ids: &mut BTreeMap<N::Peer, ConnectionId>| {
            // A message of an earlier connection may arrive late.
            let known = connection_ids.entry(peer.clone()).or_insert(connection_id);
            *known = connection_id.max(*known);
        };
        if direct {
            add(&mut self.direct);
        }
        if connection_id.is_floodsub() {
            add(&mut self.floodsub);
        }
    }

    /// The connections of the direct subscribers and of those that speak floodsub. One that is both comes twice.
    pub(super) fn unmeshed(&self) -> impl Iterator<Item = ConnectionId> {
        self.direct.values().chain(self.floodsub.values()).copied()
    }

    /// The number of direct subscribers and of those that speak floodsub.
    pub(super) fn unmeshed_count(&self) -> usize {
        let only_floodsub = self.floodsub.keys().filter(|peer| !self.direct.contains_key(peer));
        self.direct.len() + only_floodsub.count()
    }
}

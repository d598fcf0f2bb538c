//! The views of peers that a [`Node`](super::Node) gives to topics.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    limits::Limits,
    network::{Network, hooks::Hooks},
    protocol::{
        connection::{ConnectionId, ConnectionIndex},
        exchange::{
            Context,
            peer_view::{PeerStatus, PeerView},
        },
        inspect::view::View,
        peers::{Peers, idontwant::PeerIDontWant},
        score::Scores,
    },
    timestamp::Timestamp,
};

/// The current state of the peers' side, given to a topic with each input.
pub(in crate::protocol) struct LivePeerView<'a, N: Network> {
    pub(super) peers: &'a Peers<N>,
    pub(super) connected: &'a ConnectionIndex<N::Peer>,
    pub(super) idontwant: &'a BTreeMap<N::Peer, PeerIDontWant<N>>,
}

impl<N: Network> LivePeerView<'_, N> {
    /// The environment of an input at the time `now`, which is the present.
    #[inline]
    pub(super) fn context<'c>(
        &'c self,
        network: &'c Hooks<N>,
        limits: &'c Limits<N::Topic>,
        now: Timestamp,
    ) -> Context<'c, N> {
        Context { network, limits, peer_view: self, self_peer: self.peers.self_peer(), now, present: now }
    }
}

impl<N: Network> PeerView<N> for LivePeerView<'_, N> {
    fn status(&self, peer: &N::Peer) -> PeerStatus {
        self.peers.status(peer)
    }

    fn min_score_at_least(&self, score: f64) -> bool {
        self.peers.min_score_at_least(score)
    }

    fn has_idontwant(&self) -> bool {
        !self.idontwant.is_empty()
    }

    fn received_idontwant(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        self.idontwant.get(peer).is_some_and(|idontwant| idontwant.contains(id))
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.connected.resolve_with_ids(connection_ids)
    }
}

/// The peers with scores that include all unflushed deliveries, for queries.
pub(super) struct SettledPeerView<'a, N: Network> {
    pub(super) peers: &'a Peers<N>,
    pub(super) connected: &'a ConnectionIndex<N::Peer>,
    pub(super) scores: Cow<'a, Scores<N>>,
}

impl<N: Network> SettledPeerView<'_, N> {
    pub(super) fn view(&self, view: &mut View<N>) {
        self.peers.view_with(&self.scores, view);
    }
}

impl<N: Network> PeerView<N> for SettledPeerView<'_, N> {
    fn status(&self, peer: &N::Peer) -> PeerStatus {
        PeerStatus { score: self.scores.get(peer), ..self.peers.status(peer) }
    }

    fn min_score_at_least(&self, score: f64) -> bool {
        self.scores.min_score() >= score
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.connected.resolve_with_ids(connection_ids)
    }
}

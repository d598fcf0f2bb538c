//! TODO header.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    network::Network,
    protocol::{
        connection::{ConnectionId, ConnectionIndex},
        exchange::peer_view::{PeerStatus, PeerView},
        inspect::view::View,
        peers::{Peers, idontwant::PeerIDontWant},
        score::Scores,
    },
};

/// What topics may know of the peers.
pub(in crate::protocol) struct LivePeerView<'a, N: Network> {
    pub(super) peers: &'a Peers<N>,
    pub(super) connected: &'a ConnectionIndex<N::Peer>,
    pub(super) unwanted: &'a BTreeMap<N::Peer, PeerIDontWant<N>>,
}

impl<N: Network> PeerView<N> for LivePeerView<'_, N> {
    fn status(&self, peer: &N::Peer) -> PeerStatus {
        self.peers.status(peer)
    }

    fn min_score_at_least(&self, score: f64) -> bool {
        self.peers.min_score_at_least(score)
    }

    fn has_idontwant(&self) -> bool {
        !self.unwanted.is_empty()
    }

    fn declined_by(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        self.unwanted.get(peer).is_some_and(|unwanted| unwanted.contains(id))
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.connected.resolve_with_ids(connection_ids)
    }
}

/// The peers, with scores that know of all deliveries.
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
        PeerStatus { connection_id: self.peers.connection_id(peer), score: self.scores.get(peer) }
    }

    fn min_score_at_least(&self, score: f64) -> bool {
        self.scores.lowest() >= score
    }

    fn resolve(
        &self,
        connection_ids: &mut dyn Iterator<Item = ConnectionId>,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.connected.resolve_with_ids(connection_ids)
    }
}

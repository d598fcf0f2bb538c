//! TODO header.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    network::Network,
    protocol::{
        connection::{Connected, Link},
        exchange::peer_view::{Roster, Standing},
        inspect::view::View,
        peers::{Peers, idontwant::Unwanted},
        score::Scores,
    },
};

/// What topics may know of the peers.
pub(in crate::protocol) struct Known<'a, N: Network> {
    pub(super) peers: &'a Peers<N>,
    pub(super) connected: &'a Connected<N::Peer>,
    pub(super) unwanted: &'a BTreeMap<N::Peer, Unwanted<N>>,
}

impl<N: Network> Roster<N> for Known<'_, N> {
    fn standing(&self, peer: &N::Peer) -> Standing {
        self.peers.standing(peer)
    }

    fn none_below(&self, score: f64) -> bool {
        self.peers.none_below(score)
    }

    fn has_unwanted(&self) -> bool {
        !self.unwanted.is_empty()
    }

    fn is_unwanted(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        self.unwanted.get(peer).is_some_and(|unwanted| unwanted.contains(id))
    }

    fn named(&self, links: &mut dyn Iterator<Item = Link>) -> Vec<(N::Peer, Link)> {
        self.connected.named(links)
    }
}

/// The peers, with scores that know of all deliveries.
pub(super) struct UpToDate<'a, N: Network> {
    pub(super) peers: &'a Peers<N>,
    pub(super) connected: &'a Connected<N::Peer>,
    pub(super) scores: Cow<'a, Scores<N>>,
}

impl<N: Network> UpToDate<'_, N> {
    pub(super) fn view(&self, view: &mut View<N>) {
        self.peers.view_with(&self.scores, view);
    }
}

impl<N: Network> Roster<N> for UpToDate<'_, N> {
    fn standing(&self, peer: &N::Peer) -> Standing {
        Standing { link: self.peers.link(peer), score: self.scores.get(peer) }
    }

    fn none_below(&self, score: f64) -> bool {
        self.scores.lowest() >= score
    }

    fn named(&self, links: &mut dyn Iterator<Item = Link>) -> Vec<(N::Peer, Link)> {
        self.connected.named(links)
    }
}

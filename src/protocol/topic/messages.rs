//! TODO header.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    limits::Limits,
    network::{FullMessage, Network},
    timestamp::Timestamp,
};

/// A message of the history.
#[derive_where(Clone, Debug)]
pub(super) struct Cached<N: Network> {
    pub(super) message: Arc<FullMessage<N>>,
    pub(super) bytes: usize,
    /// How often each peer asked for it.
    pub(super) accesses: BTreeMap<N::Peer, u32>,
}

/// A seen id.
#[derive_where(Clone, Debug)]
pub(super) struct Seen<N: Network> {
    pub(super) first_seen: Timestamp,
    /// Who delivered it first; nobody, if we published it.
    pub(super) deliverer: Option<N::Peer>,
    /// Who else delivered it before it was accepted, and who was credited for a copy since; few.
    pub(super) others: Vec<N::Peer>,
}

impl<N: Network> Seen<N> {
    /// Whether a copy from `peer` is worth anything to it.
    pub(super) fn credits(&mut self, peer: &N::Peer, limits: &Limits<N::Topic>) -> bool {
        if self.deliverers().any(|known| known == peer) {
            return false;
        }
        if !limits.extensions.credit_duplicates_once {
            return true;
        }
        let room = self.others.len() < limits.bounds.max_co_senders;
        if room {
            self.others.push(peer.clone());
        }
        room
    }

    pub(in crate::protocol) fn deliverers(&self) -> impl Iterator<Item = &N::Peer> {
        self.deliverer.iter().chain(&self.others)
    }

    /// It was accepted again, from these.
    pub(super) fn join(&mut self, deliverer: Option<N::Peer>, others: Vec<N::Peer>) {
        for peer in deliverer.into_iter().chain(others) {
            if !self.deliverers().any(|known| *known == peer) {
                self.others.push(peer);
            }
        }
    }
}

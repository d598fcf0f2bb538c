//! The entries of the message history and of the seen ids.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    limits::Limits,
    network::{FullMessage, Network},
    timestamp::Timestamp,
};

/// A message in the history.
#[derive_where(Clone, Debug)]
pub(super) struct Cached<N: Network> {
    pub(super) message: Arc<FullMessage<N>>,
    pub(super) bytes: usize,
    /// Its entry into the history was reported, because its id does not name the topic. So its eviction is reported too.
    pub(super) reported: bool,
    /// The number of IWANT requests of each peer.
    pub(super) accesses: BTreeMap<N::Peer, u32>,
}

/// A seen id.
#[derive_where(Clone, Debug)]
pub(super) struct Seen<N: Network> {
    pub(super) first_seen: Timestamp,
    /// The first peer that delivered the message; `None` if this node published it.
    pub(super) first_sender: Option<N::Peer>,
    /// Other peers that delivered it before it was accepted, or were credited for a duplicate since. The list is short.
    pub(super) other_senders: Vec<N::Peer>,
}

impl<N: Network> Seen<N> {
    /// Whether a duplicate from `peer` is credited (P3).
    pub(super) fn credit_duplicate(&mut self, peer: &N::Peer, limits: &Limits<N::Topic>) -> bool {
        if self.has_sender(peer) {
            return false;
        }
        if !limits.extensions.credit_duplicates_once {
            return true;
        }
        let below_limit = self.other_senders.len() < limits.bounds.max_co_senders;
        if below_limit {
            self.other_senders.push(peer.clone());
        }
        below_limit
    }

    /// The peers that delivered the message.
    pub(in crate::protocol) fn senders(&self) -> impl Iterator<Item = &N::Peer> {
        self.first_sender.iter().chain(&self.other_senders)
    }

    #[inline]
    fn has_sender(&self, peer: &N::Peer) -> bool {
        self.senders().any(|known| known == peer)
    }

    /// Adds the senders of a message that was accepted again.
    pub(super) fn add_senders(&mut self, first_sender: Option<N::Peer>, other_senders: Vec<N::Peer>) {
        for peer in first_sender.into_iter().chain(other_senders) {
            if !self.has_sender(&peer) {
                self.other_senders.push(peer);
            }
        }
    }
}

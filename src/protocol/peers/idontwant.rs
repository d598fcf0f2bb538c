//! TODO header.

use derive_where::derive_where;

use crate::{
    limits::{Extensions, Limits},
    network::Network,
    protocol::{
        exchange::peer_view::{LowScore, PeerStatus, check_score},
        outcome::IDontWantOutcome,
        time_cache::TimeCache,
    },
};

/// What one connected peer said that it does not want, of any topics: ids need not name theirs.
#[derive_where(Debug)]
pub(crate) struct PeerIDontWant<N: Network> {
    ids: TimeCache<N::MessageId, ()>,
    /// How many ids it named in this heartbeat.
    named: usize,
}

/// Whether a peer's IDONTWANT is heeded at all.
pub(crate) fn check_idontwant<T>(status: PeerStatus, limits: &Limits<T>) -> Result<(), IDontWantOutcome> {
    let Extensions { idontwant_message_size, max_idontwant_per_heartbeat, idontwant_ticks, .. } =
        limits.extensions;
    if [idontwant_message_size, max_idontwant_per_heartbeat, idontwant_ticks].contains(&0) {
        return Err(IDontWantOutcome::SwitchedOff);
    }
    if status.connection_id.is_none() {
        return Err(IDontWantOutcome::UnknownPeer);
    }
    check_score(status, limits)
        .map_err(|LowScore { score, threshold }| IDontWantOutcome::LowScore { score, threshold })
}

impl<N: Network> PeerIDontWant<N> {
    pub(crate) fn new<T>(limits: &Limits<T>) -> Self {
        Self { ids: TimeCache::new(limits.extensions.idontwant_ticks), named: 0 }
    }

    /// The peer, whose word is heeded, named these.
    pub(crate) fn note<T>(&mut self, ids: Vec<N::MessageId>, limits: &Limits<T>) -> IDontWantOutcome {
        let max = limits.extensions.max_idontwant_per_heartbeat;
        let (asked, room) = (ids.len(), max.saturating_sub(self.named));
        self.named = self.named.saturating_add(asked);
        for id in ids.into_iter().take(room) {
            self.ids.insert(id, |known| known.is_none().then_some(()));
        }
        match asked.saturating_sub(room) {
            0 => IDontWantOutcome::Noted { ids: asked },
            ignored => IDontWantOutcome::TooMany { ignored, max },
        }
    }

    pub(crate) fn contains(&self, id: &N::MessageId) -> bool {
        self.ids.get(id).is_some()
    }

    /// A heartbeat is over.
    pub(crate) fn shift(&mut self) {
        self.named = 0;
        self.ids.advance(|_, ()| {});
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

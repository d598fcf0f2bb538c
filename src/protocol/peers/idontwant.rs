//! The message ids in the IDONTWANTs of a peer (v1.2).

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::{Network, hooks::Hooks},
    protocol::{
        exchange::peer_view::{LowScore, PeerStatus, check_score, is_graylisted},
        outcome::IDontWantOutcome,
        time_cache::TimeCache,
    },
};

/// The ids in the IDONTWANTs of one connected peer, over all topics, since an IDONTWANT names no topic.
#[derive_where(Debug)]
pub(crate) struct PeerIDontWant<N: Network> {
    /// Each id with the bytes that the share counts for it: for each time that it was received.
    ids: TimeCache<N::MessageId, usize>,
    share: Share,
    /// The number of ids received in this heartbeat.
    received_this_heartbeat: usize,
}

/// Checks whether an IDONTWANT of a peer is accepted.
///
/// # Errors
/// The outcome to report if it is ignored.
pub(crate) fn check_idontwant<T>(status: PeerStatus, limits: &Limits<T>) -> Result<(), IDontWantOutcome> {
    if is_graylisted(status, limits) {
        return Err(IDontWantOutcome::Graylisted);
    }
    if !limits.uses_idontwant() {
        return Err(IDontWantOutcome::SwitchedOff);
    }
    if status.connection_id.is_none() {
        return Err(IDontWantOutcome::UnknownPeer);
    }
    check_score(status, limits)
        .map_err(|LowScore { score, threshold }| IDontWantOutcome::LowScore { score, threshold })
}

impl<N: Network> PeerIDontWant<N> {
    pub(crate) fn new<T>(limits: &Limits<T>, totals: &Totals) -> Self {
        let ids = TimeCache::new(limits.extensions.idontwant_ticks);
        Self { ids, share: totals.share(Remembered::PeerIds), received_this_heartbeat: 0 }
    }

    /// Ids with the bytes that each takes here. Asks the application, so it must be called without a lock.
    pub(crate) fn sized(ids: Vec<N::MessageId>, network: &Hooks<N>) -> Vec<(N::MessageId, usize)> {
        let sized = |id| {
            let bytes = TimeCache::<N::MessageId, usize>::ENTRY + 2 * network.message_id_size(&id);
            (id, bytes)
        };
        ids.into_iter().map(sized).collect()
    }

    /// Adds ids of an accepted IDONTWANT with their [bytes](Self::sized), at most `max_idontwant_per_heartbeat` in a heartbeat, and as far as the peer's share
    /// of the bytes has room.
    pub(crate) fn insert<T>(
        &mut self,
        ids: Vec<(N::MessageId, usize)>,
        limits: &Limits<T>,
    ) -> IDontWantOutcome {
        let max = limits.extensions.max_idontwant_per_heartbeat;
        let (received, allowed) = (ids.len(), max.saturating_sub(self.received_this_heartbeat));
        self.received_this_heartbeat = self.received_this_heartbeat.saturating_add(received);
        for (id, bytes) in ids.into_iter().take(allowed) {
            if self.share.try_add(bytes) {
                self.ids.insert(id, |known| match known {
                    Some(known) => {
                        *known += bytes;
                        None
                    }
                    None => Some(bytes),
                });
            } else {
                self.share.count_evicted(1);
            }
        }
        match received.saturating_sub(allowed) {
            0 => IDontWantOutcome::Recorded { ids: received },
            ignored => IDontWantOutcome::TooMany { ignored, max },
        }
    }

    pub(crate) fn contains(&self, id: &N::MessageId) -> bool {
        self.ids.get(id).is_some()
    }

    /// Starts the next heartbeat and removes expired ids.
    pub(crate) fn advance(&mut self) {
        self.received_this_heartbeat = 0;
        let share = &mut self.share;
        self.ids.advance(|_, bytes| share.remove(bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

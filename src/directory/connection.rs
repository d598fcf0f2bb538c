//! TODO header.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use crate::{
    admission::{Admission, amount::AtomicItemsAndBytes},
    protocol::{connection::ConnectionId, exchange::peer_view::PeerStatus},
};

/// One connection of a peer, as all threads see it.
#[derive(Debug)]
pub(crate) struct ConnectionRecord {
    pub(super) connection_id: ConnectionId,
    pub(super) connected: AtomicBool,
    /// The score's bits; [`NO_SCORE`] for a peer without one.
    pub(super) score: AtomicU64,
    /// How many topics it subscribed to.
    pub(super) topics: AtomicUsize,
    /// What waits to be handled of it, and who let it in.
    pub(super) waiting: AtomicItemsAndBytes,
    pub(super) admission: Arc<Admission>,
}

/// A NaN that no score can be.
pub(crate) const NO_SCORE: u64 = u64::MAX;

impl ConnectionRecord {
    pub(crate) fn new(connection_id: ConnectionId, score: u64, admission: Arc<Admission>) -> Self {
        Self {
            connection_id,
            connected: AtomicBool::new(true),
            score: AtomicU64::new(score),
            topics: AtomicUsize::new(0),
            waiting: AtomicItemsAndBytes::default(),
            admission,
        }
    }

    pub(crate) fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// How the peer stood when it said something under this connection. That it may have ended since
    /// does not matter: what a peer says before it goes is handled before its going.
    pub(crate) fn status(&self) -> PeerStatus {
        let score = self.score.load(Ordering::Acquire);
        PeerStatus {
            connection_id: Some(self.connection_id),
            score: (score != NO_SCORE).then(|| f64::from_bits(score)),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(crate) fn waiting(&self) -> &AtomicItemsAndBytes {
        &self.waiting
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn publish(&self, score: Option<f64>) {
        self.score.store(score.map_or(NO_SCORE, f64::to_bits), Ordering::Release);
    }

    /// Takes a place under the cap on a peer's topics, if there is one.
    pub(crate) fn reserve_topic(&self, max: usize) -> bool {
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        self.topics.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Gives a place back.
    pub(crate) fn release_topic(&self) {
        let less = |taken: usize| taken.checked_sub(1);
        // Nothing to give back: the place was that of an earlier connection.
        let _ = self.topics.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }
}

//! One connection of a peer: its id, state, score and subscription count, which the supervisor and the topics update
//! and every thread reads.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use crate::{
    admission::CreditOwner,
    limits::Limits,
    protocol::{
        connection::ConnectionId,
        exchange::peer_view::{PeerStatus, is_graylisted},
    },
};

/// One connection of a peer. After the peer disconnects, its last record stays in the directory as long as its score is
/// remembered.
#[derive(Debug)]
pub(crate) struct ConnectionRecord {
    connection_id: ConnectionId,
    connected: AtomicBool,
    /// The peer is a direct peer.
    direct: AtomicBool,
    /// The score as f64 bits, or [`NO_SCORE`].
    score: AtomicU64,
    /// The number of topics that the peer is subscribed to over this connection, without those that do not count for
    /// `max_topics_per_peer`.
    subscriptions: AtomicUsize,
    credit_owner: Arc<CreditOwner>,
}

/// The bits that stand for no score: a NaN, which is never a score.
const NO_SCORE: u64 = u64::MAX;

impl ConnectionRecord {
    pub(super) fn new<T>(
        connection_id: ConnectionId,
        direct: bool,
        score: Option<f64>,
        credit_owner: CreditOwner,
        limits: &Limits<T>,
    ) -> Self {
        let record = Self {
            connection_id,
            connected: AtomicBool::new(true),
            direct: AtomicBool::new(direct),
            score: AtomicU64::new(to_bits(score)),
            subscriptions: AtomicUsize::new(0),
            credit_owner: Arc::new(credit_owner),
        };
        record.set_score(score, limits);
        record
    }

    pub(crate) fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// The status under which the inputs of this connection are handled, even if the connection has ended since: a
    /// disconnection is handled after the inputs that came before it.
    pub(crate) fn status(&self) -> PeerStatus {
        PeerStatus { connection_id: Some(self.connection_id), direct: self.is_direct(), score: self.score() }
    }

    fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Acquire)
    }

    /// The peer is a direct peer from now on, or no more. The supervisor publishes its score again, and with it whether it is
    /// graylisted.
    pub(super) fn set_direct(&self, direct: bool) {
        self.direct.store(direct, Ordering::Release);
    }

    /// The last published score. `None` if the peer has none.
    pub(super) fn score(&self) -> Option<f64> {
        let bits = self.score.load(Ordering::Acquire);
        (bits != NO_SCORE).then(|| f64::from_bits(bits))
    }

    /// Publishes the score, and whether the peer is graylisted with it. Returns that if it has changed.
    pub(super) fn set_score<T>(&self, score: Option<f64>, limits: &Limits<T>) -> Option<bool> {
        self.score.store(to_bits(score), Ordering::Release);
        let connection_id = self.is_connected().then_some(self.connection_id);
        let direct = connection_id.is_some() && self.is_direct();
        let graylisted = is_graylisted(PeerStatus { connection_id, direct, score }, limits);
        (self.credit_owner.set_graylisted(graylisted) != graylisted).then_some(graylisted)
    }

    /// Whether nothing that the peer sends is handled.
    #[inline]
    pub(crate) fn is_graylisted(&self) -> bool {
        self.credit_owner.is_graylisted()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Marks the connection as ended. Returns whether it was connected.
    pub(super) fn disconnect(&self) -> bool {
        self.connected.swap(false, Ordering::AcqRel)
    }

    /// The credit owner of the inputs of this connection.
    pub(crate) fn credit_owner(&self) -> &Arc<CreditOwner> {
        &self.credit_owner
    }

    /// Counts one more subscription unless there are `max_topics_per_peer`. Returns whether it did. Topics run on
    /// several threads, so a topic reserves the subscription before it accepts it.
    pub(crate) fn reserve_subscription<T>(&self, limits: &Limits<T>) -> bool {
        let more = |count: usize| limits.is_below_topic_limit(count, false).then_some(count + 1);
        self.subscriptions.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Counts one more subscription, whatever the limit.
    pub(crate) fn add_subscription(&self) {
        self.subscriptions.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one subscription less.
    pub(crate) fn release_subscription(&self) {
        let less = |count: usize| count.checked_sub(1);
        // The count is 0 if the subscription was made over an earlier connection of the peer.
        let _ = self.subscriptions.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }
}

fn to_bits(score: Option<f64>) -> u64 {
    score.map_or(NO_SCORE, f64::to_bits)
}

//! TODO header.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;
use derive_where::derive_where;
use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::network::Network;

/// Why a message did not go to a peer it was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The output stream was full: the transport does not read it fast enough.
    StreamFull,
    /// The transport's queue for this peer was full: the peer does not read fast enough.
    PeerSlow,
    /// The connection ended before.
    Disconnected,
    /// The transport can't send so large a message.
    TooLarge,
    /// The peer said that it has the message already, or is about to (IDONTWANT).
    Unwanted,
    /// The peer's version of the protocol has no such word.
    Unsupported,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::StreamFull,
        Self::PeerSlow,
        Self::Disconnected,
        Self::TooLarge,
        Self::Unwanted,
        Self::Unsupported,
    ];

    /// The reason as a word, for labels.
    pub fn reason(self) -> &'static str {
        match self {
            Self::StreamFull => "output_queue_full",
            Self::PeerSlow => "peer_queue_full",
            Self::Disconnected => "disconnected",
            Self::TooLarge => "too_large",
            Self::Unwanted => "idontwant",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What a publication came to, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Whether it was routed, and how.
    pub routed: Option<RouteResult>,
    /// The peers it was queued for.
    pub queued: usize,
    /// The peers to whom the transport says it was sent.
    pub sent: usize,
    not_sent: [usize; DropReason::ALL.len()],
}

/// How a publication was routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteResult {
    /// Queued for some peers.
    Queued,
    /// Nobody is there to send it to, or all who are said that they have it; those who come soon may still ask for
    /// it.
    NoPeers,
    /// A message of this id was seen before.
    AlreadyPublished,
    /// Its topic panicked, or the engine ended, before it was routed.
    Lost,
}

impl PublishReport {
    /// How many peers it did not go to for this reason.
    pub fn not_sent(&self, reason: DropReason) -> usize {
        self.not_sent[reason as usize]
    }

    /// Whether nothing more will come.
    pub fn is_complete(&self) -> bool {
        match self.routed {
            None => false,
            Some(RouteResult::Queued) => self.sent + self.not_sent.iter().sum::<usize>() >= self.queued,
            Some(_) => true,
        }
    }
}

/// The shared state of a ticket.
#[derive(Debug, Default)]
pub(crate) struct PublishState {
    report: Mutex<PublishReport>,
    changed: Notify,
    ended: std::sync::atomic::AtomicBool,
}

impl PublishState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, PublishReport> {
        // Nothing panics while it is held.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers whether nothing more will come.
    fn update(&self, change: impl FnOnce(&mut PublishReport)) -> bool {
        let mut report = self.lock();
        change(&mut report);
        let complete = report.is_complete();
        drop(report);
        self.changed.notify_waiters();
        complete
    }

    pub(crate) async fn wait(&self, until: impl Fn(&PublishReport) -> bool) -> PublishReport {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change is missed.
            changed.as_mut().enable();
            let report = *self.lock();
            if until(&report) || self.ended.load(Ordering::Acquire) {
                return report;
            }
            changed.await;
        }
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// A publication on its way to its topic. Lost on the way, the ticket hears of it.
#[derive(Debug)]
pub(crate) struct PublishResponder(Option<Arc<PublishState>>);

impl PublishResponder {
    pub(crate) fn new(publication: Option<Arc<PublishState>>) -> Self {
        Self(publication)
    }

    /// The topic routed it, for `queued` peers. If more is to come, `enter` puts it where the stream and
    /// the transport find it, before anyone hears of the routing.
    pub(crate) fn keep(mut self, routed: RouteResult, queued: usize, enter: impl FnOnce(&Arc<PublishState>)) {
        let Some(publication) = self.0.take() else { return };
        if routed == RouteResult::Queued {
            enter(&publication);
        }
        publication.update(|report| {
            report.routed = Some(routed);
            report.queued = queued;
        });
    }
}

impl Drop for PublishResponder {
    fn drop(&mut self) {
        if let Some(publication) = self.0.take() {
            publication.update(|report| report.routed = Some(RouteResult::Lost));
        }
    }
}

/// The publications of which somebody wants to hear more.
#[derive_where(Default)]
pub(crate) struct PublishReports<N: Network> {
    open: DashMap<(N::Topic, N::MessageId), Weak<PublishState>, RandomState>,
    /// To look is for free while nobody holds a ticket.
    count: AtomicUsize,
}

impl<N: Network> PublishReports<N> {
    pub(crate) fn insert(&self, key: (N::Topic, N::MessageId), publication: &Arc<PublishState>) {
        if self.open.insert(key, Arc::downgrade(publication)).is_none() {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_open(&self, topic: &N::Topic, id: &N::MessageId) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.open.contains_key(&(topic.clone(), id.clone()))
    }

    pub(crate) fn sent(&self, topic: &N::Topic, id: &N::MessageId) {
        self.update(topic, id, |report| report.sent += 1);
    }

    pub(crate) fn not_sent(&self, topic: &N::Topic, id: &N::MessageId, reason: DropReason, count: usize) {
        self.update(topic, id, |report| report.not_sent[reason as usize] += count);
    }

    /// The engine ended: nothing more will come.
    pub(crate) fn end(&self) {
        for entry in &self.open {
            if let Some(publication) = entry.value().upgrade() {
                publication.end();
            }
        }
    }

    pub(crate) fn forget(&self, key: &(N::Topic, N::MessageId)) {
        if self.open.remove(key).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn update(&self, topic: &N::Topic, id: &N::MessageId, change: impl FnOnce(&mut PublishReport)) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let key = (topic.clone(), id.clone());
        let publication = self.open.get(&key).and_then(|publication| publication.upgrade());
        if publication.is_some_and(|publication| publication.update(change)) {
            self.forget(&key);
        }
    }
}

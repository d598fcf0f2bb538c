//! Reports on publications: how a message was routed and to which peers the transport sent it. The topic, the p2p stream
//! and the transport add to a report as long as its [`PublishTicket`](crate::PublishTicket) exists; then its entry is removed.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use dashmap::DashMap;
use derive_where::derive_where;
use enum_map::{Enum, EnumMap};
use foldhash::fast::RandomState;
use strum::{IntoStaticStr, VariantNames};
use tokio::sync::Notify;

use crate::network::Network;

/// Why a message was not sent to one of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// The p2p stream was full (`bounds.max_output_items`): the transport reads it too slowly.
    OutputQueueFull,
    /// The p2p stream is closed: its reader was dropped, or the engine has ended.
    StreamClosed,
    /// The transport's queue for this peer was full: the peer reads too slowly.
    PeerQueueFull,
    /// The connection ended first.
    Disconnected,
    /// The message is larger than the transport can send.
    TooLarge,
    /// The peer does not want the message: it sent IDONTWANT.
    #[strum(serialize = "idontwant")]
    IDontWant,
    /// The protocol version that the peer speaks cannot express it.
    Unsupported,
    /// The memory of the transport was scarce, and the peer's queue had more than its part of what was free.
    TransportMemory,
    /// A later GRAFT or PRUNE of the same topic took the place of one that the peer had not read yet.
    Superseded,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::OutputQueueFull,
        Self::StreamClosed,
        Self::PeerQueueFull,
        Self::Disconnected,
        Self::TooLarge,
        Self::IDontWant,
        Self::Unsupported,
        Self::TransportMemory,
        Self::Superseded,
    ];

    /// The reason in snake case, as metrics label it.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

/// The state of a publication so far. Counts are in recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// How it was routed; `None` until then.
    pub routed: Option<RouteResult>,
    /// The peers for which it was queued.
    pub queued: usize,
    /// The peers to which the transport has sent it ([`Worker::report_sent`](crate::Worker::report_sent)).
    pub sent: usize,
    not_sent: EnumMap<DropReason, usize>,
}

/// How a publication was routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteResult {
    /// It was queued for at least one peer.
    Queued,
    /// No peer is subscribed to the topic, or all of them sent IDONTWANT for it. Peers that subscribe soon are offered it by
    /// IHAVE ([`publish_reaches_degree_optimal`](crate::limits::Extensions::publish_reaches_degree_optimal)).
    NoPeers,
    /// A message with this id was published or received before. It was not sent again.
    AlreadyPublished,
    /// It is larger than [`max_message_size`](crate::limits::Extensions::max_message_size) of its topic. It was not sent.
    TooLarge,
    /// Its time is over ([`Network::expires_at`](crate::Network::expires_at)). It was not sent.
    Outdated,
    /// It could be sent to fewer peers than demanded ([`PublishOptions`](crate::PublishOptions)). It was not sent.
    TooFewPeers {
        /// The number of peers to which it could be sent.
        peers: usize,
    },
    /// The topic panicked, or the engine ended, before it was routed.
    Lost,
}

impl PublishReport {
    /// The number of peers to which it was not sent for this reason.
    pub fn not_sent(&self, reason: DropReason) -> usize {
        self.not_sent[reason]
    }

    /// Whether the report is final: each peer for which it was queued is counted as sent or not sent.
    pub fn is_complete(&self) -> bool {
        match self.routed {
            None => false,
            Some(RouteResult::Queued) => self.sent + self.not_sent.values().sum::<usize>() >= self.queued,
            Some(_) => true,
        }
    }
}

/// The identity of a publication.
type Key<N> = (<N as Network>::Topic, <N as Network>::MessageId);

/// The report of one publication. Its tickets own it; the parts of the engine that complete it have it only for a moment,
/// so that it ends with the last ticket.
pub(crate) struct PublishState<N: Network> {
    report: Mutex<PublishReport>,
    changed: Notify,
    ended: AtomicBool,
    /// The number of tickets.
    tickets: AtomicUsize,
    key: Key<N>,
    reports: Arc<PublishReports<N>>,
}

impl<N: Network> PublishState<N> {
    /// The state for one ticket.
    pub(crate) fn new(key: Key<N>, reports: Arc<PublishReports<N>>) -> Self {
        let (report, changed, ended) = Default::default();
        Self { report, changed, ended, tickets: AtomicUsize::new(1), key, reports }
    }

    /// The report as it is now.
    pub(crate) fn report(&self) -> PublishReport {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, PublishReport> {
        // No code panics while it has the lock.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the report and returns whether it is complete now.
    fn update(&self, change: impl FnOnce(&mut PublishReport)) -> bool {
        let mut report = self.lock();
        change(&mut report);
        let complete = report.is_complete();
        drop(report);
        self.changed.notify_waiters();
        complete
    }

    /// Waits until `until` is true of the report, or the engine ends. Cancellation safe.
    pub(crate) async fn wait(&self, until: impl Fn(&PublishReport) -> bool) -> PublishReport {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registers before the check, so that no change in between is missed.
            changed.as_mut().enable();
            let report = self.report();
            if until(&report) || self.ended.load(Ordering::Acquire) {
                return report;
            }
            changed.await;
        }
    }

    /// There is one more ticket.
    pub(crate) fn add_ticket(&self) {
        self.tickets.fetch_add(1, Ordering::AcqRel);
    }

    /// A ticket is dropped. After the last one nothing more is reported.
    pub(crate) fn drop_ticket(&self) {
        if self.tickets.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.reports.remove(&self.key, self);
        }
    }

    /// Ends all waits: nothing more is reported.
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// The last ticket may have been dropped while the publication was routed.
impl<N: Network> Drop for PublishState<N> {
    fn drop(&mut self) {
        self.reports.remove(&self.key, self);
    }
}

/// Reports how a publication is routed to its ticket, if it has one. Dropped without a result, it reports
/// [`RouteResult::Lost`].
pub(crate) struct PublishResponder<N: Network>(Option<Weak<PublishState<N>>>);

impl<N: Network> PublishResponder<N> {
    /// For a publication without a ticket.
    pub(crate) fn without_ticket() -> Self {
        Self(None)
    }

    pub(crate) fn new(state: &Arc<PublishState<N>>) -> Self {
        Self(Some(Arc::downgrade(state)))
    }

    /// Whether nobody waits for the result.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(|state| state.strong_count() == 0)
    }

    /// Reports that the topic routed the message to `queued` peers. If there are any, the state is made available to the
    /// p2p stream and the transport before the ticket's owner sees the result.
    pub(crate) fn respond(mut self, result: RouteResult, queued: usize) {
        let Some(state) = self.0.take().and_then(|state| state.upgrade()) else { return };
        if result == RouteResult::Queued {
            state.reports.insert(&state);
        }
        state.update(|report| {
            report.routed = Some(result);
            report.queued = queued;
        });
    }
}

impl<N: Network> Drop for PublishResponder<N> {
    fn drop(&mut self) {
        if let Some(state) = self.0.take().and_then(|state| state.upgrade()) {
            state.update(|report| report.routed = Some(RouteResult::Lost));
        }
    }
}

/// The incomplete reports of publications that have a ticket.
#[derive_where(Default)]
pub(crate) struct PublishReports<N: Network> {
    open: DashMap<Key<N>, Weak<PublishState<N>>, RandomState>,
    /// The number of entries of `open`: while it is 0, nothing is looked up there.
    count: AtomicUsize,
    /// The engine has ended.
    closed: AtomicBool,
}

impl<N: Network> PublishReports<N> {
    /// The number of incomplete reports.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn insert(&self, state: &Arc<PublishState<N>>) {
        match self.open.insert(state.key.clone(), Arc::downgrade(state)) {
            None => drop(self.count.fetch_add(1, Ordering::AcqRel)),
            // The same message was published again, after its id had expired. What is still reported is counted for it.
            Some(earlier) => earlier.upgrade().iter().for_each(|earlier| earlier.end()),
        }
        if self.closed.load(Ordering::Acquire) {
            state.end();
        }
    }

    /// Whether a ticket waits for reports on this message.
    pub(crate) fn is_open(&self, topic: &N::Topic, id: &N::MessageId) -> bool {
        self.len() > 0 && self.open.contains_key(&(topic.clone(), id.clone()))
    }

    /// The transport sent the message to one peer.
    pub(crate) fn sent(&self, topic: &N::Topic, id: &N::MessageId) {
        self.update(topic, id, |report| report.sent += 1);
    }

    /// The message was not sent to `count` peers.
    pub(crate) fn not_sent(&self, topic: &N::Topic, id: &N::MessageId, reason: DropReason, count: usize) {
        self.update(topic, id, |report| report.not_sent[reason] += count);
    }

    /// Ends all waits: the engine has ended.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let open: Vec<_> = self.open.iter().filter_map(|entry| entry.value().upgrade()).collect();
        open.iter().for_each(|state| state.end());
    }

    /// Removes the entry of this state, and not that of another publication of the same message.
    fn remove(&self, key: &Key<N>, state: &PublishState<N>) {
        if self.open.remove_if(key, |_, open| std::ptr::eq(open.as_ptr(), state)).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn update(&self, topic: &N::Topic, id: &N::MessageId, change: impl FnOnce(&mut PublishReport)) {
        if self.len() == 0 {
            return;
        }
        let key = (topic.clone(), id.clone());
        let state = self.open.get(&key).and_then(|state| state.upgrade());
        if let Some(state) = state
            && state.update(change)
        {
            self.remove(&key, &state);
        }
    }
}

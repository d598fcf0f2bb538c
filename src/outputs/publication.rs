//! Reports on publications: how a message was routed and to which peers the transport sent it. The topic, the p2p
//! stream and the transport add to a report as long as its [`PublishTicket`](crate::PublishTicket) exists.

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
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::OutputQueueFull,
        Self::PeerQueueFull,
        Self::Disconnected,
        Self::TooLarge,
        Self::IDontWant,
        Self::Unsupported,
    ];

    /// The reason in snake case, as metrics label it.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

/// What is known about a publication so far. Counts are in recipients.
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
    /// No peer is subscribed to the topic, or all of them sent IDONTWANT for it. Peers that connect soon may still get
    /// it by IWANT.
    NoPeers,
    /// A message with this id was published or received before. It was not sent again.
    AlreadyPublished,
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

/// A report that a ticket shares with the parts of the engine that complete it.
#[derive(Debug, Default)]
pub(crate) struct PublishState {
    report: Mutex<PublishReport>,
    changed: Notify,
    ended: AtomicBool,
}

impl PublishState {
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

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// Reports how a publication is routed to its ticket, if it has one. Dropped without a result, it reports
/// [`RouteResult::Lost`].
#[derive(Debug)]
pub(crate) struct PublishResponder(Option<Arc<PublishState>>);

impl PublishResponder {
    pub(crate) fn new(state: Option<Arc<PublishState>>) -> Self {
        Self(state)
    }

    /// Reports that the topic routed the message to `queued` peers. If there are any, `register` is called first: it
    /// makes the state available to the p2p stream and the transport before the ticket's owner sees the result.
    pub(crate) fn respond(
        mut self,
        result: RouteResult,
        queued: usize,
        register: impl FnOnce(&Arc<PublishState>),
    ) {
        let Some(state) = self.0.take() else { return };
        if result == RouteResult::Queued {
            register(&state);
        }
        state.update(|report| {
            report.routed = Some(result);
            report.queued = queued;
        });
    }
}

impl Drop for PublishResponder {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            state.update(|report| report.routed = Some(RouteResult::Lost));
        }
    }
}

/// The incomplete reports of publications that have a ticket.
#[derive_where(Default)]
pub(crate) struct PublishReports<N: Network> {
    open: DashMap<(N::Topic, N::MessageId), Weak<PublishState>, RandomState>,
    /// The number of entries of `open`: while it is 0, nothing is looked up there.
    count: AtomicUsize,
}

impl<N: Network> PublishReports<N> {
    pub(crate) fn insert(&self, key: (N::Topic, N::MessageId), state: &Arc<PublishState>) {
        if self.open.insert(key, Arc::downgrade(state)).is_none() {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether a ticket waits for reports on this message.
    pub(crate) fn is_open(&self, topic: &N::Topic, id: &N::MessageId) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.open.contains_key(&(topic.clone(), id.clone()))
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
        for entry in &self.open {
            if let Some(state) = entry.value().upgrade() {
                state.end();
            }
        }
    }

    pub(crate) fn remove(&self, key: &(N::Topic, N::MessageId)) {
        if self.open.remove(key).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn update(&self, topic: &N::Topic, id: &N::MessageId, change: impl FnOnce(&mut PublishReport)) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let key = (topic.clone(), id.clone());
        let state = self.open.get(&key).and_then(|state| state.upgrade());
        if state.is_some_and(|state| state.update(change)) {
            self.remove(&key);
        }
    }
}

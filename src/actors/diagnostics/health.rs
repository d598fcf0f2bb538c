//! The last heartbeat and the number of joined topics without peers, readable by every thread: the basis of health
//! checks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::timestamp::Timestamp;

/// The status of the heartbeat.
#[derive(Debug)]
pub(crate) struct HeartbeatMonitor {
    tick: AtomicU64,
    started_at: AtomicU64,
    /// The number of joined topics to which no peer is subscribed, each as of its last heartbeat.
    topics_without_peers: AtomicUsize,
    /// The number of joined topics without score parameters of their own, while others have some.
    topics_without_scores: AtomicUsize,
    /// The engine is driven by hand, so that no heartbeat can be late.
    manual: bool,
}

impl HeartbeatMonitor {
    pub(crate) fn new(manual: bool) -> Self {
        Self {
            tick: AtomicU64::new(0),
            started_at: AtomicU64::new(0),
            topics_without_peers: AtomicUsize::new(0),
            topics_without_scores: AtomicUsize::new(0),
            manual,
        }
    }

    /// Records that a heartbeat starts.
    pub(crate) fn record(&self, tick: u64, now: Timestamp) {
        self.started_at.store(now.as_nanos(), Ordering::Release);
        self.tick.store(tick, Ordering::Release);
    }

    /// The number of the last heartbeat; 0 before the first.
    pub(crate) fn tick(&self) -> u64 {
        self.tick.load(Ordering::Acquire)
    }

    /// When the last heartbeat started; the engine's start before the first.
    pub(crate) fn started_at(&self) -> Timestamp {
        Timestamp::from_nanos(self.started_at.load(Ordering::Acquire))
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual
    }

    /// Records whether a topic is joined and without peers, `now` and `before`.
    pub(crate) fn record_topic_without_peers(&self, now: bool, before: bool) {
        count(&self.topics_without_peers, now, before);
    }

    /// Records whether a topic is joined and without score parameters of its own, `now` and `before`.
    pub(crate) fn record_topic_without_scores(&self, now: bool, before: bool) {
        count(&self.topics_without_scores, now, before);
    }

    pub(crate) fn topics_without_scores(&self) -> usize {
        self.topics_without_scores.load(Ordering::Acquire)
    }

    pub(crate) fn topics_without_peers(&self) -> usize {
        self.topics_without_peers.load(Ordering::Acquire)
    }
}

/// Adds one topic to a number, or takes one away.
fn count(topics: &AtomicUsize, now: bool, before: bool) {
    match (now, before) {
        (true, false) => drop(topics.fetch_add(1, Ordering::AcqRel)),
        (false, true) => drop(topics.fetch_sub(1, Ordering::AcqRel)),
        _ => {}
    }
}

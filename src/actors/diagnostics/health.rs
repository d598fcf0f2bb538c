//! The engine's pulse: which heartbeat began last, and when; how many joined topics it found without a
//! peer. Looked at by whoever asks after the engine's health; judges nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::timestamp::Timestamp;

/// What is known of the last heartbeat without asking an actor.
#[derive(Debug)]
pub(crate) struct HeartbeatMonitor {
    tick: AtomicU64,
    at: AtomicU64,
    /// Joined topics to which no peer is subscribed, each as of its last heartbeat.
    lonely: AtomicUsize,
    /// The engine is driven by hand: no heartbeat is ever late.
    manual: bool,
}

impl HeartbeatMonitor {
    pub(crate) fn new(manual: bool) -> Self {
        Self { tick: AtomicU64::new(0), at: AtomicU64::new(0), lonely: AtomicUsize::new(0), manual }
    }

    /// A heartbeat begins.
    pub(crate) fn beat(&self, tick: u64, now: Timestamp) {
        self.at.store(now.as_nanos(), Ordering::Release);
        self.tick.store(tick, Ordering::Release);
    }

    /// The number of the last one; 0 before the first.
    pub(crate) fn tick(&self) -> u64 {
        self.tick.load(Ordering::Acquire)
    }

    /// When it began; the engine's start before the first.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_nanos(self.at.load(Ordering::Acquire))
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual
    }

    /// A joined topic has no peer now, and had one when it last told; or the other way round.
    pub(crate) fn note_lonely(&self, now: bool, last: bool) {
        match (now, last) {
            (true, false) => drop(self.lonely.fetch_add(1, Ordering::AcqRel)),
            (false, true) => drop(self.lonely.fetch_sub(1, Ordering::AcqRel)),
            _ => {}
        }
    }

    pub(crate) fn lonely(&self) -> usize {
        self.lonely.load(Ordering::Acquire)
    }
}

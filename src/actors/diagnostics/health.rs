//! The last heartbeat and the numbers of joined topics with problems, readable by every thread: the basis of health
//! checks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use enum_map::EnumMap;

use crate::{protocol::inspect::stats::TopicProblem, timestamp::Timestamp};

/// The status of the heartbeat.
#[derive(Debug)]
pub(crate) struct HeartbeatMonitor {
    tick: AtomicU64,
    started_at: AtomicU64,
    /// The number of joined topics with each problem, each as of its last heartbeat.
    topics: EnumMap<TopicProblem, AtomicUsize>,
    /// The engine is driven by hand, so that no heartbeat can be late.
    manual: bool,
}

impl HeartbeatMonitor {
    pub(crate) fn new(manual: bool) -> Self {
        Self { tick: AtomicU64::new(0), started_at: AtomicU64::new(0), topics: EnumMap::default(), manual }
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

    /// Records the problems of a topic, `now` and `before`.
    pub(crate) fn record_problems(
        &self,
        now: &EnumMap<TopicProblem, bool>,
        before: &EnumMap<TopicProblem, bool>,
    ) {
        for (problem, topics) in &self.topics {
            match (now[problem], before[problem]) {
                (true, false) => drop(topics.fetch_add(1, Ordering::AcqRel)),
                (false, true) => drop(topics.fetch_sub(1, Ordering::AcqRel)),
                _ => {}
            }
        }
    }

    /// The number of joined topics with each problem.
    pub(crate) fn problems(&self) -> EnumMap<TopicProblem, usize> {
        EnumMap::from_fn(|problem| self.topics[problem].load(Ordering::Acquire))
    }
}

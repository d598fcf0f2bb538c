//! Samples the waiting time of items in a queue with lanes: it tracks one item at a time, from push to pop.

use std::sync::Arc;

use ::metrics::Histogram;

use crate::{clock::Clock, timestamp::Timestamp};

/// At most one of this many items is tracked.
const SAMPLE_EVERY: u32 = 16;

/// Samples how long items wait in one queue.
pub(crate) struct WaitTime {
    clock: Arc<dyn Clock>,
    histogram: Histogram,
    /// Items to skip before the next one is tracked.
    skip: u32,
    tracked: Option<Tracked>,
}

/// The tracked item.
struct Tracked {
    lane: usize,
    /// Items of its lane that are popped before it.
    ahead: usize,
    pushed_at: Timestamp,
}

impl WaitTime {
    pub(crate) fn new(clock: Arc<dyn Clock>, histogram: Histogram) -> Self {
        Self { clock, histogram, skip: 0, tracked: None }
    }

    /// An item was pushed to `lane`, behind `ahead` items of that lane.
    #[inline]
    pub(crate) fn pushed(&mut self, lane: usize, ahead: usize) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.tracked.is_none() {
            self.skip = SAMPLE_EVERY - 1;
            self.tracked = Some(Tracked { lane, ahead, pushed_at: self.clock.now() });
        }
    }

    /// The first item of `lane` was popped.
    #[inline]
    pub(crate) fn popped(&mut self, lane: usize) {
        let Some(tracked) = self.tracked.as_mut().filter(|tracked| tracked.lane == lane) else { return };
        if tracked.ahead > 0 {
            tracked.ahead -= 1;
            return;
        }
        self.histogram.record(self.clock.now().saturating_since(tracked.pushed_at));
        self.tracked = None;
    }

    /// The last items of `lane` were dropped; `left` items remain. A dropped item is not recorded.
    pub(crate) fn dropped(&mut self, lane: usize, left: usize) {
        self.tracked.take_if(|tracked| tracked.lane == lane && left <= tracked.ahead);
    }
}

//! Samples how long items wait in a queue: it tracks one item at a time, from its arrival until it is taken out.

use std::sync::Arc;

use ::metrics::Histogram;

use crate::{clock::Clock, timestamp::Timestamp};

/// At most one of this many items is tracked.
const SAMPLING: u32 = 16;

/// The sampler of one queue, which may consist of several lanes.
pub(crate) struct WaitTime {
    clock: Arc<dyn Clock>,
    /// In seconds.
    histogram: Histogram,
    /// The number of items to skip before the next one is tracked.
    skip: u32,
    tracked: Option<Tracked>,
}

/// The item that is tracked.
struct Tracked {
    lane: usize,
    /// The number of items before it in its lane.
    ahead: usize,
    pushed_at: Timestamp,
}

impl WaitTime {
    pub(crate) fn new(clock: Arc<dyn Clock>, histogram: Histogram) -> Self {
        Self { clock, histogram, skip: 0, tracked: None }
    }

    /// An item was added behind `ahead` items of its lane.
    #[inline]
    pub(super) fn pushed(&mut self, lane: usize, ahead: usize) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.tracked.is_none() {
            self.skip = SAMPLING - 1;
            self.tracked = Some(Tracked { lane, ahead, pushed_at: self.clock.now() });
        }
    }

    /// The first item of `lane` was popped.
    #[inline]
    pub(super) fn popped(&mut self, lane: usize) {
        let Some(tracked) = self.tracked.as_mut().filter(|tracked| tracked.lane == lane) else { return };
        if tracked.ahead > 0 {
            tracked.ahead -= 1;
            return;
        }
        self.histogram.record(self.clock.now().saturating_since(tracked.pushed_at));
        self.tracked = None;
    }

    /// Any items of a lane were dropped: the tracked one may be among them.
    pub(super) fn swept(&mut self, lane: usize) {
        self.tracked.take_if(|tracked| tracked.lane == lane);
    }

    /// The last items of a lane were dropped; `remaining` items are left in it.
    pub(super) fn dropped(&mut self, lane: usize, remaining: usize) {
        self.tracked.take_if(|tracked| tracked.lane == lane && remaining <= tracked.ahead);
    }
}

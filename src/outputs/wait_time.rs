//! How long items wait in a queue that has lanes: one item at a time is followed, from its arrival until it is taken
//! out. Looks on; never holds an item up.

use std::sync::Arc;

use ::metrics::Histogram;

use crate::{clock::Clock, timestamp::Timestamp};

/// One of so many items is followed.
const ONE_OF: u32 = 16;

/// The watch of one queue.
pub(crate) struct Stopwatch {
    clock: Arc<dyn Clock>,
    waits: Histogram,
    /// So many items are let pass before the next one is followed.
    left: u32,
    followed: Option<Followed>,
}

/// The item that is followed.
struct Followed {
    lane: usize,
    /// How many of its lane come before it.
    ahead: usize,
    since: Timestamp,
}

impl Stopwatch {
    pub(crate) fn new(clock: Arc<dyn Clock>, waits: Histogram) -> Self {
        Self { clock, waits, left: 0, followed: None }
    }

    /// An item comes, behind so many of its lane.
    #[inline]
    pub(crate) fn pushed(&mut self, lane: usize, ahead: usize) {
        if self.left > 0 {
            self.left -= 1;
        } else if self.followed.is_none() {
            self.left = ONE_OF - 1;
            self.followed = Some(Followed { lane, ahead, since: self.clock.now() });
        }
    }

    /// The first item of a lane was taken out.
    #[inline]
    pub(crate) fn popped(&mut self, lane: usize) {
        let Some(followed) = self.followed.as_mut().filter(|followed| followed.lane == lane) else { return };
        if followed.ahead > 0 {
            followed.ahead -= 1;
            return;
        }
        self.waits.record(self.clock.now().saturating_since(followed.since));
        self.followed = None;
    }

    /// The last items of a lane were dropped: so many are left.
    pub(crate) fn dropped(&mut self, lane: usize, left: usize) {
        self.followed.take_if(|followed| followed.lane == lane && left <= followed.ahead);
    }
}

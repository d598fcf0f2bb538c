//! Points that could not be reached, and when to try them again. Counts ticks, not time.

use std::collections::BTreeMap;

use crate::limits::Bounds;

/// The points to leave alone for a while. Each keeps its own delay, which doubles at each failure.
#[derive(Clone, Debug)]
pub(crate) struct ReconnectBackoff<P> {
    points: BTreeMap<P, Retry>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    /// The present delay, in ticks.
    delay: u64,
    /// The tick from which on the point may be tried.
    at: u64,
}

impl<P: Ord> ReconnectBackoff<P> {
    pub(crate) fn new() -> Self {
        Self { points: BTreeMap::new() }
    }

    /// An attempt failed at `tick`.
    pub(crate) fn failed(&mut self, point: P, tick: u64, bounds: &Bounds) {
        let delay = |last: u64| last.saturating_mul(2).min(bounds.max_reconnect_ticks);
        if self.points.len() >= bounds.max_unreachable && !self.points.contains_key(&point) {
            return;
        }
        self.points
            .entry(point)
            .and_modify(|retry| retry.delay = delay(retry.delay))
            .or_insert(Retry { delay: bounds.first_reconnect_ticks, at: 0 })
            .schedule(tick);
    }

    /// A connection came about.
    pub(crate) fn reached(&mut self, point: &P) {
        self.points.remove(point);
    }

    pub(crate) fn may_try(&self, point: &P, tick: u64) -> bool {
        self.points.get(point).is_none_or(|retry| retry.at <= tick)
    }

    /// Forgets everything, lest the map hold points that nobody knows any more.
    pub(crate) fn clear(&mut self) {
        self.points.clear();
    }

    /// Each point with the ticks until its next attempt; negative when that tick is past.
    pub(crate) fn delays(&self, tick: u64) -> impl Iterator<Item = (&P, i64)> {
        self.points.iter().map(move |(point, retry)| (point, difference(retry.at, tick)))
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }
}

/// `at - tick`, as far as it can be told.
fn difference(at: u64, tick: u64) -> i64 {
    let ticks = i128::from(at) - i128::from(tick);
    i64::try_from(ticks).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

impl Retry {
    fn schedule(&mut self, tick: u64) {
        self.at = tick.saturating_add(self.delay);
    }
}

//! Delays before unreachable points are dialled again, in heartbeat ticks.

use std::collections::BTreeMap;

use crate::limits::Bounds;

/// The unreachable points. The delay of each doubles at each failure.
#[derive(Clone, Debug)]
pub(crate) struct ReconnectBackoff<P> {
    points: BTreeMap<P, Retry>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    /// The current delay, in ticks.
    delay: u64,
    /// The tick from which the point may be dialled.
    retry_at_tick: u64,
}

impl<P: Ord> ReconnectBackoff<P> {
    pub(crate) fn new() -> Self {
        Self { points: BTreeMap::new() }
    }

    /// An attempt at `tick` failed.
    pub(crate) fn failed(&mut self, point: P, tick: u64, bounds: &Bounds) {
        let delay = |last: u64| last.saturating_mul(2).min(bounds.max_reconnect_ticks);
        if self.points.len() >= bounds.max_unreachable && !self.points.contains_key(&point) {
            return;
        }
        self.points
            .entry(point)
            .and_modify(|retry| retry.delay = delay(retry.delay))
            .or_insert(Retry { delay: bounds.first_reconnect_ticks, retry_at_tick: 0 })
            .schedule(tick);
    }

    /// A connection succeeded.
    pub(crate) fn reached(&mut self, point: &P) {
        self.points.remove(point);
    }

    /// Whether the point may be dialled at `tick`.
    pub(crate) fn is_due(&self, point: &P, tick: u64) -> bool {
        self.points.get(point).is_none_or(|retry| retry.retry_at_tick <= tick)
    }

    /// Forgets all points, so that the map does not keep unused ones.
    pub(crate) fn clear(&mut self) {
        self.points.clear();
    }

    /// Each point with the ticks until its next attempt, negative if that tick has passed.
    pub(crate) fn delays(&self, tick: u64) -> impl Iterator<Item = (&P, i64)> {
        self.points.iter().map(move |(point, retry)| (point, difference(retry.retry_at_tick, tick)))
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }
}

/// Returns `retry_at_tick - tick`, saturating.
fn difference(retry_at_tick: u64, tick: u64) -> i64 {
    let ticks = i128::from(retry_at_tick) - i128::from(tick);
    i64::try_from(ticks).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

impl Retry {
    fn schedule(&mut self, tick: u64) {
        self.retry_at_tick = tick.saturating_add(self.delay);
    }
}

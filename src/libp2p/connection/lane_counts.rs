//! Numbers of items by lane.

use std::{fmt, ops::AddAssign};

use crate::protocol::Lane;

/// A number of items for each lane.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneCounts([u64; Lane::ALL.len()]);

impl LaneCounts {
    /// Zero for every lane.
    pub const NONE: Self = Self([0; Lane::ALL.len()]);

    /// The number for `lane`.
    pub fn of(&self, lane: Lane) -> u64 {
        self.0[lane as usize]
    }

    /// Each lane and its number, the most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, u64)> {
        Lane::ALL.into_iter().zip(self.0)
    }

    /// The sum over all lanes.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(in crate::libp2p) fn add(&mut self, lane: Lane, count: u64) {
        let counted = &mut self.0[lane as usize];
        *counted = counted.saturating_add(count);
    }
}

impl AddAssign for LaneCounts {
    fn add_assign(&mut self, other: Self) {
        Lane::ALL.iter().for_each(|lane| self.add(*lane, other.of(*lane)));
    }
}

impl fmt::Debug for LaneCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Lane::ALL.iter().map(|lane| (lane.name(), self.of(*lane)))).finish()
    }
}

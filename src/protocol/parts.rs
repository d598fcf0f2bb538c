//! What a topic adds to a peer's score, part by part: P1, P2, P3, P3b and P4. Adds up; knows no peer and no topic.

use std::ops::AddAssign;

/// P1, P2, P3, P3b and P4.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Parts(pub(super) [f64; 5]);

impl Parts {
    /// All of them. The order is the reference's: sums of doubles depend on it.
    pub(super) fn sum(&self) -> f64 {
        let [p1, p2, p3, p3b, p4] = self.0;
        p1 + p2 + p3 + p3b + p4
    }

    pub(super) fn weighted(self, weight: f64) -> Self {
        Self(self.0.map(|part| weight * part))
    }
}

impl AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(part, more)| *part += more);
    }
}

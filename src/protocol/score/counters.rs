//! The score counters of one peer in one topic, and the components P1 to P4 that follow from them.

use std::{ops::AddAssign, time::Duration};

use enum_map::Enum;
use strum::VariantNames;

use crate::{limits::TopicScoreLimits, timestamp::Timestamp};

/// The counters of one peer in one topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TopicCounters {
    /// P1: the time at which the peer entered the mesh, and its time in the mesh at the last refresh.
    pub(crate) mesh: Option<(Timestamp, Duration)>,
    /// P2: first deliveries.
    pub(crate) first: f64,
    /// Whether P3 applies: the peer has been in the mesh for the activation time.
    pub(crate) active: bool,
    /// P3: deliveries, first or within the delivery window.
    pub(crate) delivered: f64,
    /// P3b: squared delivery deficits at prunes.
    pub(crate) failure: f64,
    /// P4: invalid messages.
    pub(crate) invalid: f64,
}

impl TopicCounters {
    pub(crate) fn graft(&mut self, now: Timestamp) {
        self.mesh = Some((now, Duration::ZERO));
    }

    /// Leaving the mesh turns a delivery deficit into a sticky penalty (v1.1 P3b).
    pub(crate) fn prune(&mut self, limits: &TopicScoreLimits) {
        self.failure += self.deficit_squared(limits);
        self.mesh = None;
        self.active = false;
    }

    /// Removes the peer from the mesh without a penalty.
    pub(crate) fn clear_mesh(&mut self) {
        self.mesh = None;
        self.active = false;
    }

    /// Handles the disconnection of a peer whose score is retained: positive counters are reset, penalties stay.
    pub(crate) fn on_disconnect(&mut self, limits: &TopicScoreLimits) {
        if self.mesh.is_some() {
            self.failure += self.deficit_squared(limits);
        }
        self.mesh = None;
        self.active = false;
        self.first = 0.0;
    }

    pub(crate) fn first_delivery(&mut self, limits: &TopicScoreLimits) {
        self.first = limits.first_message_deliveries_cap.min(self.first + 1.0);
        self.duplicate_in_window_delivery(limits);
    }

    pub(crate) fn duplicate_in_window_delivery(&mut self, limits: &TopicScoreLimits) {
        if self.mesh.is_some() {
            self.delivered = limits.mesh_message_deliveries_cap.min(self.delivered + 1.0);
        }
    }

    pub(crate) fn invalid_message(&mut self) {
        self.invalid += 1.0;
    }

    /// Updates the time in mesh and the activation of P3, and decays all counters.
    pub(crate) fn refresh(&mut self, limits: &TopicScoreLimits, decay_zero: f64, now: Timestamp) {
        if let Some((since, during)) = &mut self.mesh {
            *during = now.saturating_since(*since);
        }
        let in_mesh_for = self.mesh.map_or(Duration::ZERO, |(_, during)| during);
        self.active = limits.mesh_message_deliveries_activation <= in_mesh_for;
        self.first = decayed(self.first, limits.first_message_deliveries_decay, decay_zero);
        self.delivered = decayed(self.delivered, limits.mesh_message_deliveries_decay, decay_zero);
        self.failure = decayed(self.failure, limits.mesh_failure_penalty_decay, decay_zero);
        self.invalid = decayed(self.invalid, limits.invalid_message_deliveries_decay, decay_zero);
    }

    /// The components of this topic, without the weight of the topic.
    pub(super) fn components(&self, limits: &TopicScoreLimits) -> ScoreComponents {
        ScoreComponents {
            p1: self.p1(limits),
            p2: self.p2(limits),
            p3: self.p3(limits),
            p3b: self.p3b(limits),
            p4: self.p4(limits),
        }
    }

    /// Whether all counters have their initial values.
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn p1(&self, limits: &TopicScoreLimits) -> f64 {
        let Some((_, during)) = self.mesh else { return 0.0 };
        let quanta = during.as_secs_f64() / limits.time_in_mesh_quantum.as_secs_f64();
        limits.time_in_mesh_weight * quanta.min(limits.time_in_mesh_cap)
    }

    fn p2(&self, limits: &TopicScoreLimits) -> f64 {
        limits.first_message_deliveries_weight * self.first
    }

    fn p3(&self, limits: &TopicScoreLimits) -> f64 {
        self.deficit_squared(limits) * limits.mesh_message_deliveries_weight
    }

    fn p3b(&self, limits: &TopicScoreLimits) -> f64 {
        self.failure * limits.mesh_failure_penalty_weight
    }

    fn p4(&self, limits: &TopicScoreLimits) -> f64 {
        self.invalid * self.invalid * limits.invalid_message_deliveries_weight
    }

    /// The amount that a prune would add to P3b now.
    pub(super) fn p3b_if_pruned(&self, limits: &TopicScoreLimits) -> f64 {
        self.deficit_squared(limits) * limits.mesh_failure_penalty_weight
    }

    fn deficit_squared(&self, limits: &TopicScoreLimits) -> f64 {
        let threshold = limits.mesh_message_deliveries_threshold;
        if self.active && self.delivered < threshold { (threshold - self.delivered).powi(2) } else { 0.0 }
    }
}

/// One step of decay. A value below `zero` becomes 0.
pub(crate) fn decayed(value: f64, rate: f64, zero: f64) -> f64 {
    let value = value * rate;
    if value < zero { 0.0 } else { value }
}

/// A component of the score (gossipsub v1.1, "the score function"); the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ScoreComponent {
    P1,
    P2,
    P3,
    P3b,
    P4,
    P5,
    P6,
    P7,
}

/// The components that topics contribute to a score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ScoreComponents {
    pub(super) p1: f64,
    pub(super) p2: f64,
    pub(super) p3: f64,
    pub(super) p3b: f64,
    pub(super) p4: f64,
}

impl ScoreComponents {
    /// The sum, in the order of the reference, because the rounding depends on it.
    pub(super) fn sum(&self) -> f64 {
        let Self { p1, p2, p3, p3b, p4 } = self;
        p1 + p2 + p3 + p3b + p4
    }

    pub(super) fn weighted(self, weight: f64) -> Self {
        let Self { p1, p2, p3, p3b, p4 } = self;
        Self { p1: weight * p1, p2: weight * p2, p3: weight * p3, p3b: weight * p3b, p4: weight * p4 }
    }
}

impl AddAssign for ScoreComponents {
    fn add_assign(&mut self, other: Self) {
        let Self { p1, p2, p3, p3b, p4 } = other;
        self.p1 += p1;
        self.p2 += p2;
        self.p3 += p3;
        self.p3b += p3b;
        self.p4 += p4;
    }
}

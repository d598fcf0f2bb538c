//! What one peer's score is made of, but for its counters on topics. Adds up what it is told; looks nothing up.

use std::cell::Cell;

use super::{
    counters::{ScoreComponents, decayed},
    table::TopicKey,
};
use crate::{
    limits::{Limits, ScoreLimits},
    timestamp::Timestamp,
};

/// Over no more topics than this, a sum is made anew when one of them changes, in the order of the reference, so
/// that no rounding differs. Over more, the change is added; at each refresh the sum is made anew all the same.
const SUMMED_UP_ANEW: usize = 16;

/// A peer that has a score.
#[derive(Clone, Debug)]
pub(super) struct PeerScore<P> {
    pub(super) peer: P,
    /// Where it has counters, ascending by the topics' names.
    pub(super) rows: Vec<TopicKey>,
    /// P5.
    pub(super) application_score: f64,
    /// P7.
    pub(super) behaviour_penalty: f64,
    /// Connected when `None`; else the next refresh from then on drops the entry.
    pub(super) expires: Option<Timestamp>,
    /// P1 to P4 over all topics, unless it is to be summed up anew.
    pub(super) topic_sum: Cell<Option<f64>>,
    /// The same one by one, to be shown: as of the last refresh.
    pub(super) parts: Cell<Option<ScoreComponents>>,
    /// The sum over the topics that the refresh under way is done with; not a number once that can't be told.
    fresh_sum: f64,
    /// The same one by one, if somebody will look and it can be told.
    fresh_parts: Option<ScoreComponents>,
    /// It stands among the changed.
    pub(super) is_changed: bool,
}

impl<P: Clone> PeerScore<P> {
    pub(super) fn new(peer: P) -> Self {
        Self {
            peer,
            rows: Vec::new(),
            application_score: 0.0,
            behaviour_penalty: 0.0,
            expires: None,
            topic_sum: Cell::new(None),
            parts: Cell::new(None),
            fresh_sum: 0.0,
            fresh_parts: None,
            is_changed: false,
        }
    }

    pub(super) fn note_change(&mut self, changed: &mut Option<Vec<P>>) {
        if let Some(changed) = changed.as_mut().filter(|_| !self.is_changed) {
            changed.push(self.peer.clone());
            self.is_changed = true;
        }
    }

    /// One topic's part is another now.
    pub(super) fn topic_changed(&mut self, before: f64, after: f64, is_fresh: bool) {
        let known_sum = self.topic_sum.take().filter(|_| self.rows.len() > SUMMED_UP_ANEW);
        self.topic_sum.set(known_sum.map(|sum| sum - before + after));
        if is_fresh {
            self.fresh_sum += after - before;
        }
    }

    /// What is known of the sums is void.
    pub(super) fn sum_anew(&mut self) {
        self.topic_sum.set(None);
        self.parts.set(None);
        self.fresh_sum = f64::NAN;
        self.fresh_parts = None;
    }

    /// `shown`: somebody looks at the parts.
    pub(super) fn begin_refresh(&mut self, shown: bool) {
        self.fresh_sum = 0.0;
        self.fresh_parts = shown.then(ScoreComponents::default);
    }

    /// The refresh is done with a topic.
    pub(super) fn refreshed(&mut self, weight: f64, parts: ScoreComponents) {
        self.fresh_sum += weight * parts.sum();
        if let Some(sum) = &mut self.fresh_parts {
            *sum += parts.weighted(weight);
        }
    }

    pub(super) fn conclude_refresh<T>(&mut self, limits: &Limits<T>) {
        let (rate, zero) = (limits.score.behaviour_penalty_decay, limits.score.decay_zero);
        self.behaviour_penalty = decayed(self.behaviour_penalty, rate, zero);
        self.topic_sum.set(Some(self.fresh_sum).filter(|sum| !sum.is_nan()));
        self.parts.set(self.fresh_parts.take());
    }

    pub(super) fn p7<T>(&self, limits: &Limits<T>) -> f64 {
        p7(self.behaviour_penalty, &limits.score)
    }
}

/// The penalty that so many faults of behaviour are.
pub(super) fn p7<T>(behaviour_penalty: f64, limits: &ScoreLimits<T>) -> f64 {
    let excess = behaviour_penalty - limits.behaviour_penalty_threshold;
    if excess > 0.0 { excess * excess * limits.behaviour_penalty_weight } else { 0.0 }
}

//! The score of one peer: application score (P5), IP colocation (P6), misbehaviour (P7), and the cached sums over its topics.

use std::{cell::Cell, net::IpAddr};

use super::{
    counters::{ScoreComponents, decayed},
    table::TopicKey,
};
use crate::{
    limits::{Limits, ScoreLimits},
    timestamp::Timestamp,
};

/// Up to this number of topics, the sum is recomputed after each change, in the order of the reference, so that its
/// rounding is the same. With more topics the difference is added, and the sum is recomputed at each refresh.
const EXACT_SUM_MAX_TOPICS: usize = 16;

/// The score of a peer.
#[derive(Clone, Debug)]
pub(super) struct PeerScore<P> {
    pub(super) peer: P,
    /// The topics in which the peer has counters, ascending by topic.
    pub(super) rows: Vec<TopicKey>,
    /// The application score (P5).
    pub(super) application_score: f64,
    /// The addresses at which the peer is counted for P6.
    pub(super) addresses: Vec<IpAddr>,
    /// P6 before its weight.
    pub(super) colocation: f64,
    /// The misbehaviour counter (P7).
    pub(super) behaviour_penalty: f64,
    /// `None` while the peer is connected; otherwise the time from which a refresh removes the entry.
    pub(super) expires: Option<Timestamp>,
    /// The sum of P1 to P4 over all topics; `None` if it must be recomputed.
    pub(super) topic_sum: Cell<Option<f64>>,
    /// The sum of each component over all topics, as of the last refresh, for inspection.
    pub(super) components: Cell<Option<ScoreComponents>>,
    /// The sum over the topics that the current refresh has handled; NaN if it must be recomputed.
    refresh_sum: f64,
    /// The same for each component, if components are needed.
    refresh_components: Option<ScoreComponents>,
    /// The peer is in the list of changed scores.
    pub(super) is_changed: bool,
}

impl<P: Clone> PeerScore<P> {
    pub(super) fn new(peer: P) -> Self {
        Self {
            peer,
            rows: Vec::new(),
            application_score: 0.0,
            addresses: Vec::new(),
            colocation: 0.0,
            behaviour_penalty: 0.0,
            expires: None,
            topic_sum: Cell::new(None),
            components: Cell::new(None),
            refresh_sum: 0.0,
            refresh_components: None,
            is_changed: false,
        }
    }

    /// Adds the peer to the list of changed scores, once.
    pub(super) fn mark_changed(&mut self, changed: &mut Option<Vec<P>>) {
        if let Some(changed) = changed.as_mut().filter(|_| !self.is_changed) {
            changed.push(self.peer.clone());
            self.is_changed = true;
        }
    }

    /// The weighted sum of one topic changed from `before` to `after`.
    pub(super) fn topic_changed(&mut self, before: f64, after: f64, already_refreshed: bool) {
        let known_sum = self.topic_sum.take().filter(|_| self.rows.len() > EXACT_SUM_MAX_TOPICS);
        self.topic_sum.set(known_sum.map(|sum| sum - before + after));
        if already_refreshed {
            self.refresh_sum += after - before;
        }
    }

    /// Marks all sums to be recomputed.
    pub(super) fn invalidate_sums(&mut self) {
        self.topic_sum.set(None);
        self.components.set(None);
        self.refresh_sum = f64::NAN;
        self.refresh_components = None;
    }

    /// Starts a refresh. `with_components`: whether the components are needed.
    pub(super) fn begin_refresh(&mut self, with_components: bool) {
        self.refresh_sum = 0.0;
        self.refresh_components = with_components.then(ScoreComponents::default);
    }

    /// Adds a topic that the refresh has handled.
    pub(super) fn refreshed(&mut self, weight: f64, components: ScoreComponents) {
        self.refresh_sum += weight * components.sum();
        if let Some(sum) = &mut self.refresh_components {
            *sum += components.weighted(weight);
        }
    }

    /// Decays P7 and takes over the sums of the refresh.
    pub(super) fn finish_refresh<T>(&mut self, limits: &Limits<T>) {
        let (rate, zero) = (limits.score.behaviour_penalty_decay, limits.score.decay_zero);
        if self.expires.is_none() || limits.extensions.retained_scores_decay {
            self.behaviour_penalty = decayed(self.behaviour_penalty, rate, zero);
        }
        self.topic_sum.set(Some(self.refresh_sum).filter(|sum| !sum.is_nan()));
        self.components.set(self.refresh_components.take());
    }

    pub(super) fn p6<T>(&self, limits: &Limits<T>) -> f64 {
        p6(self.colocation, &limits.score)
    }

    pub(super) fn p7<T>(&self, limits: &Limits<T>) -> f64 {
        p7(self.behaviour_penalty, &limits.score)
    }
}

/// P6 for a sum of squares, weighted.
pub(super) fn p6<T>(colocation: f64, limits: &ScoreLimits<T>) -> f64 {
    if colocation > 0.0 { colocation * limits.ip_colocation_weight } else { 0.0 }
}

/// P7 for a misbehaviour counter: the square of its excess over the threshold, weighted.
pub(super) fn p7<T>(behaviour_penalty: f64, limits: &ScoreLimits<T>) -> f64 {
    let excess = behaviour_penalty - limits.behaviour_penalty_threshold;
    if excess > 0.0 { excess * excess * limits.behaviour_penalty_weight } else { 0.0 }
}

//! The peers' scores (v1.1 "peer scoring"): who is worth what. Told facts, never finds them out.
//!
//! P6 (colocation of addresses) is not here: the reference has none.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::{
    Timestamp,
    counters::{TopicCounters, decayed},
    credits::Deliveries,
    view::{ScoreView, TopicScoreView},
};
use crate::{
    limits::{Limits, TopicScoreLimits},
    network::Network,
};

/// Beyond this the application's word would drown all else, and sums would stop being numbers.
const MAX_APPLICATION_SCORE: f64 = 1e15;

/// Over no more topics than this, a sum is made anew when one of them changes, in the order of the reference, so
/// that no rounding differs. Over more, the change is added; at each refresh the sum is made anew all the same.
const SUMMED_UP_ANEW: usize = 16;

/// The scores of connected peers, and of those that left with a score that is kept.
#[derive_where(Clone, Debug)]
pub(crate) struct Scores<N: Network> {
    limits: Arc<Limits<N::Topic>>,
    /// Looked up by name; where its order could matter, it is sorted.
    peers: HashMap<N::Peer, PeerScore<N>, RandomState>,
    /// How many of them are not connected.
    departed: usize,
    /// The lowest of their scores, unless one changed since somebody asked; at most 0.
    lowest: Cell<Option<f64>>,
    /// The peers whose score changed since it was last asked for, each once; kept only if somebody asks.
    changed: Option<Vec<N::Peer>>,
}

#[derive_where(Clone, Debug, Default)]
struct PeerScore<N: Network> {
    topics: BTreeMap<N::Topic, TopicCounters>,
    /// P5.
    application_score: f64,
    /// P7.
    behaviour_penalty: f64,
    /// Connected when `None`; else the next refresh from then on drops the entry.
    expires: Option<Timestamp>,
    /// P1 to P4 over all topics, unless it is to be summed up anew.
    topic_sum: Cell<Option<f64>>,
    /// It stands among the changed.
    is_changed: bool,
}

impl<N: Network> Scores<N> {
    pub(crate) fn new(limits: Arc<Limits<N::Topic>>) -> Self {
        Self { limits, peers: HashMap::default(), departed: 0, lowest: Cell::new(None), changed: None }
    }

    /// From now on, keeps for [`take_changed`](Self::take_changed) whose score changed.
    pub(crate) fn track_changes(&mut self) {
        self.changed = Some(Vec::new());
    }

    /// Each peer whose score changed, with the present one.
    pub(crate) fn take_changed(&mut self) -> Vec<(N::Peer, Option<f64>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        for peer in &changed {
            if let Some(score) = self.peers.get_mut(peer) {
                score.is_changed = false;
            }
        }
        changed.into_iter().map(|peer| (peer.clone(), self.get(&peer))).collect()
    }

    /// The score of a peer that is connected or remembered.
    pub(crate) fn get(&self, peer: &N::Peer) -> Option<f64> {
        self.peers.get(peer).map(|score| score.value(&self.limits))
    }

    /// No score is below this.
    pub(crate) fn lowest(&self) -> f64 {
        let found = || self.peers.values().map(|score| score.value(&self.limits)).fold(0.0, f64::min);
        let lowest = self.lowest.get().unwrap_or_else(found);
        self.lowest.set(Some(lowest));
        lowest
    }

    /// The peer connected: a remembered score is taken up again.
    pub(crate) fn connect(&mut self, peer: &N::Peer) {
        let score = self.peers.entry(peer.clone()).or_default();
        self.departed -= usize::from(score.expires.take().is_some());
        score.note_change(peer, &mut self.changed);
    }

    /// The peer disconnected. Only a score that is not positive is kept, for `retain_duration`:
    /// so a bad peer can't wash itself by reconnecting, and a good one can't live on past deeds.
    pub(crate) fn disconnect(&mut self, peer: &N::Peer, now: Timestamp) {
        if self.get(peer).is_some_and(|score| score > 0.0) {
            self.forget(peer);
            return;
        }
        let limits = Arc::clone(&self.limits);
        let departed = &mut 0;
        self.update(peer, |score| {
            for (topic, counters) in &mut score.topics {
                counters.retain(limits.score.topics.parameters(topic));
            }
            *departed = usize::from(score.expires.is_none());
            score.expires = Some(now.after(limits.retain_duration));
            score.topic_sum.set(None);
        });
        self.departed += *departed;
        if self.departed > limits.bounds.max_departed {
            self.forget_best_departed();
        }
    }

    /// Of the peers that left, forgets those that there is least to be said against: whoever comes under ever
    /// new names has done nothing under most of them, and must not make us forget what others did. An eighth
    /// at once, so that the search is seldom.
    fn forget_best_departed(&mut self) {
        let departed = self.peers.iter().filter(|(_, score)| score.expires.is_some());
        let mut departed: Vec<_> =
            departed.map(|(peer, score)| (score.value(&self.limits), peer.clone())).collect();
        departed.sort_by(|(a, peer), (b, other)| b.total_cmp(a).then_with(|| peer.cmp(other)));
        departed.truncate(self.limits.bounds.max_departed / 8 + 1);
        departed.iter().for_each(|(_, peer)| self.forget(peer));
    }

    fn forget(&mut self, peer: &N::Peer) {
        let forgotten = self.peers.remove(peer);
        self.departed -= usize::from(forgotten.is_some_and(|score| score.expires.is_some()));
        if let Some(changed) = &mut self.changed {
            changed.push(peer.clone());
        }
    }

    pub(crate) fn graft(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) {
        self.update_topic(peer, topic, |counters, _| counters.graft(now));
    }

    pub(crate) fn prune(&mut self, peer: &N::Peer, topic: &N::Topic) {
        self.update_topic(peer, topic, TopicCounters::prune);
    }

    /// A topic lost its mesh by a fault of ours: nobody is in it, nobody is to blame.
    pub(crate) fn clear_mesh(&mut self, topic: &N::Topic) {
        self.lowest.set(None);
        for score in self.peers.values_mut() {
            if let Some(counters) = score.topics.get_mut(topic) {
                counters.leave_blameless();
                score.topic_sum.set(None);
            }
        }
    }

    /// One by one, as they came: sums of doubles depend on it.
    pub(crate) fn delivered(&mut self, deliveries: &Deliveries<N>, topic: &N::Topic) {
        let Deliveries { peer, first, near_first } = deliveries;
        self.update_topic(peer, topic, |counters, limits| {
            (0..*first).for_each(|_| counters.first_delivery(limits));
            (0..*near_first).for_each(|_| counters.near_first_delivery(limits));
        });
    }

    pub(crate) fn invalid_message(&mut self, peer: &N::Peer, topic: &N::Topic) {
        self.update_topic(peer, topic, |counters, _| counters.invalid_message());
    }

    /// P7: `count` more faults of behaviour.
    pub(crate) fn penalise(&mut self, peer: &N::Peer, count: f64) {
        self.update(peer, |score| score.behaviour_penalty += count);
    }

    /// P5. Unknown peers have no score to set, and what is not a number sets none: nothing compares with
    /// it.
    pub(crate) fn set_application_score(&mut self, peer: &N::Peer, value: f64) {
        if value.is_finite() {
            let value = value.clamp(-MAX_APPLICATION_SCORE, MAX_APPLICATION_SCORE);
            self.update(peer, |score| score.application_score = value);
        }
    }

    /// Decays every counter and forgets the peers whose retention is over.
    pub(crate) fn refresh(&mut self, now: Timestamp) {
        self.lowest.set(None);
        for (peer, score) in &mut self.peers {
            score.note_change(peer, &mut self.changed);
            score.refresh(&self.limits, now);
        }
        self.peers.retain(|_, score| score.expires.is_none_or(|at| at > now));
        self.departed = self.peers.values().filter(|score| score.expires.is_some()).count();
        // Who was here once takes no room.
        if self.peers.capacity() > 4 * self.peers.len() {
            self.peers.shrink_to(2 * self.peers.len());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn view(&self) -> BTreeMap<N::Peer, ScoreView<N>> {
        let view = |score: &PeerScore<N>| ScoreView {
            score: score.value(&self.limits),
            expires: score.expires,
            behaviour_penalty: score.behaviour_penalty,
            application_score: score.application_score,
            topics: score.topics.iter().map(|(t, c)| (t.clone(), TopicScoreView::from(c))).collect(),
        };
        self.peers.iter().map(|(peer, score)| (peer.clone(), view(score))).collect()
    }

    /// Changes the score of a peer that has one; a fact about a stranger changes nothing.
    fn update(&mut self, peer: &N::Peer, change: impl FnOnce(&mut PeerScore<N>)) {
        if let Some(score) = self.peers.get_mut(peer) {
            self.lowest.set(None);
            change(score);
            score.note_change(peer, &mut self.changed);
        }
    }

    /// Changes the counters of a peer that has a score.
    fn update_topic(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        change: impl FnOnce(&mut TopicCounters, &TopicScoreLimits),
    ) {
        if let Some(score) = self.peers.get_mut(peer) {
            self.lowest.set(None);
            score.update_topic(topic, &self.limits, change);
            score.note_change(peer, &mut self.changed);
        }
    }
}

impl<N: Network> PeerScore<N> {
    fn note_change(&mut self, peer: &N::Peer, changed: &mut Option<Vec<N::Peer>>) {
        if let Some(changed) = changed.as_mut().filter(|_| !self.is_changed) {
            changed.push(peer.clone());
            self.is_changed = true;
        }
    }

    fn update_topic(
        &mut self,
        topic: &N::Topic,
        limits: &Limits<N::Topic>,
        change: impl FnOnce(&mut TopicCounters, &TopicScoreLimits),
    ) {
        let known_sum = self.topic_sum.get_mut().take().filter(|_| self.topics.len() > SUMMED_UP_ANEW);
        let parameters = limits.score.topics.parameters(topic);
        let counters = match self.topics.get_mut(topic) {
            Some(counters) => counters,
            None => self.topics.entry(topic.clone()).or_default(),
        };
        let Some(sum) = known_sum else { return change(counters, parameters) };
        let weight = limits.score.topics.weight(topic);
        let before = weight * counters.score(parameters);
        change(counters, parameters);
        self.topic_sum.set(Some(sum - before + weight * counters.score(parameters)));
    }

    fn refresh(&mut self, limits: &Limits<N::Topic>, now: Timestamp) {
        let zero = limits.score.decay_zero;
        self.topics.retain(|topic, counters| {
            counters.refresh(limits.score.topics.parameters(topic), zero, now);
            !counters.is_zero()
        });
        self.behaviour_penalty = decayed(self.behaviour_penalty, limits.score.behaviour_penalty_decay, zero);
        self.topic_sum.set(None);
    }

    fn value(&self, limits: &Limits<N::Topic>) -> f64 {
        let sum = self.topic_sum.get().unwrap_or_else(|| self.sum_up(limits));
        self.topic_sum.set(Some(sum));
        let capped = limits.score.topic_score_cap.map_or(sum, |cap| cap.min(sum));
        let p5 = self.application_score * limits.score.app_specific_weight;
        capped + p5 + self.p7(limits)
    }

    /// P1 to P4 over all topics, weighted, in ascending order of topics.
    fn sum_up(&self, limits: &Limits<N::Topic>) -> f64 {
        let weighted = |(topic, counters): (&N::Topic, &TopicCounters)| {
            limits.score.topics.weight(topic) * counters.score(limits.score.topics.parameters(topic))
        };
        self.topics.iter().map(weighted).fold(0.0, |sum, part| sum + part)
    }

    fn p7(&self, limits: &Limits<N::Topic>) -> f64 {
        let excess = self.behaviour_penalty - limits.score.behaviour_penalty_threshold;
        if excess > 0.0 { excess * excess * limits.score.behaviour_penalty_weight } else { 0.0 }
    }
}

impl From<&TopicCounters> for TopicScoreView {
    fn from(counters: &TopicCounters) -> Self {
        let TopicCounters { mesh, first, active, delivered, failure, invalid } = counters.clone();
        Self { mesh, first, active, delivered, failure, invalid }
    }
}

//! The peers' scores (v1.1 "peer scoring"): who is worth what. Told facts, never finds them out.
//!
//! P6 (colocation of addresses) is not here: the reference has none.

pub(crate) mod breakdown;
mod counters;
mod minimum;
mod peer;
mod table;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use derive_where::derive_where;
use enum_map::{EnumMap, enum_map};
use foldhash::fast::RandomState;
use slab::Slab;

pub(crate) use self::counters::ScoreComponent;
use self::{
    counters::{ScoreComponents, TopicCounters},
    minimum::MinScore,
    peer::PeerScore,
    table::{CounterTable, PeerKey, TopicKey},
};
use super::{
    exchange::event::PeerDeliveries,
    inspect::view::{ScoreView, TopicScoreView},
};
use crate::{
    limits::{Limits, TopicScoreLimits},
    network::Network,
    timestamp::Timestamp,
};

/// Beyond this the application's word would drown all else, and sums would stop being numbers.
const MAX_APPLICATION_SCORE: f64 = 1e15;

/// The scores of connected peers, and of those that left with a score that is kept.
#[derive_where(Clone, Debug)]
pub(crate) struct Scores<N: Network> {
    limits: Arc<Limits<N::Topic>>,
    /// Looked up by name; where its order could matter, it is sorted.
    keys: HashMap<N::Peer, PeerKey, RandomState>,
    peers: Slab<PeerScore<N::Peer>>,
    sheet: CounterTable<N::Topic>,
    refresh: Option<Refresh<N::Topic>>,
    /// How many of them are not connected.
    departed: usize,
    lowest: RefCell<MinScore>,
    /// The peers whose score changed since it was last asked for, each once; kept only if somebody asks.
    changed: Option<Vec<N::Peer>>,
}

/// A refresh under way.
#[derive(Clone, Debug)]
struct Refresh<T> {
    now: Timestamp,
    /// The last topic that it is done with.
    done: Option<T>,
}

impl<N: Network> Scores<N> {
    pub(crate) fn new(limits: Arc<Limits<N::Topic>>) -> Self {
        Self {
            limits,
            keys: HashMap::default(),
            peers: Slab::new(),
            sheet: CounterTable::default(),
            refresh: None,
            departed: 0,
            lowest: RefCell::default(),
            changed: None,
        }
    }

    /// From now on, keeps for [`take_changed`](Self::take_changed) whose score changed.
    pub(crate) fn track_changes(&mut self) {
        self.changed = Some(Vec::new());
    }

    /// Each peer whose score changed, with the present one.
    pub(crate) fn take_changed(&mut self) -> Vec<(N::Peer, Option<f64>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let with_score = |peer: N::Peer| {
            let key = self.keys.get(&peer).copied();
            let score = key.map(|key| {
                self.peers[key as usize].is_changed = false;
                self.value(key)
            });
            (peer, score)
        };
        changed.into_iter().map(with_score).collect()
    }

    /// The score of a peer that is connected or remembered.
    pub(crate) fn get(&self, peer: &N::Peer) -> Option<f64> {
        self.keys.get(peer).map(|key| self.value(*key))
    }

    /// No score is below this.
    pub(crate) fn lowest(&self) -> f64 {
        let score = |key: PeerKey| self.peers.contains(key as usize).then(|| self.value(key));
        self.lowest.borrow_mut().get(score, self.peers.iter().map(|(key, _)| key as PeerKey))
    }

    /// The peer connected: a remembered score is taken up again.
    pub(crate) fn connect(&mut self, peer: &N::Peer) {
        let key = match self.keys.get(peer) {
            Some(key) => *key,
            None => {
                let key = self.peers.insert(PeerScore::new(peer.clone())) as PeerKey;
                self.keys.insert(peer.clone(), key);
                key
            }
        };
        let returned = self.peers[key as usize].expires.take().is_some();
        self.departed -= usize::from(returned);
        self.note_change(key);
    }

    /// The peer disconnected. Only a score that is not positive is kept, for `retain_duration`:
    /// so a bad peer can't wash itself by reconnecting, and a good one can't live on past deeds.
    pub(crate) fn disconnect(&mut self, peer: &N::Peer, now: Timestamp) {
        let Some(key) = self.keys.get(peer).copied() else { return };
        if self.value(key) > 0.0 {
            self.forget(peer);
            return;
        }
        let limits = Arc::clone(&self.limits);
        let score = &mut self.peers[key as usize];
        for row in &score.rows {
            let row = self.sheet.row_mut(*row);
            let parameters = limits.score.topics.parameters(&row.topic);
            if let Some(counters) = row.get_mut(key) {
                counters.retain(parameters);
            }
        }
        self.departed += usize::from(score.expires.is_none());
        score.expires = Some(now.after(limits.retain_duration));
        score.sum_anew();
        self.note_change(key);
        if self.departed > limits.bounds.max_retained_scores {
            self.forget_best_departed();
        }
    }

    /// Of the peers that left, forgets those that there is least to be said against: whoever comes under ever
    /// new names has done nothing under most of them, and must not make us forget what others did. An eighth
    /// at once, so that the search is seldom.
    fn forget_best_departed(&mut self) {
        let departed = self.peers.iter().filter(|(_, score)| score.expires.is_some());
        let mut departed: Vec<_> =
            departed.map(|(key, score)| (self.value(key as PeerKey), score.peer.clone())).collect();
        departed.sort_by(|(a, peer), (b, other)| b.total_cmp(a).then_with(|| peer.cmp(other)));
        departed.truncate(self.limits.bounds.max_retained_scores / 8 + 1);
        departed.iter().for_each(|(_, peer)| self.forget(peer));
    }

    fn forget(&mut self, peer: &N::Peer) {
        let Some(key) = self.keys.remove(peer) else { return };
        let score = self.peers.remove(key as usize);
        for row in score.rows {
            self.sheet.row_mut(row).remove(key);
            self.sheet.drop_if_empty(row);
        }
        self.departed -= usize::from(score.expires.is_some());
        self.lowest.get_mut().changed(key, self.keys.len());
        if let Some(changed) = self.changed.as_mut().filter(|_| !score.is_changed) {
            changed.push(peer.clone());
        }
    }

    pub(crate) fn graft(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) {
        self.on_row(topic, |scores, row| scores.update_row(row, peer, |counters, _| counters.graft(now)));
    }

    pub(crate) fn prune(&mut self, peer: &N::Peer, topic: &N::Topic) {
        self.on_row(topic, |scores, row| scores.update_row(row, peer, TopicCounters::prune));
    }

    /// A topic lost its mesh by a fault of ours: nobody is in it, nobody is to blame.
    pub(crate) fn clear_mesh(&mut self, topic: &N::Topic) {
        let Some(row) = self.sheet.find(topic) else { return };
        self.lowest.get_mut().all_changed();
        for (key, counters) in self.sheet.row_mut(row).iter_mut() {
            counters.leave_blameless();
            self.peers[key as usize].sum_anew();
        }
    }

    /// One by one, as they came: sums of doubles depend on it.
    pub(crate) fn delivered(&mut self, deliveries: &[PeerDeliveries<N>], topic: &N::Topic) {
        self.on_row(topic, |scores, row| {
            for PeerDeliveries { peer, first, duplicate_in_window } in deliveries {
                scores.update_row(row, peer, |counters, limits| {
                    (0..*first).for_each(|_| counters.first_delivery(limits));
                    (0..*duplicate_in_window).for_each(|_| counters.duplicate_in_window_delivery(limits));
                });
            }
        });
    }

    pub(crate) fn invalid_message(&mut self, peer: &N::Peer, topic: &N::Topic) {
        self.on_row(topic, |scores, row| {
            scores.update_row(row, peer, |counters, _| counters.invalid_message());
        });
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

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The weighted components of a peer's score, before any cap; `None` for a peer without a score.
    pub(crate) fn components(&self, peer: &N::Peer) -> Option<EnumMap<ScoreComponent, f64>> {
        let (key, limits) = (*self.keys.get(peer)?, &self.limits);
        let score = &self.peers[key as usize];
        let parts = score.parts.get().unwrap_or_else(|| self.sum_up_parts(key, score));
        score.parts.set(Some(parts));
        let [p1, p2, p3, p3b, p4] = parts.0;
        let p5 = score.application_score * limits.score.app_specific_weight;
        Some(enum_map! {
            ScoreComponent::P1 => p1,
            ScoreComponent::P2 => p2,
            ScoreComponent::P3 => p3,
            ScoreComponent::P3b => p3b,
            ScoreComponent::P4 => p4,
            ScoreComponent::P5 => p5,
            ScoreComponent::P7 => score.p7(limits),
        })
    }

    pub(crate) fn view(&self) -> BTreeMap<N::Peer, ScoreView<N>> {
        let view =
            |key: usize, score: &PeerScore<N::Peer>| self.view_rows(key as PeerKey, score, &score.rows);
        self.peers.iter().map(|(key, score)| (score.peer.clone(), view(key, score))).collect()
    }

    /// What leaving the mesh now would cost a peer (P3b), weighted; 0 if nothing.
    pub(crate) fn deficit(&self, peer: &N::Peer, topic: &N::Topic) -> f64 {
        let row = self.sheet.find(topic).map(|row| self.sheet.row(row));
        let counters = self.keys.get(peer).and_then(|key| row?.get(*key));
        let limits = &self.limits.score.topics;
        counters.map_or(0.0, |counters| limits.weight(topic) * counters.leaving(limits.parameters(topic)))
    }

    /// One peer's entry, with those of its topics that follow `after`, at most `limit` of them.
    pub(super) fn view_of(
        &self,
        peer: &N::Peer,
        after: Option<&N::Topic>,
        limit: usize,
    ) -> Option<ScoreView<N>> {
        let key = *self.keys.get(peer)?;
        let score = &self.peers[key as usize];
        let is_before = |row: &TopicKey| after.is_some_and(|after| self.sheet.row(*row).topic <= *after);
        let rows = &score.rows[score.rows.partition_point(is_before)..];
        Some(self.view_rows(key, score, &rows[..rows.len().min(limit)]))
    }

    fn view_rows(&self, key: PeerKey, score: &PeerScore<N::Peer>, rows: &[TopicKey]) -> ScoreView<N> {
        let of_row = |row: &TopicKey| {
            let row = self.sheet.row(*row);
            Some((row.topic.clone(), TopicScoreView::from(row.get(key)?)))
        };
        ScoreView {
            score: self.value(key),
            expires: score.expires,
            behaviour_penalty: score.behaviour_penalty,
            application_score: score.application_score,
            topics: rows.iter().filter_map(of_row).collect(),
        }
    }
}

// === The refresh: once a heartbeat, or every few, all counters decay ===

impl<N: Network> Scores<N> {
    /// From now on every counter decays, topic by topic, as [`refresh`](Self::refresh) goes on. What is told
    /// meanwhile counts.
    pub(crate) fn begin_refresh(&mut self, now: Timestamp) {
        // Who asks for changes asks for the parts too.
        let shown = self.changed.is_some();
        self.peers.iter_mut().for_each(|(_, score)| score.begin_refresh(shown));
        self.refresh = Some(Refresh { now, done: None });
    }

    /// Goes on with the refresh, over so many topics; tells whether it is done.
    pub(crate) fn refresh(&mut self, topics: usize) -> bool {
        let Some(Refresh { now, done }) = self.refresh.take() else { return true };
        let rows = self.sheet.after(done.as_ref(), topics);
        let last = rows.last().map(|row| self.sheet.row(*row).topic.clone());
        rows.iter().for_each(|row| self.refresh_row(*row, now));
        if rows.len() < topics {
            self.conclude_refresh(now);
        } else {
            self.refresh = Some(Refresh { now, done: last });
        }
        self.refresh.is_none()
    }

    fn refresh_row(&mut self, key: TopicKey, now: Timestamp) {
        let (limits, peers) = (&self.limits.score, &mut self.peers);
        let row = self.sheet.row_mut(key);
        let parameters = limits.topics.parameters(&row.topic);
        let weight = limits.topics.weight(&row.topic);
        let mut gone = Vec::new();
        row.retain(|peer, counters| {
            counters.refresh(parameters, limits.decay_zero, now);
            if counters.is_zero() {
                gone.push(peer);
                return false;
            }
            peers[peer as usize].refreshed(weight, counters.parts(parameters));
            true
        });
        for peer in gone {
            let rows = &mut self.peers[peer as usize].rows;
            if let Ok(place) = rows.binary_search_by(|row| self.sheet.compare(*row, key)) {
                rows.remove(place);
            }
        }
        self.sheet.drop_if_empty(key);
    }

    /// What is not of a topic decays; peers whose retention is over are forgotten.
    fn conclude_refresh(&mut self, now: Timestamp) {
        self.lowest.get_mut().all_changed();
        for (_, score) in &mut self.peers {
            score.conclude_refresh(&self.limits);
            score.note_change(&mut self.changed);
        }
        let is_over = |score: &PeerScore<N::Peer>| score.expires.is_some_and(|at| at <= now);
        let over = self.peers.iter().filter(|(_, score)| is_over(score));
        let over: Vec<_> = over.map(|(_, score)| score.peer.clone()).collect();
        over.iter().for_each(|peer| self.forget(peer));
        // Who was here once takes no room.
        if self.keys.capacity() > 4 * self.keys.len() {
            self.keys.shrink_to(2 * self.keys.len());
            self.peers.shrink_to_fit();
        }
    }
}

// === Sums ===

impl<N: Network> Scores<N> {
    /// Changes the score of a peer that has one; a fact about a status_of_disconnected changes nothing.
    fn update(&mut self, peer: &N::Peer, change: impl FnOnce(&mut PeerScore<N::Peer>)) {
        if let Some(key) = self.keys.get(peer).copied() {
            change(&mut self.peers[key as usize]);
            self.note_change(key);
        }
    }

    /// Does something to a topic's row, which is there as long as there is something in it.
    fn on_row(&mut self, topic: &N::Topic, change: impl FnOnce(&mut Self, TopicKey)) {
        let row = self.sheet.row_of(topic);
        change(self, row);
        self.sheet.drop_if_empty(row);
    }

    /// Changes the counters of a peer that has a score.
    fn update_row(
        &mut self,
        key: TopicKey,
        peer: &N::Peer,
        change: impl FnOnce(&mut TopicCounters, &TopicScoreLimits),
    ) {
        let Some(peer) = self.keys.get(peer).copied() else { return };
        let row = self.sheet.row_mut(key);
        let (limits, score) = (&self.limits.score.topics, &mut self.peers[peer as usize]);
        let (parameters, weight) = (limits.parameters(&row.topic), limits.weight(&row.topic));
        let is_fresh = self.refresh.as_ref().is_some_and(|refresh| refresh.is_done_with(&row.topic));
        let (counters, is_new) = row.get_or_insert(peer);
        let before = weight * counters.parts(parameters).sum();
        change(counters, parameters);
        score.topic_changed(before, weight * counters.parts(parameters).sum(), is_fresh);
        if is_new {
            let place = score.rows.partition_point(|row| self.sheet.compare(*row, key).is_lt());
            score.rows.insert(place, key);
        }
        self.note_change(peer);
    }

    fn note_change(&mut self, peer: PeerKey) {
        self.lowest.get_mut().changed(peer, self.keys.len());
        self.peers[peer as usize].note_change(&mut self.changed);
    }

    fn value(&self, peer: PeerKey) -> f64 {
        let limits = &self.limits.score;
        let score = &self.peers[peer as usize];
        let sum = score.topic_sum.get().unwrap_or_else(|| self.sum_up(peer, score));
        score.topic_sum.set(Some(sum));
        let capped = limits.topic_score_cap.map_or(sum, |cap| cap.min(sum));
        capped + score.application_score * limits.app_specific_weight + score.p7(&self.limits)
    }

    /// P1 to P4 over all topics, weighted, in ascending order of topics.
    fn sum_up(&self, peer: PeerKey, score: &PeerScore<N::Peer>) -> f64 {
        self.parts(peer, score).fold(0.0, |sum, (weight, parts)| sum + weight * parts.sum())
    }

    /// The same one by one.
    fn sum_up_parts(&self, peer: PeerKey, score: &PeerScore<N::Peer>) -> ScoreComponents {
        let mut sum = ScoreComponents::default();
        self.parts(peer, score).for_each(|(weight, parts)| sum += parts.weighted(weight));
        sum
    }

    /// The parts of each topic, with its weight, in ascending order of topics.
    fn parts(
        &self,
        peer: PeerKey,
        score: &PeerScore<N::Peer>,
    ) -> impl Iterator<Item = (f64, ScoreComponents)> {
        let limits = &self.limits.score.topics;
        score.rows.iter().filter_map(move |row| {
            let row = self.sheet.row(*row);
            Some((limits.weight(&row.topic), row.get(peer)?.parts(limits.parameters(&row.topic))))
        })
    }
}

impl<T: Ord> Refresh<T> {
    fn is_done_with(&self, topic: &T) -> bool {
        self.done.as_ref().is_some_and(|done| topic <= done)
    }
}

impl From<&TopicCounters> for TopicScoreView {
    fn from(counters: &TopicCounters) -> Self {
        let TopicCounters { mesh, first, active, delivered, failure, invalid } = counters.clone();
        Self { mesh, first, active, delivered, failure, invalid }
    }
}

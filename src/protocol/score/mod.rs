//! The scores of peers (v1.1 "peer scoring"), computed from reported events.

pub(crate) mod breakdown;
mod colocation;
mod counters;
mod minimum;
mod misbehaviour;
mod peer;
mod refresh;
mod replace;
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
    colocation::Colocation,
    counters::{ScoreComponents, TopicCounters},
    minimum::MinScore,
    peer::PeerScore,
    refresh::Refresh,
    replace::pattern_of,
    table::{CounterTable, PeerKey, TopicKey},
};
use super::{
    exchange::event::PeerDeliveries,
    inspect::view::{ScoreView, TopicScoreView},
};
use crate::{
    limits::{Limits, TopicScoreLimits},
    network::{Network, hooks::Hooks},
    timestamp::Timestamp,
};

/// The bound of application scores (P5). Larger values would make sums of scores infinite.
const MAX_APPLICATION_SCORE: f64 = 1e15;

/// The scores of connected peers, and of disconnected peers whose score is retained.
#[derive_where(Clone, Debug)]
pub(crate) struct Scores<N: Network> {
    #[derive_where(skip(Debug))]
    network: Hooks<N>,
    limits: Arc<Limits<N::Topic>>,
    /// Used only for lookups, so the hash map's order reaches no output.
    keys: HashMap<N::Peer, PeerKey, RandomState>,
    peers: Slab<PeerScore<N::Peer>>,
    table: CounterTable<N::Topic>,
    colocation: Colocation,
    refresh: Option<Refresh<N::Topic>>,
    /// The number of disconnected peers whose score is retained.
    disconnected: usize,
    min_score: RefCell<MinScore>,
    /// The peers whose score changed since [`take_changed`](Self::take_changed), each once; `None` if not tracked.
    changed: Option<Vec<N::Peer>>,
}

impl<N: Network> Scores<N> {
    pub(crate) fn new(network: Hooks<N>, limits: Arc<Limits<N::Topic>>) -> Self {
        Self {
            network,
            limits,
            keys: HashMap::default(),
            peers: Slab::new(),
            table: CounterTable::default(),
            colocation: Colocation::default(),
            refresh: None,
            disconnected: 0,
            min_score: RefCell::default(),
            changed: None,
        }
    }

    /// Starts to track changes for [`take_changed`](Self::take_changed).
    pub(crate) fn track_changes(&mut self) {
        self.changed = Some(Vec::new());
    }

    /// Takes the peers whose score changed, each with its current score.
    pub(crate) fn take_changed(&mut self) -> Vec<(N::Peer, Option<f64>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let with_score = |peer: N::Peer| {
            let key = self.keys.get(&peer).copied();
            let score = key.map(|key| {
                self.peers[key as usize].is_changed = false;
                self.score_of(key)
            });
            (peer, score)
        };
        changed.into_iter().map(with_score).collect()
    }

    /// The score of a connected or retained peer.
    pub(crate) fn get(&self, peer: &N::Peer) -> Option<f64> {
        self.keys.get(peer).map(|key| self.score_of(*key))
    }

    /// The minimum of all scores, at most 0.
    pub(crate) fn min_score(&self) -> f64 {
        let score = |key: PeerKey| self.peers.contains(key as usize).then(|| self.score_of(key));
        self.min_score.borrow_mut().get(score, self.peers.iter().map(|(key, _)| key as PeerKey))
    }

    /// Handles a connection. A retained score is used again.
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
        self.disconnected -= usize::from(returned);
        self.mark_changed(key);
    }

    /// Handles a disconnection. A score that is not positive, and the misbehaviour of a peer with a positive one, is retained for `retain_duration`, so that a peer cannot
    /// reset a bad score by reconnecting. Returns the number of topics in which the peer is penalised for a delivery
    /// deficit (P3b).
    pub(crate) fn disconnect(&mut self, peer: &N::Peer, now: Timestamp) -> u32 {
        let Some(key) = self.keys.get(peer).copied() else { return 0 };
        if self.score_of(key) > 0.0 && !self.reduce_to_misbehaviour(key) {
            self.forget(peer);
            return 0;
        }
        let mut deficits = 0;
        let limits = Arc::clone(&self.limits);
        let score = &mut self.peers[key as usize];
        for row in &score.rows {
            let row = self.table.row_mut(*row);
            let (parameters, weight) = limits.score.topics.of(&row.topic, row.pattern);
            if let Some(counters) = row.get_mut(key) {
                let has_deficit =
                    counters.mesh.is_some() && weight * counters.p3b_if_pruned(parameters) < 0.0;
                deficits += u32::from(has_deficit);
                counters.on_disconnect(parameters);
            }
        }
        self.disconnected += usize::from(score.expires.is_none());
        score.expires = Some(now.after(limits.retain_duration));
        score.invalidate_sums();
        self.mark_changed(key);
        if self.disconnected > limits.bounds.max_retained_scores {
            self.evict_best_disconnected();
        }
        deficits
    }

    /// Forgets the disconnected peers with the best scores, an eighth of the limit at once, so that the search is rare.
    /// An attacker that connects under many identities has done nothing under most of them, and must not evict bad
    /// scores.
    fn evict_best_disconnected(&mut self) {
        let disconnected = self.peers.iter().filter(|(_, score)| score.expires.is_some());
        let mut disconnected: Vec<_> =
            disconnected.map(|(key, score)| (self.score_of(key as PeerKey), score.peer.clone())).collect();
        disconnected.sort_by(|(a, peer), (b, other)| b.total_cmp(a).then_with(|| peer.cmp(other)));
        disconnected.truncate(self.limits.bounds.max_retained_scores / 8 + 1);
        disconnected.iter().for_each(|(_, peer)| self.forget(peer));
    }

    fn forget(&mut self, peer: &N::Peer) {
        let Some(key) = self.keys.remove(peer) else { return };
        let score = self.peers.remove(key as usize);
        self.colocation.remove(&score.addresses);
        for row in score.rows {
            self.table.row_mut(row).remove(key);
            self.table.drop_if_empty(row);
        }
        self.disconnected -= usize::from(score.expires.is_some());
        self.min_score.get_mut().changed(key, self.keys.len());
        if let Some(changed) = self.changed.as_mut().filter(|_| !score.is_changed) {
            changed.push(peer.clone());
        }
    }

    pub(crate) fn graft(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) {
        self.on_row(topic, |scores, row| scores.update_row(row, peer, |counters, _| counters.graft(now)));
    }

    /// Handles a prune. Returns whether the peer is penalised for a delivery deficit (P3b).
    pub(crate) fn prune(&mut self, peer: &N::Peer, topic: &N::Topic) -> bool {
        let has_deficit = self.deficit(peer, topic) < 0.0;
        self.on_row(topic, |scores, row| scores.update_row(row, peer, TopicCounters::prune));
        has_deficit
    }

    /// Clears the mesh of a topic that lost its state. No peer is penalised for it.
    pub(crate) fn clear_mesh(&mut self, topic: &N::Topic) {
        let Some(row) = self.table.find(topic) else { return };
        self.min_score.get_mut().all_changed();
        for (key, counters) in self.table.row_mut(row).iter_mut() {
            counters.clear_mesh();
            self.peers[key as usize].invalidate_sums();
        }
    }

    /// Counts deliveries. They are added one by one, because the rounding of sums depends on it.
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

    /// Adds `count` misbehaviours (P7).
    pub(crate) fn penalise(&mut self, peer: &N::Peer, count: f64) {
        self.update(peer, |score| score.behaviour_penalty += count);
    }

    /// Sets the application score (P5). Unknown peers and values that are not finite are ignored.
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
        let sums = score.components.get().unwrap_or_else(|| self.recompute_components(key, score));
        score.components.set(Some(sums));
        let ScoreComponents { p1, p2, p3, p3b, p4 } = sums;
        let p5 = score.application_score * limits.score.app_specific_weight;
        Some(enum_map! {
            ScoreComponent::P1 => p1,
            ScoreComponent::P2 => p2,
            ScoreComponent::P3 => p3,
            ScoreComponent::P3b => p3b,
            ScoreComponent::P4 => p4,
            ScoreComponent::P5 => p5,
            ScoreComponent::P6 => score.p6(limits),
            ScoreComponent::P7 => score.p7(limits),
        })
    }

    pub(crate) fn view(&self) -> BTreeMap<N::Peer, ScoreView<N>> {
        let view =
            |key: usize, score: &PeerScore<N::Peer>| self.view_rows(key as PeerKey, score, &score.rows);
        self.peers.iter().map(|(key, score)| (score.peer.clone(), view(key, score))).collect()
    }

    /// The weighted P3b that a prune would add now, at most 0.
    pub(crate) fn deficit(&self, peer: &N::Peer, topic: &N::Topic) -> f64 {
        let row = self.table.find(topic).map(|row| self.table.row(row));
        let counters = self.keys.get(peer).zip(row).and_then(|(key, row)| Some((row, row.get(*key)?)));
        counters.map_or(0.0, |(row, counters)| {
            let (parameters, weight) = self.limits.score.topics.of(topic, row.pattern);
            weight * counters.p3b_if_pruned(parameters)
        })
    }

    /// The score of one peer with the counters of its topics that follow `after`, at most `limit` topics.
    pub(super) fn view_of(
        &self,
        peer: &N::Peer,
        after: Option<&N::Topic>,
        limit: usize,
    ) -> Option<ScoreView<N>> {
        let key = *self.keys.get(peer)?;
        let score = &self.peers[key as usize];
        let is_before = |row: &TopicKey| after.is_some_and(|after| self.table.row(*row).topic <= *after);
        let rows = &score.rows[score.rows.partition_point(is_before)..];
        Some(self.view_rows(key, score, &rows[..rows.len().min(limit)]))
    }

    fn view_rows(&self, key: PeerKey, score: &PeerScore<N::Peer>, rows: &[TopicKey]) -> ScoreView<N> {
        let of_row = |row: &TopicKey| {
            let row = self.table.row(*row);
            Some((row.topic.clone(), TopicScoreView::from(row.get(key)?)))
        };
        ScoreView {
            score: self.score_of(key),
            expires: score.expires,
            behaviour_penalty: score.behaviour_penalty,
            application_score: score.application_score,
            ip_colocation: score.colocation,
            topics: rows.iter().filter_map(of_row).collect(),
        }
    }
}

// === Changes and sums ===

impl<N: Network> Scores<N> {
    /// Changes the score of a peer, if it has one.
    fn update(&mut self, peer: &N::Peer, change: impl FnOnce(&mut PeerScore<N::Peer>)) {
        if let Some(key) = self.keys.get(peer).copied() {
            change(&mut self.peers[key as usize]);
            self.mark_changed(key);
        }
    }

    /// Changes the row of a topic. The row exists only while it has counters.
    fn on_row(&mut self, topic: &N::Topic, change: impl FnOnce(&mut Self, TopicKey)) {
        let Self { network, limits, table, .. } = self;
        let row = table.row_or_insert(topic, || pattern_of(network, limits, topic));
        change(self, row);
        self.table.drop_if_empty(row);
    }

    /// Changes the counters of a peer that has a score.
    fn update_row(
        &mut self,
        key: TopicKey,
        peer: &N::Peer,
        change: impl FnOnce(&mut TopicCounters, &TopicScoreLimits),
    ) {
        let Some(peer) = self.keys.get(peer).copied() else { return };
        let row = self.table.row_mut(key);
        let (limits, score) = (&self.limits.score.topics, &mut self.peers[peer as usize]);
        let (parameters, weight) = limits.of(&row.topic, row.pattern);
        let already_refreshed = self.refresh.as_ref().is_some_and(|refresh| refresh.is_done_with(&row.topic));
        let (counters, is_new) = row.get_or_insert(peer);
        let before = weight * counters.components(parameters).sum();
        change(counters, parameters);
        score.topic_changed(before, weight * counters.components(parameters).sum(), already_refreshed);
        if is_new {
            let index = score.rows.partition_point(|row| self.table.compare(*row, key).is_lt());
            score.rows.insert(index, key);
        }
        self.mark_changed(peer);
    }

    fn mark_changed(&mut self, peer: PeerKey) {
        self.min_score.get_mut().changed(peer, self.keys.len());
        self.peers[peer as usize].mark_changed(&mut self.changed);
    }

    /// The score of a peer. A sum that is not known is recomputed.
    fn score_of(&self, peer: PeerKey) -> f64 {
        let limits = &self.limits.score;
        let score = &self.peers[peer as usize];
        let sum = score.topic_sum.get().unwrap_or_else(|| self.recompute(peer, score));
        score.topic_sum.set(Some(sum));
        let capped = limits.topic_score_cap.map_or(sum, |cap| cap.min(sum));
        capped
            + score.application_score * limits.app_specific_weight
            + score.p6(&self.limits)
            + score.p7(&self.limits)
    }

    /// The sum of P1 to P4 over all topics, weighted, in ascending order of topics.
    fn recompute(&self, peer: PeerKey, score: &PeerScore<N::Peer>) -> f64 {
        let components = self.topic_components(peer, score);
        components.fold(0.0, |sum, (weight, components)| sum + weight * components.sum())
    }

    /// The same sum for each component.
    fn recompute_components(&self, peer: PeerKey, score: &PeerScore<N::Peer>) -> ScoreComponents {
        let mut sum = ScoreComponents::default();
        self.topic_components(peer, score)
            .for_each(|(weight, components)| sum += components.weighted(weight));
        sum
    }

    /// The components of each topic with its weight, in ascending order of topics.
    fn topic_components(
        &self,
        peer: PeerKey,
        score: &PeerScore<N::Peer>,
    ) -> impl Iterator<Item = (f64, ScoreComponents)> {
        let limits = &self.limits.score.topics;
        score.rows.iter().filter_map(move |row| {
            let row = self.table.row(*row);
            let (parameters, weight) = limits.of(&row.topic, row.pattern);
            Some((weight, row.get(peer)?.components(parameters)))
        })
    }
}

//! The refresh of scores: at each heartbeat, or every few, all counters decay, in steps of some topics.

use super::{Scores, peer::PeerScore, table::TopicKey};
use crate::{network::Network, timestamp::Timestamp};

/// A refresh in progress.
#[derive(Clone, Debug)]
pub(super) struct Refresh<T> {
    pub(super) now: Timestamp,
    /// The last topic that has been refreshed.
    pub(super) done: Option<T>,
}

impl<N: Network> Scores<N> {
    /// Starts a refresh. [`refresh`](Self::refresh) then handles some topics at a time; changes in between count.
    pub(crate) fn begin_refresh(&mut self, now: Timestamp) {
        // The owner that tracks changes reads the components too.
        let with_components = self.changed.is_some();
        self.peers.iter_mut().for_each(|(_, score)| score.begin_refresh(with_components));
        self.refresh = Some(Refresh { now, done: None });
    }

    /// Refreshes the next `topics` topics, and returns true when the refresh is done.
    pub(crate) fn refresh(&mut self, topics: usize) -> bool {
        let Some(Refresh { now, done }) = self.refresh.take() else { return true };
        let rows = self.table.after(done.as_ref(), topics);
        let last = rows.last().map(|row| self.table.row(*row).topic.clone());
        rows.iter().for_each(|row| self.refresh_row(*row, now));
        if rows.len() < topics {
            self.finish_refresh(now);
        } else {
            self.refresh = Some(Refresh { now, done: last });
        }
        self.refresh.is_none()
    }

    fn refresh_row(&mut self, key: TopicKey, now: Timestamp) {
        let decays_retained = self.limits.extensions.retained_scores_decay;
        let (limits, peers) = (&self.limits.score, &mut self.peers);
        let row = self.table.row_mut(key);
        let (parameters, weight) = limits.topics.of(&row.topic, row.pattern);
        let mut removed = Vec::new();
        row.retain(|peer, counters| {
            if decays_retained || peers[peer as usize].expires.is_none() {
                counters.refresh(parameters, limits.decay_zero, now);
            }
            if counters.is_zero() {
                removed.push(peer);
                return false;
            }
            peers[peer as usize].refreshed(weight, counters.components(parameters));
            true
        });
        for peer in removed {
            let rows = &mut self.peers[peer as usize].rows;
            if let Ok(index) = rows.binary_search_by(|row| self.table.compare(*row, key)) {
                rows.remove(index);
            }
        }
        self.table.drop_if_empty(key);
    }

    /// Decays the counters that belong to no topic, and forgets disconnected peers whose retention has ended.
    fn finish_refresh(&mut self, now: Timestamp) {
        self.min_score.get_mut().all_changed();
        for (_, score) in &mut self.peers {
            score.finish_refresh(&self.limits);
            score.mark_changed(&mut self.changed);
        }
        let has_expired = |score: &PeerScore<N::Peer>| score.expires.is_some_and(|expires| expires <= now);
        let expired = self.peers.iter().filter(|(_, score)| has_expired(score));
        let expired: Vec<_> = expired.map(|(_, score)| score.peer.clone()).collect();
        expired.iter().for_each(|peer| self.forget(peer));
        self.update_colocation();
        // Gives back memory after many peers have left.
        if self.keys.capacity() > 4 * self.keys.len() {
            self.keys.shrink_to(2 * self.keys.len());
            self.peers.shrink_to_fit();
        }
        self.colocation.shrink();
    }

    /// Computes P6 of all peers anew. All scores are marked as changed by the caller.
    pub(super) fn update_colocation(&mut self) {
        for (_, score) in &mut self.peers {
            self.colocation.update(score, &self.limits.score);
        }
    }
}

impl<T: Ord> Refresh<T> {
    /// Whether the refresh has handled `topic`.
    pub(super) fn is_done_with(&self, topic: &T) -> bool {
        self.done.as_ref().is_some_and(|done| topic <= done)
    }
}

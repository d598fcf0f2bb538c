//! Tracks the minimum score incrementally, so that callers can skip per-peer lookups when no peer is below a threshold.

use super::table::PeerKey;

/// The minimum score, at most 0.
#[derive(Clone, Debug)]
pub(super) struct MinScore {
    value: f64,
    /// The peer with the minimum; `None` if it is 0.
    owner: Option<PeerKey>,
    /// Peers whose score changed since. The list may have duplicates and removed peers.
    changed: Vec<PeerKey>,
    /// All scores must be considered.
    unknown: bool,
}

impl Default for MinScore {
    fn default() -> Self {
        Self { value: 0.0, owner: None, changed: Vec::new(), unknown: false }
    }
}

impl MinScore {
    /// Marks a peer's score as changed or removed. `peer_count` is the number of scored peers.
    pub(super) fn changed(&mut self, peer: PeerKey, peer_count: usize) {
        if self.unknown || self.changed.last() == Some(&peer) {
            return;
        }
        if self.changed.len() >= peer_count || self.owner == Some(peer) {
            return self.all_changed();
        }
        self.changed.push(peer);
    }

    /// Marks all scores as changed.
    pub(super) fn all_changed(&mut self) {
        self.changed.clear();
        self.unknown = true;
    }

    /// The minimum. `score` returns the score of a peer, `None` if it was removed; `all` yields all scored peers.
    pub(super) fn get(
        &mut self,
        score: impl Fn(PeerKey) -> Option<f64>,
        all: impl Iterator<Item = PeerKey>,
    ) -> f64 {
        if self.unknown {
            (self.value, self.owner, self.unknown) = (0.0, None, false);
            all.for_each(|peer| self.consider(peer, &score));
        } else {
            for index in 0..self.changed.len() {
                self.consider(self.changed[index], &score);
            }
            self.changed.clear();
        }
        self.value
    }

    fn consider(&mut self, peer: PeerKey, score: impl Fn(PeerKey) -> Option<f64>) {
        if let Some(score) = score(peer).filter(|score| *score < self.value) {
            (self.value, self.owner) = (score, Some(peer));
        }
    }
}

//! The lowest of all scores, kept up to date without looking at all of them: most ask only whether anybody stands
//! badly at all. Knows keys and numbers; what a score is, is told to it.

use super::table::PeerKey;

/// The lowest score, as far as it is known; at most 0.
#[derive(Clone, Debug)]
pub(super) struct MinScore {
    value: f64,
    /// Whose it is; nobody's if it is 0.
    holder: Option<PeerKey>,
    /// Whose score changed since. Some may stand here twice, and may be gone.
    changed: Vec<PeerKey>,
    /// So many changed that all are to be looked at.
    unknown: bool,
}

impl Default for MinScore {
    fn default() -> Self {
        Self { value: 0.0, holder: None, changed: Vec::new(), unknown: false }
    }
}

impl MinScore {
    /// This one's score is another than before, or it is gone; `of` so many.
    pub(super) fn changed(&mut self, peer: PeerKey, of: usize) {
        if self.unknown || self.changed.last() == Some(&peer) {
            return;
        }
        if self.changed.len() >= of || self.holder == Some(peer) {
            return self.all_changed();
        }
        self.changed.push(peer);
    }

    /// Every score may be another than before.
    pub(super) fn all_changed(&mut self) {
        self.changed.clear();
        self.unknown = true;
    }

    /// The lowest, where `score` answers those that are left, and `all` are all of them.
    pub(super) fn get(
        &mut self,
        score: impl Fn(PeerKey) -> Option<f64>,
        all: impl Iterator<Item = PeerKey>,
    ) -> f64 {
        if self.unknown {
            (self.value, self.holder, self.unknown) = (0.0, None, false);
            all.for_each(|peer| self.look_at(peer, &score));
        } else {
            for place in 0..self.changed.len() {
                self.look_at(self.changed[place], &score);
            }
            self.changed.clear();
        }
        self.value
    }

    fn look_at(&mut self, peer: PeerKey, score: impl Fn(PeerKey) -> Option<f64>) {
        if let Some(score) = score(peer).filter(|score| *score < self.value) {
            (self.value, self.holder) = (score, Some(peer));
        }
    }
}

//! The part of a good score that is kept when its peer disconnects.

use super::{PeerKey, Scores};
use crate::network::Network;

impl<N: Network> Scores<N> {
    /// Reduces the score of a peer that disconnects to its misbehaviour (P7), if it has some that is to be retained. Returns
    /// false if there is none.
    pub(super) fn reduce_to_misbehaviour(&mut self, key: PeerKey) -> bool {
        let score = &mut self.peers[key as usize];
        if !self.limits.extensions.retain_misbehaviour || score.behaviour_penalty <= 0.0 {
            return false;
        }
        score.application_score = 0.0;
        score.invalidate_sums();
        for row in std::mem::take(&mut score.rows) {
            self.table.row_mut(row).remove(key);
            self.table.drop_if_empty(row);
        }
        true
    }
}

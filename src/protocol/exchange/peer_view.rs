//! TODO header.

use crate::{limits::Limits, network::Network, protocol::connection::ConnectionId};

/// What a topic may know of the peers beyond their connection_ids.
pub(crate) trait PeerView<N: Network> {
    /// How a peer stands: its connection, if it has one, and its score, if it has one.
    fn status(&self, peer: &N::Peer) -> PeerStatus;

    /// Whether surely nobody's score is below this; `false` says nothing.
    fn min_score_at_least(&self, score: f64) -> bool;

    /// Whether anybody's IDONTWANT is remembered; cheap.
    fn has_unwanted(&self) -> bool {
        false
    }

    /// Whether a peer said that it does not want this message.
    fn is_unwanted(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        let _ = (peer, id);
        false
    }

    /// Those of these connections that are up, each with its peer, in their order.
    fn named(&self, connection_ids: &mut dyn Iterator<Item = ConnectionId>) -> Vec<(N::Peer, ConnectionId)>;

    /// A peer's score; zero for one without.
    fn score(&self, peer: &N::Peer) -> f64 {
        self.status(peer).score.unwrap_or_default()
    }
}

/// How a peer stands at the moment of an input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerStatus {
    /// Its connection, if it has one.
    pub(crate) connection_id: Option<ConnectionId>,
    /// Its score, if it has one; a peer that left may.
    pub(crate) score: Option<f64>,
}

/// A peer whose gossip we neither take nor answer.
pub(crate) struct LowScore {
    pub(crate) score: f64,
    pub(crate) threshold: f64,
}

/// v1.1 "gossip threshold". A peer without a score passes.
pub(crate) fn check_score<T>(status: PeerStatus, limits: &Limits<T>) -> Result<(), LowScore> {
    let threshold = limits.gossip_threshold;
    match status.score {
        Some(score) if score < threshold => Err(LowScore { score, threshold }),
        _ => Ok(()),
    }
}

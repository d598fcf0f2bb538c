//! The view of peers that a topic is given: connection, score and IDONTWANT of a peer.

use crate::{limits::Limits, network::Network, protocol::connection::ConnectionId};

/// The queries that a topic makes about peers.
pub(crate) trait PeerView<N: Network> {
    /// The connection and the score of a peer.
    fn status(&self, peer: &N::Peer) -> PeerStatus;

    /// Returns true only if no peer has a score below `score`. False means that this is not known.
    fn min_score_at_least(&self, score: f64) -> bool;

    /// Whether an IDONTWANT of any peer is stored. Cheap enough to ask for each message.
    fn has_idontwant(&self) -> bool {
        false
    }

    /// Whether an IDONTWANT of `peer` for the message is stored.
    fn received_idontwant(&self, peer: &N::Peer, id: &N::MessageId) -> bool {
        let _ = (peer, id);
        false
    }

    /// Resolves connection ids to peers, in the same order. Closed connections are left out.
    fn resolve(&self, connection_ids: &mut dyn Iterator<Item = ConnectionId>)
    -> Vec<(N::Peer, ConnectionId)>;

    /// The score of a peer, zero if it has none.
    fn score(&self, peer: &N::Peer) -> f64 {
        self.status(peer).score.unwrap_or_default()
    }
}

/// The status of a peer at the time of an input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerStatus {
    /// The connection, if the peer is connected.
    pub(crate) connection_id: Option<ConnectionId>,
    /// The peer is connected and a direct peer: every message is forwarded to it, and it is never in a mesh.
    pub(crate) direct: bool,
    /// The score, if the peer has one. A disconnected peer may have one too.
    pub(crate) score: Option<f64>,
}

impl PeerStatus {
    /// Whether the peer speaks floodsub.
    pub(crate) fn is_floodsub(self) -> bool {
        self.connection_id.is_some_and(ConnectionId::is_floodsub)
    }
}

/// The score of a peer is too low for gossip.
pub(crate) struct LowScore {
    pub(crate) score: f64,
    pub(crate) threshold: f64,
}

/// Whether nothing of a peer is handled (v1.1 GraylistThreshold). A peer without a score passes, and so does a connected
/// direct peer. It is decided for each input of the peer, by the score that the peer has then; the actors decide it
/// whenever a score changes.
pub(crate) fn is_graylisted<T>(status: PeerStatus, limits: &Limits<T>) -> bool {
    match (status.score, limits.extensions.graylist_threshold) {
        (Some(score), Some(threshold)) => score < threshold && !status.direct,
        _ => false,
    }
}

/// Checks the gossip threshold (v1.1). A peer without a score passes.
///
/// # Errors
/// The score and the threshold if the score is below it.
pub(crate) fn check_score<T>(status: PeerStatus, limits: &Limits<T>) -> Result<(), LowScore> {
    let threshold = limits.gossip_threshold;
    match status.score {
        Some(score) if score < threshold => Err(LowScore { score, threshold }),
        _ => Ok(()),
    }
}

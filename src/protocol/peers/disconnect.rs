//! Disconnects peers whose score is below `disconnect_threshold`, at each heartbeat.

use super::{Connection, Peers};
use crate::{
    limits::Extensions,
    network::{Network, P2pOutput},
    protocol::event::Event,
};

impl<N: Network> Peers<N> {
    /// Asks the p2p layer to disconnect the peers with a low score. A peer that is still connected at the next heartbeat is
    /// asked for again.
    pub(super) fn disconnect_low_scores(&mut self) {
        let Extensions { disconnect_threshold, ban_duration, .. } = self.limits.extensions;
        let Some(threshold) = disconnect_threshold else { return };
        if self.min_score_at_least(threshold) {
            return;
        }
        let low_score = |(peer, connection): (&N::Peer, &Connection<N>)| {
            let score = self.scores.get(peer).filter(|score| *score < threshold)?;
            (!connection.direct).then(|| (peer.clone(), score))
        };
        let low: Vec<_> = self.connections.iter().filter_map(low_score).collect();
        for (peer, score) in low {
            let output = match ban_duration.is_zero() {
                true => P2pOutput::Disconnect { peer: peer.clone() },
                false => P2pOutput::Kick { peer: peer.clone(), duration: ban_duration },
            };
            self.outbox.p2p.push(output.into());
            self.outbox.events.push(Event::LowScore { peer, score, ban_duration });
        }
    }
}

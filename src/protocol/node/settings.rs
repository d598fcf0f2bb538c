//! Changes by the application while a node runs: limits, direct peers, and peers that the p2p layer refuses.

use std::{sync::Arc, time::Duration};

use super::Node;
use crate::{
    limits::{InvalidLimits, Limits, RuntimeLimits},
    network::Network,
    protocol::backoff::RemainingBackoff,
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// The limits in force.
    pub fn limits(&self) -> &Limits<N::Topic> {
        &self.limits
    }

    /// Replaces the limits that can change, all at once. The counters of the score stay as they are, and every score follows
    /// from them anew. Meshes adapt to new degrees at the next heartbeat.
    ///
    /// # Errors
    /// All violations of the new values. Nothing has changed then.
    pub fn set_limits(&mut self, new: RuntimeLimits<N::Topic>, now: Timestamp) -> Result<(), InvalidLimits> {
        let limits = Arc::new(self.limits.with_runtime(new)?);
        self.flush_delivery_counts(now);
        self.limits = Arc::clone(&limits);
        self.peers.set_limits(limits);
        self.settle(now);
        Ok(())
    }

    /// Decides whether a peer is a direct peer, for its connection and for later ones. A direct peer that is not connected is
    /// dialled, now and whenever it is lost.
    pub fn set_direct(&mut self, peer: &N::Peer, direct: bool, now: Timestamp) {
        self.flush_delivery_counts(now);
        self.peers.set_direct(peer, direct);
        self.settle(now);
    }

    /// Takes over the backoffs that a former process of this node left: it grafts these peers again at the first heartbeat that
    /// begins a heartbeat interval after the end of their backoff. Call it before the topics are joined. The bounds of all
    /// backoffs apply, and each lasts at most as long as one of this node may.
    pub fn restore_backoffs(&mut self, backoffs: &[RemainingBackoff<N>], now: Timestamp) {
        self.peers.restore_backoffs(backoffs, now);
    }

    /// Asks the p2p layer to disconnect a peer, and to refuse its connections for `duration`.
    pub fn block(&mut self, peer: N::Peer, duration: Duration) {
        self.peers.block(peer, duration);
        self.settle(Timestamp::ZERO);
    }

    /// Asks the p2p layer to admit a peer again.
    pub fn unblock(&mut self, peer: N::Peer) {
        self.peers.unblock(peer);
        self.settle(Timestamp::ZERO);
    }
}

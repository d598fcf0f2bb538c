//! The peers that a node knows with their addresses, for an application that stores them.

use ::libp2p::{Multiaddr, PeerId};

use super::Libp2pNetwork;

impl Libp2pNetwork {
    /// The peers whose addresses are known, the latest first and at most `max`: those that we dialled, and those that reported
    /// addresses of themselves by identify. The address that we dialled comes first; the others passed
    /// [`BehaviourConfig::addresses`](crate::libp2p::BehaviourConfig::addresses). What other peers recommend is left out unless
    /// we dialled it. At most 8,192 peers are known, beside direct, trusted and bootstrap peers.
    ///
    /// A node that starts again dials them by [`NodeHandle::dial_peer`](crate::libp2p::NodeHandle::dial_peer).
    pub fn known_peers(&self, max: usize) -> Vec<(PeerId, Vec<Multiaddr>)> {
        self.state.addresses().known_peers(max)
    }
}

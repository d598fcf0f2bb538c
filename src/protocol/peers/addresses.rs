//! The addresses of connected peers, for P6.

use std::net::IpAddr;

use super::Peers;
use crate::network::Network;

impl<N: Network> Peers<N> {
    /// The connections of a peer are from these addresses, in place of those before. A peer that is not connected keeps the
    /// addresses that it had: its score may be retained.
    pub(crate) fn set_addresses(&mut self, peer: &N::Peer, addresses: &[IpAddr]) {
        if self.connections.contains_key(peer) {
            self.scores.set_addresses(peer, addresses);
        }
    }
}

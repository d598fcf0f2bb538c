//! Changes of the connections of a connected peer: its addresses, for P6, and a further connection.

use std::net::IpAddr;

use super::{Peers, settings::in_both};
use crate::{network::Network, protocol::exchange::command::TopicCommand};

impl<N: Network> Peers<N> {
    /// The connections of a peer are from these addresses, in place of those before. A peer that is not connected keeps the
    /// addresses that it had: its score may be retained.
    pub(crate) fn set_addresses(&mut self, peer: &N::Peer, addresses: &[IpAddr]) {
        if self.connections.contains_key(peer) {
            self.scores.set_addresses(peer, addresses);
        }
    }

    /// A peer is sent everything over another connection from now on: the topics in whose mesh it is send it a GRAFT again,
    /// when it subscribes again or at the next heartbeat.
    pub(crate) fn graft_again(&mut self, peer: &N::Peer) {
        let Some(connection) = self.connections.get(peer) else { return };
        let command = |topic| (topic, TopicCommand::GraftAgain(peer.clone(), connection.connection_id));
        let both = in_both(&connection.topics, &self.joined).cloned();
        self.outbox.commands.extend(both.map(command));
    }
}

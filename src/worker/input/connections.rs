//! Changes of the connections of a peer that is connected.

use super::send_to_supervisor;
use crate::{
    actors::{
        router::messages::RouterItem,
        shared::Shared,
        supervisor::messages::{FurtherConnection, SetAddresses, SupervisorItem},
    },
    network::{Network, P2pInput},
    protocol::output::pending::PendingOutput,
};

/// Handles other addresses or a further connection of a peer.
pub(super) fn change_connections<N: Network>(shared: &Shared<N>, input: P2pInput<N>) {
    match input {
        P2pInput::RemoteAddresses { peer, addresses } => {
            send_to_supervisor(shared, SupervisorItem::message(SetAddresses { peer, addresses }));
        }
        P2pInput::FurtherConnection { peer } => further_connection(shared, peer),
        P2pInput::InMessage { .. } | P2pInput::NewConnection { .. } | P2pInput::Disconnection { .. } => {}
    }
}

fn further_connection<N: Network>(shared: &Shared<N>, peer: N::Peer) {
    shared.directory.connect_again(&peer, |connection_id| {
        // Before the GRAFTs that follow. A closed router drops it: the engine has ended.
        let announcement = RouterItem::p2p(PendingOutput::Connected(connection_id), &shared.network);
        let _ = shared.router.push(announcement);
        send_to_supervisor(shared, SupervisorItem::message(FurtherConnection { peer: peer.clone() }));
    });
}

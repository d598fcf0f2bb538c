//! The supervisor's part in changes of a connected peer's connections.

use actix::{Context, Handler};

use super::{
    actor::SupervisorActor,
    messages::{FurtherConnection, SetAddresses},
};
use crate::network::Network;

impl<N: Network> Handler<SetAddresses<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetAddresses { peer, addresses }: SetAddresses<N>, _: &mut Context<Self>) {
        self.peers.set_addresses(&peer, &addresses);
    }
}

impl<N: Network> Handler<FurtherConnection<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, FurtherConnection { peer }: FurtherConnection<N>, _: &mut Context<Self>) {
        self.peers.graft_again(&peer);
    }
}

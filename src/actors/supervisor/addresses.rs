//! The supervisor's part in a change of a peer's addresses.

use actix::{Context, Handler};

use super::{actor::SupervisorActor, messages::SetAddresses};
use crate::network::Network;

impl<N: Network> Handler<SetAddresses<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetAddresses { peer, addresses }: SetAddresses<N>, _: &mut Context<Self>) {
        self.peers.set_addresses(&peer, &addresses);
    }
}

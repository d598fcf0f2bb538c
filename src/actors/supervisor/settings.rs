//! The supervisor's part in what the application changes while the engine runs: limits, direct peers, and peers that the
//! transport refuses.

use actix::{Context, Handler};

use super::{
    actor::SupervisorActor,
    messages::{SetBlocked, SetDirect, SetLimits},
};
use crate::{actors::diagnostics::log, network::Network};

impl<N: Network> Handler<SetLimits<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetLimits(limits): SetLimits<N>, _: &mut Context<Self>) {
        self.shared.metrics.gauges.set_degrees(&limits);
        self.peers.set_limits(limits);
        log::limits_changed();
    }
}

impl<N: Network> Handler<SetDirect<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetDirect { peer, direct }: SetDirect<N>, _: &mut Context<Self>) {
        log::direct_decided(&peer, direct);
        self.peers.set_direct(&peer, direct);
    }
}

impl<N: Network> Handler<SetBlocked<N>> for SupervisorActor<N> {
    type Result = ();

    fn handle(&mut self, SetBlocked { peer, duration }: SetBlocked<N>, _: &mut Context<Self>) {
        match duration {
            Some(duration) => self.peers.block(peer, duration),
            None => self.peers.unblock(peer),
        }
    }
}

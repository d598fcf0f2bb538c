//! The heartbeat actor: ticks the supervisor, who ticks the topics. A tick that comes while the last
//! one is not done is skipped and reported; ticks never pile up.

use std::sync::{Arc, atomic::Ordering};

use actix::{Actor, AsyncContext, Context};

use crate::{
    actors::{shared::Shared, supervisor::messages::SupervisorItem},
    network::Network,
};

pub(crate) struct HeartbeatActor<N: Network> {
    shared: Arc<Shared<N>>,
    tick: u64,
}

impl<N: Network> HeartbeatActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, tick: 0 }
    }

    /// Armed anew each time: an interval would fire in a burst after a stall.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(self.shared.limits.heartbeat_interval, |actor, ctx| {
            actor.beat();
            actor.arm(ctx);
        });
    }

    fn beat(&mut self) {
        if self.shared.in_heartbeat.swap(true, Ordering::AcqRel) {
            return self.shared.skip_heartbeat(self.tick);
        }
        self.tick += 1;
        for item in [SupervisorItem::Tick, SupervisorItem::CheckParked] {
            // A closed supervisor: the engine has ended.
            let _ = self.shared.supervisor.push(item);
        }
    }
}

impl<N: Network> Actor for HeartbeatActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(ctx);
    }
}

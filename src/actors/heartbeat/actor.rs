//! The timer of the heartbeat.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use super::messages::HeartbeatDue;
use crate::{
    actors::{shared::Shared, supervisor::messages::SupervisorItem},
    network::Network,
};

pub(crate) struct HeartbeatActor<N: Network> {
    shared: Arc<Shared<N>>,
    /// The number of the last tick.
    tick: u64,
}

impl<N: Network> HeartbeatActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, tick: 0 }
    }

    /// Arms the timer for one heartbeat, which comes an interval and `delay` later. An interval of the runtime would fire in
    /// a burst after a stall.
    fn arm(&self, delay: Duration, ctx: &mut Context<Self>) {
        let interval = self.shared.limits.load().heartbeat_interval;
        ctx.notify_later(HeartbeatDue, interval.saturating_add(delay));
    }
}

impl<N: Network> Actor for HeartbeatActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(self.shared.limits.load().extensions.heartbeat_initial_delay, ctx);
        let shared = Arc::clone(&self.shared);
        let ended = async move { shared.wait_for_end().await }.into_actor(self);
        ctx.spawn(ended.map(|_, _, ctx| ctx.stop()));
    }
}

impl<N: Network> Handler<HeartbeatDue> for HeartbeatActor<N> {
    type Result = ();

    fn handle(&mut self, _: HeartbeatDue, ctx: &mut Self::Context) {
        if self.shared.heartbeat_in_progress.swap(true, Ordering::AcqRel) {
            self.shared.skip_heartbeat(self.tick);
        } else {
            self.tick += 1;
            for item in [SupervisorItem::Tick, SupervisorItem::CheckParked] {
                // The supervisor is closed if the engine has ended.
                let _ = self.shared.supervisor.push(item);
            }
        }
        self.arm(Duration::ZERO, ctx);
    }
}

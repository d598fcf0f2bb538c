//! The actor of one topic: its life. It takes the topic's seat at the desk of its arbiter when it begins, and lives
//! until the topic gives the seat up: retired, stopped, or lost to a panic, after which the supervisor spawns another.
//! What is for the topic comes to the seat, on the actor's own thread: see [`desk`](crate::actors::arbiter::mailbox).

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context};

use super::topic::Topic;
use crate::{
    actors::{arbiter::mailbox::TopicAddr, inbox::BusyGuard, shared::Shared},
    network::Network,
};

/// The actor of one topic.
pub(crate) struct MeshActor<N: Network> {
    shared: Arc<Shared<N>>,
    address: TopicAddr<N>,
    /// Until it begins: the topic, and a share of the load. Boxed: it takes no room afterwards.
    beginning: Option<Box<(Topic<N>, BusyGuard)>>,
    /// A restarted topic is joined again before anything else.
    rejoin: bool,
}

impl<N: Network> MeshActor<N> {
    pub(in crate::actors) fn new(
        topic: Topic<N>,
        address: TopicAddr<N>,
        shared: Arc<Shared<N>>,
        rejoin: bool,
        ticket: BusyGuard,
    ) -> Self {
        Self { shared, address, beginning: Some(Box::new((topic, ticket))), rejoin }
    }
}

impl<N: Network> Actor for MeshActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(beginning) = self.beginning.take() else { return };
        let (topic, ticket) = *beginning;
        let rejoin = self.rejoin.then(|| self.shared.now());
        let (desk, seat) = (self.address.desk(), self.address.seat());
        if desk.seats().take_place(seat, topic, ctx.address(), rejoin, ticket) {
            desk.inbox.wake();
        } else {
            // The engine stops.
            ctx.stop();
        }
    }
}

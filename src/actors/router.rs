//! The router actor: merges what all actors emit into the p2p output stream and the application's.
//! Orders nothing anew: what one sender emitted stays in its order.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use actix::{Actor, ActorContext, AsyncContext, Context};

use super::{
    attendance::{Attendance, Attends},
    messages::RouterItem,
    shared::Shared,
};
use crate::network::Network;

pub(crate) struct RouterActor<N: Network> {
    shared: Arc<Shared<N>>,
    backlog: VecDeque<RouterItem<N>>,
}

impl<N: Network> RouterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, backlog: VecDeque::new() }
    }
}

impl<N: Network> Actor for RouterActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Attendance);
    }
}

impl<N: Network> Attends for RouterActor<N> {
    /// Without a budget: an item costs a move, and there are no more of them than inputs.
    fn attend(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        self.shared.router.take(&mut self.backlog, waker);
        for item in self.backlog.drain(..) {
            match item {
                RouterItem::Outputs { p2p, app } => {
                    self.shared.p2p.extend(p2p, |dropped| self.shared.dropped(dropped));
                    self.shared.app.extend(app);
                }
                RouterItem::Stop => ctx.stop(),
            }
        }
        drop(self.shared.router.rest());
        false
    }
}

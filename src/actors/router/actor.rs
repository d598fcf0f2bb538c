//! The router actor: merges what all actors emit into the p2p output stream and the application's.
//! Orders nothing anew: what one sender emitted stays in its order.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use actix::{Actor, ActorContext, AsyncContext, Context};

use super::messages::RouterItem;
use crate::{
    actors::{
        inbox::poll::{InboxActor, PollInbox},
        shared::Shared,
    },
    network::{AppOutput, Network},
};

/// So many items are put into the streams at once: their readers wait no longer.
const AT_ONCE: usize = 512;

pub(crate) struct RouterActor<N: Network> {
    shared: Arc<Shared<N>>,
    backlog: VecDeque<RouterItem<N>>,
    /// Of what is being handled, what is for the application.
    app: Vec<AppOutput<N>>,
}

impl<N: Network> RouterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, backlog: VecDeque::new(), app: Vec::new() }
    }

    /// Puts the next items into the streams.
    fn hand_out(&mut self, ctx: &mut Context<Self>) {
        let Self { shared, backlog, app } = self;
        let items = backlog.drain(..backlog.len().min(AT_ONCE));
        let p2p = items.filter_map(|item| match item {
            RouterItem::P2p(output) => Some(output),
            RouterItem::App(message) => {
                app.push(message);
                None
            }
            RouterItem::Stop => {
                ctx.stop();
                None
            }
        });
        shared.p2p.extend(p2p, |dropped| shared.dropped(dropped));
        shared.app.extend(app);
    }
}

impl<N: Network> Actor for RouterActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

impl<N: Network> InboxActor for RouterActor<N> {
    /// Without a budget: an item costs a move, and there are no more of them than inputs.
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        self.shared.router.take(&mut self.backlog, waker);
        while !self.backlog.is_empty() {
            self.hand_out(ctx);
        }
        drop(self.shared.router.rest(&mut self.backlog));
        false
    }
}

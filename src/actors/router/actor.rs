//! Merges the outputs of all actors into the two streams.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use actix::{Actor, AsyncContext, Context};

use super::messages::RouterItem;
use crate::{
    actors::{
        inbox::{InboxActor, PollInbox},
        shared::Shared,
    },
    network::Network,
    protocol::output::pending::PendingDelivery,
};

/// The number of items that are put into the streams at once. More would make the readers wait for the lock.
const CHUNK: usize = 512;

pub(crate) struct RouterActor<N: Network> {
    shared: Arc<Shared<N>>,
    backlog: VecDeque<RouterItem<N>>,
    /// The messages for the application in the current chunk.
    app: Vec<PendingDelivery<N>>,
}

impl<N: Network> RouterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, backlog: VecDeque::new(), app: Vec::new() }
    }

    /// Puts the next items into the streams.
    fn forward_chunk(&mut self) {
        let Self { shared, backlog, app } = self;
        let items = backlog.drain(..backlog.len().min(CHUNK));
        let p2p = items.filter_map(|item| match item {
            RouterItem::P2p(output) => Some(output),
            RouterItem::App(message) => {
                app.push(message);
                None
            }
        });
        let open_connections = || shared.directory.peers_by_connection();
        shared.p2p.extend(p2p, open_connections, |dropped, reason| shared.report_dropped(dropped, reason));
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
    /// Handles everything without a budget: an item costs a move, and the number of items follows from that of the inputs.
    fn poll_inbox(&mut self, _: &mut Context<Self>, waker: &Waker) -> bool {
        self.shared.router.drain(&mut self.backlog, waker);
        while !self.backlog.is_empty() {
            self.forward_chunk();
        }
        drop(self.shared.router.try_idle(&mut self.backlog));
        false
    }

    fn is_inbox_closed(&self) -> bool {
        self.shared.router.is_closed()
    }
}

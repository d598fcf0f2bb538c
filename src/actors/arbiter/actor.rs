//! The host of one arbiter: takes what comes to its desk, and lets its topics work on it. Handles nothing itself.

use std::{sync::Arc, task::Waker};

use actix::{Actor, ActorContext, AsyncContext, Context};

use super::mailbox::ArbiterMailbox;
use crate::{
    actors::{
        inbox::poll::{InboxActor, PollInbox},
        shared::Shared,
    },
    network::Network,
};

/// After this many items the host lets others of its arbiter run: actix never interrupts one whose mailbox fills.
const BUDGET: usize = 256;

/// The actor that the topics of one arbiter share.
pub(crate) struct ArbiterActor<N: Network> {
    shared: Arc<Shared<N>>,
    desk: Arc<ArbiterMailbox<N>>,
    /// The last letter came.
    ends: bool,
}

impl<N: Network> ArbiterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>, desk: Arc<ArbiterMailbox<N>>) -> Self {
        Self { shared, desk, ends: false }
    }
}

impl<N: Network> Actor for ArbiterActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

impl<N: Network> InboxActor for ArbiterActor<N> {
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        let mut seats = self.desk.seats();
        if seats.wants_letters() {
            let since = self.desk.inbox.take(seats.refill(), waker);
            self.ends |= !seats.sort(since);
        }
        if seats.has_work() {
            seats.work(BUDGET, &self.desk, &self.shared);
            seats.send(&self.shared);
            // Others run; then it looks once more before it rests: to be woken costs more than that, on both sides.
            return true;
        }
        drop(self.desk.inbox.rest(seats.refill()));
        if self.ends {
            self.desk.inbox.close();
            ctx.stop();
        }
        false
    }
}

/// The engine and its topics hold each other: not beyond the host's end.
impl<N: Network> Drop for ArbiterActor<N> {
    fn drop(&mut self) {
        self.desk.seats().clear();
    }
}

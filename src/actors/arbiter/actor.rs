//! The actor that runs the topics of one arbiter on what arrives in the arbiter's mailbox.

use std::{sync::Arc, task::Waker};

use actix::{Actor, AsyncContext, Context};

use super::{mailbox::ArbiterMailbox, topics::TopicSlab};
use crate::{
    actors::{
        inbox::{InboxActor, PollInbox},
        shared::Shared,
    },
    network::Network,
};

/// The number of items after which the actor yields to the other tasks of its arbiter. Actix does not interrupt an
/// actor whose mailbox keeps filling.
const BUDGET: usize = 256;

/// The actor that all topics of one arbiter share.
pub(crate) struct ArbiterActor<N: Network> {
    shared: Arc<Shared<N>>,
    mailbox: Arc<ArbiterMailbox<N>>,
    topics: TopicSlab<N>,
}

impl<N: Network> ArbiterActor<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>, mailbox: Arc<ArbiterMailbox<N>>) -> Self {
        let topics = TopicSlab::new(Arc::clone(&shared.busy_count));
        Self { shared, mailbox, topics }
    }
}

impl<N: Network> Actor for ArbiterActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(PollInbox);
    }
}

impl<N: Network> InboxActor for ArbiterActor<N> {
    fn poll_inbox(&mut self, _: &mut Context<Self>, waker: &Waker) -> bool {
        let Self { shared, mailbox, topics } = self;
        if topics.needs_poll() {
            let first_arrival = mailbox.inbox.drain(topics.buffer(), waker);
            topics.dispatch(first_arrival, mailbox, shared);
        }
        if topics.has_work() {
            topics.run(BUDGET, mailbox, shared);
            topics.send(shared);
            // The other tasks run, then the mailbox is drained once more before the actor sleeps: a wake-up costs both
            // sides more than a drain.
            return true;
        }
        drop(mailbox.inbox.try_idle(topics.buffer()));
        false
    }

    fn is_inbox_closed(&self) -> bool {
        self.mailbox.inbox.is_closed()
    }
}

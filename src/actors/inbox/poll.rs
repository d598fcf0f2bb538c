//! How an actor hears of its inbox: a future of the actor's own, polled whenever its task is woken. Holds no item.

use std::{
    pin::Pin,
    task::{self, Poll, Waker},
};

use actix::{Actor, ActorFuture, AsyncContext, Context, WrapFuture};

/// An actor that has an inbox.
pub(crate) trait InboxActor: Actor<Context = Context<Self>> {
    /// Handles a budget's worth of what is in the inbox; tells whether to be called again when others have run.
    /// While it waits for that, a wake-up goes unheard: it says no only after it found the inbox empty, unless it
    /// never says yes.
    fn poll_inbox(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool;
}

/// What an actor with an inbox spawns when it starts; it ends with the actor.
pub(crate) struct PollInbox;

impl<A: InboxActor> ActorFuture<A> for PollInbox {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if actor.poll_inbox(ctx, task.waker()) {
            // Others of the arbiter run first, and its timers; then this is polled again.
            ctx.wait(tokio::task::yield_now().into_actor(actor));
        }
        Poll::Pending
    }
}

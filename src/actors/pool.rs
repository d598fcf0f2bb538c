//! The arbiters that actors live on. Starts actors there and watches them; knows no protocol.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
};

use actix::{Actor, Arbiter, ArbiterHandle, Context};

/// Where the actors of one engine live: on arbiters of its own, or on that of whoever started it.
pub(crate) struct Pool {
    handles: Vec<ArbiterHandle>,
    next: AtomicUsize,
}

impl Pool {
    /// `own` arbiters of its own; with none, the present one. Must be called on an arbiter.
    pub(crate) fn new(own: usize) -> (Self, Vec<Arbiter>) {
        let arbiters: Vec<Arbiter> = (0..own).map(|_| Arbiter::new()).collect();
        let handles = match own {
            0 => vec![Arbiter::current()],
            _ => arbiters.iter().map(Arbiter::handle).collect(),
        };
        (Self { handles, next: AtomicUsize::new(0) }, arbiters)
    }

    /// Starts an actor on the first arbiter.
    pub(crate) fn start_first<A>(
        &self,
        make: impl FnOnce() -> A + Send + 'static,
        ended: impl FnOnce(bool) + Send + 'static,
    ) where
        A: Actor<Context = Context<A>>,
    {
        start(&self.handles[0], make, ended);
    }

    /// The first arbiter.
    pub(crate) fn first(&self) -> ArbiterHandle {
        self.handles[0].clone()
    }

    /// Starts an actor on the next arbiter in turn.
    pub(crate) fn start_next<A>(
        &self,
        make: impl FnOnce() -> A + Send + 'static,
        ended: impl FnOnce(bool) + Send + 'static,
    ) where
        A: Actor<Context = Context<A>>,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        start(&self.handles[turn], make, ended);
    }
}

/// Starts an actor on `arbiter`. `ended` hears of its end, and whether it panicked: actix' own
/// supervisor does not restart after a panic.
pub(crate) fn start<A>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> A + Send + 'static,
    ended: impl FnOnce(bool) + Send + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    arbiter.spawn_fn(move || {
        let actor = make();
        let running = actix_rt::spawn(Context::new().into_future(actor));
        actix_rt::spawn(watch(running, ended));
    });
}

async fn watch(running: impl Future<Output = Result<(), tokio::task::JoinError>>, ended: impl FnOnce(bool)) {
    let panicked = running.await.is_err_and(|error| error.is_panic());
    ended(panicked);
}

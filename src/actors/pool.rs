//! The arbiters that actors live on. Starts actors there, and watches those whose end is the engine's;
//! knows no protocol.

use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// The first arbiter.
    pub(crate) fn first(&self) -> ArbiterHandle {
        self.handles[0].clone()
    }

    /// Starts an actor on the next arbiter in turn, and tells it which one that is.
    pub(crate) fn start_next<A>(&self, make: impl FnOnce(usize) -> A + Send + 'static)
    where
        A: Actor<Context = Context<A>>,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles[turn].spawn_fn(move || {
            actix_rt::spawn(Context::new().into_future(make(turn)));
        });
    }
}

/// Starts an actor on `arbiter`; `panicked` is called if that is how it ends.
pub(crate) fn start_watched<A>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> A + Send + 'static,
    panicked: impl FnOnce() + Send + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    arbiter.spawn_fn(move || {
        let running = actix_rt::spawn(Context::new().into_future(make()));
        actix_rt::spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                panicked();
            }
        });
    });
}

//! The arbiters on which the actors of an engine run, and the start of actors whose panic ends the engine.

use actix::{Actor, Arbiter, ArbiterHandle, Context};

/// Which arbiters an engine runs on.
pub(crate) enum Arbiters {
    /// This number of threads of its own; with 0, the arbiter that starts the engine.
    Spawn(usize),
    /// Arbiters of the caller; with none, the arbiter that starts the engine.
    Borrowed(Vec<ArbiterHandle>),
}

/// The arbiters of one engine, at least one.
pub(crate) struct Pool {
    handles: Vec<ArbiterHandle>,
}

impl Pool {
    /// Returns the arbiters that were spawned, too. Must be called on an arbiter.
    pub(crate) fn new(arbiters: &Arbiters) -> (Self, Vec<Arbiter>) {
        let (spawned, mut handles): (Vec<Arbiter>, _) = match arbiters {
            Arbiters::Spawn(threads) => ((0..*threads).map(|_| Arbiter::new()).collect(), Vec::new()),
            Arbiters::Borrowed(handles) => (Vec::new(), handles.clone()),
        };
        handles.extend(spawned.iter().map(Arbiter::handle));
        if handles.is_empty() {
            handles.push(Arbiter::current());
        }
        (Self { handles }, spawned)
    }

    /// The number of arbiters.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn arbiter(&self, index: usize) -> &ArbiterHandle {
        &self.handles[index]
    }
}

/// Starts an actor on `arbiter`; calls `panicked` if it ends with a panic.
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

//! The arbiters that actors live on. Starts actors there, and watches those whose end is the engine's;
//! knows no protocol.

use actix::{Actor, Arbiter, ArbiterHandle, Context};

/// Whose arbiters an engine is to live on.
pub(crate) enum Arbiters {
    /// So many of its own; with none, that of whoever starts it.
    Own(usize),
    /// The caller's.
    Given(Vec<ArbiterHandle>),
}

impl Arbiters {}

/// The arbiters that the actors of one engine live on.
pub(crate) struct Pool {
    handles: Vec<ArbiterHandle>,
}

impl Pool {
    /// With the arbiters that it owns. Must be called on an arbiter.
    pub(crate) fn new(home: &Arbiters) -> (Self, Vec<Arbiter>) {
        let (arbiters, mut handles): (Vec<Arbiter>, _) = match home {
            Arbiters::Own(own) => ((0..*own).map(|_| Arbiter::new()).collect(), Vec::new()),
            Arbiters::Given(handles) => (Vec::new(), handles.clone()),
        };
        handles.extend(arbiters.iter().map(Arbiter::handle));
        if handles.is_empty() {
            handles.push(Arbiter::current());
        }
        (Self { handles }, arbiters)
    }

    /// How many they are: at least one.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// One of them.
    pub(crate) fn arbiter(&self, number: usize) -> &ArbiterHandle {
        &self.handles[number]
    }

    /// Starts an actor on one of them.
    pub(crate) fn start<A>(&self, arbiter: usize, make: impl FnOnce() -> A + Send + 'static)
    where
        A: Actor<Context = Context<A>>,
    {
        self.arbiter(arbiter).spawn_fn(move || {
            actix_rt::spawn(Context::new().into_future(make()));
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

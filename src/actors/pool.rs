//! The arbiters on which the actors of an engine run.

use actix::{Arbiter, ArbiterHandle};

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

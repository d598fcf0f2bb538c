//! The threads on which the actors of an engine run: arbiters of the caller, arbiters that the engine spawns in the
//! caller's actix system, or an actix system of the engine's own where the caller has none.

use std::{
    iter,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use actix::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

use super::fault::StartError;

/// Which arbiters an engine runs on.
pub(crate) enum Arbiters {
    /// This number of threads of its own. With 0: the arbiter that starts the engine or, outside an actix system, one
    /// thread of its own.
    Spawn(usize),
    /// Arbiters of the caller; with none, as `Spawn(0)`.
    Borrowed(Vec<ArbiterHandle>),
}

/// The arbiters of one engine, at least one.
pub(crate) struct Pool {
    handles: Vec<ArbiterHandle>,
}

/// The threads of one engine that end with it.
#[derive(Default)]
pub(crate) struct OwnThreads {
    /// Spawned in the caller's system.
    arbiters: Vec<Arbiter>,
    /// Runs outside the caller's system.
    system: Option<OwnSystem>,
}

/// A thread that runs an actix system, whose first arbiter it is.
struct OwnSystem {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Pool {
    /// Starts the threads that the engine owns.
    pub(crate) fn new(arbiters: &Arbiters) -> Result<(Self, OwnThreads), StartError> {
        let threads = match arbiters {
            Arbiters::Borrowed(handles) if !handles.is_empty() => {
                return Ok((Self { handles: handles.clone() }, OwnThreads::default()));
            }
            Arbiters::Borrowed(_) => 0,
            Arbiters::Spawn(threads) => *threads,
        };
        if System::try_current().is_none() {
            let (handles, system) = OwnSystem::start(threads.max(1))?;
            return Ok((Self { handles }, OwnThreads { arbiters: Vec::new(), system: Some(system) }));
        }
        let arbiters: Vec<_> = iter::repeat_with(Arbiter::new).take(threads).collect();
        let mut handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
        if handles.is_empty() {
            handles.push(Arbiter::current());
        }
        Ok((Self { handles }, OwnThreads { arbiters, system: None }))
    }

    /// The number of arbiters.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    pub(crate) fn arbiter(&self, index: usize) -> &ArbiterHandle {
        &self.handles[index]
    }
}

impl OwnThreads {
    pub(crate) fn is_empty(&self) -> bool {
        self.arbiters.is_empty() && self.system.is_none()
    }

    /// Lets the threads end, and does not wait for it.
    pub(crate) fn stop(self) -> StoppingThreads {
        self.arbiters.iter().for_each(stop);
        let system = self.system.map(|OwnSystem { stop, thread }| {
            // If the thread has ended already, nobody waits for this.
            let _ = stop.send(());
            thread
        });
        StoppingThreads { arbiters: self.arbiters, system }
    }
}

/// Threads that are ending.
pub(crate) struct StoppingThreads {
    arbiters: Vec<Arbiter>,
    system: Option<JoinHandle<()>>,
}

impl StoppingThreads {
    /// Waits until the threads have ended. If one of them panicked, its actors have reported that.
    pub(crate) fn join(self) {
        self.arbiters.into_iter().for_each(|arbiter| drop(arbiter.join()));
        self.system.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl OwnSystem {
    /// Starts a system with this number of arbiters, each with a thread.
    fn start(threads: usize) -> Result<(Vec<ArbiterHandle>, Self), StartError> {
        let (started, handles) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = move || System::new().block_on(run_system(threads, started, stopped));
        let thread = thread::Builder::new()
            .name("gossipsub".to_owned())
            .spawn(run)
            .map_err(|_| StartError::Threads)?;
        // The sender is dropped without an answer if one of the arbiters can't be spawned.
        let handles = handles.recv().map_err(|_| StartError::Threads)?;
        Ok((handles, Self { stop, thread }))
    }
}

/// Runs until `stopped` receives its value, or its sender is dropped.
async fn run_system(
    threads: usize,
    started: mpsc::Sender<Vec<ArbiterHandle>>,
    stopped: oneshot::Receiver<()>,
) {
    let arbiters: Vec<_> = iter::repeat_with(Arbiter::new).take(threads - 1).collect();
    let handles = iter::once(Arbiter::current()).chain(arbiters.iter().map(Arbiter::handle)).collect();
    if started.send(handles).is_ok() {
        let _ = stopped.await;
    }
    arbiters.iter().for_each(stop);
    arbiters.into_iter().for_each(|arbiter| drop(arbiter.join()));
}

fn stop(arbiter: &Arbiter) {
    // False for an arbiter that has stopped already.
    let _ = arbiter.stop();
}

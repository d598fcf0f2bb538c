//! This test ends engines by any two of the ways in which an engine can end, or lose a handle, one after the other. Whatever
//! the order, waiting for the end returns, the streams end, the memory is freed, and nothing is observed
//! afterwards, or logged where the log is that of the host's threads.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix::{Arbiter, ArbiterHandle, System};
use actix_gossipsub::{AppOutputs, EngineError, P2pOutputs, Started, Worker, plain::PlainNetwork};
use tokio::time::timeout;
use tracing::{Dispatch, dispatcher::set_default};

use crate::{
    endings::{is_freed, observed_network, with_timers},
    log_lines::{Text, subscriber},
    support::*,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Shutdown,
    CancelledShutdown,
    ShutdownForRestart,
    DropWorker,
    DropP2p,
    DropApp,
    SystemStop,
    ArbiterStop,
}

impl Action {
    const ALL: [Self; 8] = [
        Self::Shutdown,
        Self::CancelledShutdown,
        Self::ShutdownForRestart,
        Self::DropWorker,
        Self::DropP2p,
        Self::DropApp,
        Self::SystemStop,
        Self::ArbiterStop,
    ];

    /// Whether the engine ends, though handles and streams remain.
    fn ends(self) -> bool {
        !matches!(self, Self::DropWorker | Self::DropP2p | Self::DropApp)
    }

    /// Whether it stops the threads on which the engine runs.
    fn stops(self) -> bool {
        matches!(self, Self::SystemStop | Self::ArbiterStop)
    }

    fn needs_worker(self) -> bool {
        matches!(self, Self::Shutdown | Self::CancelledShutdown | Self::ShutdownForRestart)
    }
}

/// Where an engine runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// On the arbiter that started it.
    Caller,
    /// On two arbiters of the caller.
    Borrowed,
    Own,
}

/// A thread with an actix system, whose log and that of its arbiters is written to `text`.
struct Host {
    system: System,
    arbiters: Vec<ArbiterHandle>,
    thread: JoinHandle<()>,
    text: Text,
}

/// An engine with what remains of its handles.
struct Ending {
    host: Host,
    worker: Option<Worker<PlainNetwork>>,
    p2p: Option<P2pOutputs<PlainNetwork>>,
    app: Option<AppOutputs<PlainNetwork>>,
    memory: Weak<()>,
    observed: Arc<AtomicUsize>,
}

fn log_to(log: &Dispatch, arbiter: &Arbiter) {
    let log = log.clone();
    // Until the thread ends.
    arbiter.spawn_fn(move || std::mem::forget(set_default(&log)));
}

impl Ending {
    /// Starts an engine with a mesh peer in another thread's system.
    fn start(place: Place) -> Self {
        let (text, log) = subscriber("actix_gossipsub=trace");
        let (network, memory) = observed_network();
        let observed = Arc::new(AtomicUsize::new(0));
        let events = Arc::clone(&observed);
        let (started, engine) = mpsc::channel();
        let thread = thread::spawn(move || {
            let _log = set_default(&log);
            let system = System::new();
            system.block_on(async {
                let arbiters = [Arbiter::new(), Arbiter::new()];
                arbiters.iter().for_each(|arbiter| log_to(&log, arbiter));
                let builder = with_timers(network).observer(move |_| {
                    events.fetch_add(1, Ordering::Relaxed);
                });
                let builder = match place {
                    Place::Caller => builder.arbiters(0),
                    Place::Borrowed => builder.on_arbiters(arbiters.iter().map(Arbiter::handle)),
                    Place::Own => builder.arbiters(2),
                };
                let engine = start(builder, &["a", "b", "c"]);
                let handles = arbiters.iter().map(Arbiter::handle).collect();
                started.send((engine, System::current(), handles)).expect("the test waits");
            });
            system.run().expect("no error");
        });
        let (Started { worker, p2p, app }, system, arbiters) = engine.recv().expect("it starts");
        worker.p2p_input(connect(1)).expect("accepted");
        worker.p2p_input(graft(1, "a")).expect("accepted");
        for number in 0..20 {
            worker.p2p_input(message(1, ["a", "b", "c"][number as usize % 3], number)).expect("accepted");
        }
        let host = Host { system, arbiters, thread, text };
        Self { host, worker: Some(worker), p2p: Some(p2p), app: Some(app), memory, observed }
    }

    fn worker(&self) -> &Worker<PlainNetwork> {
        self.worker.as_ref().expect("it is not dropped")
    }

    async fn apply(&mut self, action: Action, seed: usize) {
        match action {
            Action::Shutdown => self.worker().shutdown().await,
            Action::ShutdownForRestart => self.worker().shutdown_for_restart().await,
            Action::CancelledShutdown => tokio::select! {
                biased;
                () = self.worker().shutdown() => {}
                () = std::future::ready(()) => {}
            },
            Action::DropWorker => self.worker = None,
            Action::DropP2p => self.p2p = None,
            Action::DropApp => self.app = None,
            Action::SystemStop => self.host.system.stop(),
            Action::ArbiterStop => {
                // False if it has stopped before.
                let _ = self.host.arbiters[seed % 2].stop();
            }
        }
    }

    /// Waits until the streams that remain have ended.
    async fn read_streams(&mut self) {
        if let Some(p2p) = &mut self.p2p {
            while p2p.recv().await.is_some() {}
        }
        if let Some(app) = &mut self.app {
            while app.recv().await.is_some() {}
        }
    }

    /// What the engine has logged and observed.
    fn reports(&self) -> (usize, usize) {
        (self.host.text.lines(&[]).len(), self.observed.load(Ordering::Relaxed))
    }

    /// Drops what remains and checks that nothing of the engine does. Returns what it has reported.
    async fn finish(mut self) -> (usize, usize) {
        (self.worker, self.p2p, self.app) = (None, None, None);
        is_freed(self.memory.clone()).await;
        let reports = self.reports();
        // Several heartbeats.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(self.reports(), reports, "lines and events after the end");
        self.host.system.stop();
        self.host.thread.join().expect("no panic");
        reports
    }
}

async fn ends_by(first: Action, second: Action, place: Place, seed: usize) -> (usize, usize) {
    let mut engine = Ending::start(place);
    if seed.is_multiple_of(3) {
        engine.worker().settle().await;
    }
    engine.apply(first, seed).await;
    if !seed.is_multiple_of(2) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    engine.apply(second, seed).await;
    if !first.ends() && !second.ends() {
        match &engine.worker {
            Some(worker) => worker.shutdown().await,
            None => return engine.finish().await,
        }
    }
    engine.read_streams().await;
    if let Some(worker) = &engine.worker {
        let end = worker.wait_for_end().await;
        // An engine that is shutting down ends by itself, or with its threads.
        let lost = (first.stops() || second.stops()) && end == Err(EngineError::ArbiterStopped);
        assert!(lost || end == Ok(()), "{end:?}");
        assert!(worker.is_ended());
        worker.shutdown().await;
    }
    engine.finish().await
}

#[test]
fn an_engine_ends_by_any_two_actions_in_any_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let pairs = Action::ALL.into_iter().flat_map(|first| Action::ALL.map(|second| (first, second)));
    // A worker that is dropped cannot be asked for a shutdown.
    let possible = |(first, second): &(Action, Action)| {
        first != second && !(*first == Action::DropWorker && second.needs_worker())
    };
    let (mut lines, mut events) = (0, 0);
    for (index, (first, second)) in pairs.filter(possible).enumerate() {
        let is_borrowed = first == Action::ArbiterStop || second == Action::ArbiterStop;
        for seed in index..index + 3 {
            let place = [Place::Caller, Place::Own, Place::Borrowed][seed % 3];
            let place = if is_borrowed { Place::Borrowed } else { place };
            println!("{first:?}, {second:?}, {place:?}, seed {seed}");
            let ended = async { timeout(Duration::from_secs(20), ends_by(first, second, place, seed)).await };
            let reports = runtime.block_on(ended).expect("the engine ends");
            (lines, events) = (lines + reports.0, events + reports.1);
        }
    }
    assert!(lines > 0 && events > 0, "the engines log and are observed while they run");
}

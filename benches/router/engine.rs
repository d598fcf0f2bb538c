//! The engine with its actors: the bench's thread feeds it as a transport does and reads both streams. At
//! most 4096 inputs are in flight, as many as admission takes of anyone.

use std::{
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use actix::SystemRunner;
use actix_gossipsub::{
    AppInput, AppOutputs, Limits, P2pInput, P2pOutputs, PeerInputs, Refused, Started, Worker,
};

use metrics::Recorder;

use super::{
    cpu,
    networks::Verdict,
    population::Population,
    subject::Subject,
    tally::Tally,
    traffic::{Arrival, Round, Traffic},
    waits,
};

const IN_FLIGHT: usize = 4096;
/// So many inputs between two looks at the outputs: a round of W.
const BURST: usize = 512;
/// Much less than it takes an engine to handle what is in flight.
const PAUSE: Duration = Duration::from_micros(150);
/// A step that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine, driven by hand.
pub struct EngineSubject<N: Traffic> {
    system: Rc<SystemRunner>,
    driver: Driver<N>,
}

/// What the bench's thread holds of an engine.
pub struct Driver<N: Traffic> {
    pub worker: Worker<N>,
    pub p2p: P2pOutputs<N>,
    pub app: AppOutputs<N>,
    /// One a peer, as a transport has one a connection.
    connections: Vec<PeerInputs<N>>,
    /// How it waits for the engine.
    wait: Wait,
}

/// How the bench's thread lets the engine run while it has nothing to do itself.
#[derive(Clone, Copy)]
enum Wait {
    /// The engine runs on this thread.
    Task,
    /// There is a core for it: it looks again at once.
    Thread,
    /// The engine has a thread for every core, and needs them all.
    Sleep,
}

impl Wait {
    fn new(arbiters: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match arbiters {
            0 => Self::Task,
            few if few < cores => Self::Thread,
            _ => Self::Sleep,
        }
    }
}

impl<N: Traffic> EngineSubject<N> {
    /// With 0 `arbiters` it runs on this thread.
    pub fn new(
        system: &Rc<SystemRunner>,
        limits: Limits<Arc<str>>,
        verdict: Verdict,
        arbiters: usize,
        recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    ) -> Self {
        let mut builder = Worker::builder(N::new(verdict), limits).seed(1).arbiters(arbiters).manual();
        if let Some(recorder) = recorder {
            builder = builder.recorder(recorder);
        }
        let started = system.block_on(async { builder.start([]) });
        let Started { worker, p2p, app } = started.expect("a system runs");
        let driver = Driver { worker, p2p, app, connections: Vec::new(), wait: Wait::new(arbiters) };
        Self { system: Rc::clone(system), driver }
    }
}

impl<N: Traffic> Drop for EngineSubject<N> {
    fn drop(&mut self) {
        self.system.block_on(self.driver.worker.shutdown());
    }
}

impl<N: Traffic> Subject<N> for EngineSubject<N> {
    fn join(&mut self, population: &Population<N>) {
        let Self { system, driver } = self;
        system.block_on(async {
            for topic in &population.topics {
                driver.worker.app_input(AppInput::Join(Arc::clone(topic))).expect("the engine runs");
            }
            driver.settle().await;
        });
    }

    fn populate(&mut self, population: &Population<N>) {
        let Self { system, driver } = self;
        system.block_on(async {
            let mut tally = Tally::default();
            let mut arrivals = population.arrivals();
            // A connection is announced each topic: many outputs.
            for connection in arrivals.by_ref().take(population.peers.len()) {
                driver.feed([connection], give, &mut tally).await;
                driver.read_out().await;
            }
            let peers = population.peers.iter().cloned();
            driver.connections = peers.map(|peer| driver.worker.peer_inputs(peer)).collect();
            driver.feed(arrivals, give, &mut tally).await;
            driver.settle().await;
            // Queues that were long give back their room when little came for a while: this is little.
            for _ in 0..32 {
                driver.worker.footprint().await.expect("the engine runs");
            }
        });
    }

    fn graft(&mut self, population: &Population<N>) {
        let Self { system, driver } = self;
        system.block_on(async {
            driver.feed(population.grafts(), give, &mut Tally::default()).await;
            driver.settle().await;
        });
    }

    fn run(&mut self, rounds: Vec<Round<N>>) -> Tally {
        let Self { system, driver } = self;
        system.block_on(async {
            let mut tally = Tally::default();
            for round in rounds {
                driver.feed(round, say, &mut tally).await;
            }
            let patience = Instant::now() + PATIENCE;
            while driver.worker.input_queue_length() > 0 || tally.is_short() {
                driver.breathe(&mut tally).await;
                assert!(Instant::now() < patience, "what is missing does not come: {tally:?}");
            }
            tally
        })
    }

    /// Of all threads but this one, which reads the outputs.
    fn heartbeat(&mut self) -> Duration {
        let Self { system, driver } = self;
        let start = cpu::of_process().saturating_sub(cpu::of_thread());
        system.block_on(driver.tick());
        cpu::of_process().saturating_sub(cpu::of_thread()).saturating_sub(start)
    }

    fn heartbeat_wait(&mut self, source: &mut N::Source, population: &Population<N>) -> Duration {
        let Self { system, driver } = self;
        system.block_on(async {
            let wait = waits::longest(driver, source, population).await;
            driver.read_out().await;
            wait
        })
    }
}

impl<N: Traffic> Driver<N> {
    async fn feed<I>(
        &mut self,
        inputs: impl IntoIterator<Item = I>,
        give: impl Fn(&Self, I) -> Result<(), Refused>,
        tally: &mut Tally,
    ) {
        for input in inputs {
            if tally.inputs.is_multiple_of(BURST as u64) {
                self.take(tally);
                while self.worker.input_queue_length() > IN_FLIGHT - BURST {
                    self.breathe(tally).await;
                }
            }
            give(self, input).expect("there is room for 4096 inputs of anyone");
            tally.inputs += 1;
        }
    }

    /// Takes what waits in both streams, as a transport does; tells whether anything did.
    fn take(&mut self, tally: &mut Tally) -> bool {
        let before = *tally;
        while let Some(emission) = self.p2p.try_recv_emission() {
            tally.count(&emission);
        }
        while self.app.try_recv().is_some() {
            tally.deliveries += 1;
        }
        *tally != before
    }

    /// Takes outputs; if there are none, lets others run.
    async fn breathe(&mut self, tally: &mut Tally) {
        if self.take(tally) {
            return;
        }
        match self.wait {
            Wait::Task => tokio::task::yield_now().await,
            Wait::Thread => thread::yield_now(),
            Wait::Sleep => thread::sleep(PAUSE),
        }
    }

    /// Until nothing is on its way.
    async fn read_out(&mut self) {
        while self.worker.input_queue_length() > 0 || !self.p2p.is_empty() {
            self.breathe(&mut Tally::default()).await;
        }
    }

    /// A heartbeat; its outputs are read meanwhile.
    async fn tick(&mut self) {
        let worker = self.worker.clone();
        self.read_during(worker.tick()).await;
    }

    /// Until nothing is on its way, not even inside: what setting up leaves to be done is not measured.
    async fn settle(&mut self) {
        let worker = self.worker.clone();
        self.read_during(worker.settle()).await;
    }

    /// What is said to many peers is read as one, as a transport does.
    async fn read_during(&mut self, done: impl Future<Output = ()>) {
        tokio::pin!(done);
        loop {
            tokio::select! {
                biased;
                () = &mut done => break,
                _ = self.p2p.recv_emission() => {}
            }
        }
        self.read_out().await;
    }
}

fn give<N: Traffic>(driver: &Driver<N>, input: P2pInput<N>) -> Result<(), Refused> {
    driver.worker.p2p_input(input)
}

/// By way of the connection.
fn say<N: Traffic>(driver: &Driver<N>, arrival: Arrival<N>) -> Result<(), Refused> {
    match arrival.input {
        P2pInput::InMessage { message, .. } => driver.connections[arrival.peer].input(message),
        _ => unreachable!("rounds are of messages"),
    }
}

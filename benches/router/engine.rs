//! The engine with its actors, and its transport: on the bench's thread, or beside the topics on their arbiters. The
//! bench's thread sets up, and reads what heartbeats say.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Arbiter, SystemRunner};
use actix_gossipsub::{AppInput, Limits, P2pInput, Started, Worker};
use metrics::Recorder;
use tokio::time::sleep;

use super::{
    apart::{Apart, PAUSE},
    cpu,
    networks::Verdict,
    population::Population,
    stations::{BURST, IN_FLIGHT, Stations, Streams},
    subject::Subject,
    tally::Tally,
    traffic::Traffic,
    waits,
};

/// An engine, driven by hand.
pub struct EngineSubject<N: Traffic> {
    system: Rc<SystemRunner>,
    arbiters: Vec<Arbiter>,
    transport: Transport<N>,
    /// Elsewhere only while messages run.
    driver: Option<Driver<N>>,
    /// Messages that no connection sends.
    probes: N::Source,
}

/// What the bench's thread holds of an engine.
pub struct Driver<N: Traffic> {
    pub worker: Worker<N>,
    pub streams: Streams<N>,
}

/// Where connections and readers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Apart,
    Beside,
}

enum Transport<N: Traffic> {
    Apart(Apart<N>),
    Beside(Stations<N>),
}

impl<N: Traffic> EngineSubject<N> {
    /// With 0 `arbiters` all runs on this thread.
    pub fn new(
        system: &Rc<SystemRunner>,
        limits: Limits<Arc<str>>,
        verdict: Verdict,
        arbiters: usize,
        place: Place,
        recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    ) -> Self {
        let (arbiters, handles) = system.block_on(async {
            let arbiters: Vec<_> = (0..arbiters).map(|_| Arbiter::new()).collect();
            let handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
            let handles = if handles.is_empty() { vec![Arbiter::current()] } else { handles };
            (arbiters, handles)
        });
        let mut builder =
            Worker::builder(N::new(verdict), limits).seed(1).on_arbiters(handles.clone()).manual();
        if let Some(recorder) = recorder {
            builder = builder.recorder(recorder);
        }
        let started = system.block_on(async { builder.start([]) });
        let Started { worker, p2p, app } = started.expect("a system runs");
        let transport = match place {
            Place::Apart => Transport::Apart(Apart::new(arbiters.len())),
            Place::Beside => Transport::Beside(Stations::new(handles, worker.clone())),
        };
        let driver = Some(Driver { worker, streams: Streams { p2p, app } });
        Self { system: Rc::clone(system), arbiters, transport, driver, probes: N::source(1) }
    }

    fn parts(&mut self) -> (&SystemRunner, &mut Transport<N>, &mut Driver<N>) {
        (&self.system, &mut self.transport, self.driver.as_mut().expect("no messages run"))
    }
}

impl<N: Traffic> Drop for EngineSubject<N> {
    fn drop(&mut self) {
        let (system, _, driver) = self.parts();
        system.block_on(driver.worker.shutdown());
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
            arbiter.join().expect("no task panics");
        }
    }
}

impl<N: Traffic> Subject<N> for EngineSubject<N> {
    fn join(&mut self, population: &Population<N>) {
        let (system, _, driver) = self.parts();
        system.block_on(async {
            for topic in &population.topics {
                driver.worker.app_input(AppInput::Join(Arc::clone(topic))).expect("the engine runs");
            }
            driver.settle().await;
        });
    }

    fn populate(&mut self, population: &Population<N>) {
        let (system, transport, driver) = self.parts();
        system.block_on(async {
            let mut arrivals = population.arrivals();
            // A connection is announced each topic: many outputs.
            for connection in arrivals.by_ref().take(population.peers.len()) {
                driver.feed([connection]).await;
                driver.read_out().await;
            }
            let connections = population.peers.iter().map(|peer| driver.worker.peer_inputs(peer.clone()));
            match transport {
                Transport::Apart(apart) => apart.connect(connections.collect()),
                Transport::Beside(stations) => stations.connect(connections.collect()),
            }
            driver.feed(arrivals).await;
            driver.settle().await;
            // Queues that were long give back their room when little came for a while: this is little.
            for _ in 0..32 {
                driver.worker.footprint().await.expect("the engine runs");
            }
        });
    }

    fn graft(&mut self, population: &Population<N>) {
        let (system, _, driver) = self.parts();
        system.block_on(async {
            driver.feed(population.grafts()).await;
            driver.settle().await;
        });
    }

    fn load(&mut self, population: &Population<N>, messages: usize, payload: usize) {
        match &mut self.transport {
            Transport::Apart(apart) => apart.load(population, messages, payload),
            Transport::Beside(stations) => {
                self.system.block_on(stations.load(population.topics.len(), messages, payload));
            }
        }
    }

    fn run(&mut self) -> Tally {
        let Driver { worker, mut streams } = self.driver.take().expect("no messages run");
        let (streams, tally) = self.system.block_on(async {
            match &mut self.transport {
                Transport::Apart(apart) => {
                    let tally = apart.run(&worker, &mut streams).await;
                    (streams, tally)
                }
                Transport::Beside(stations) => stations.run(streams).await,
            }
        });
        self.driver = Some(Driver { worker, streams });
        tally
    }

    /// Of all threads, this one too: it reads the outputs.
    fn heartbeat(&mut self) -> Duration {
        let (system, _, driver) = self.parts();
        let start = cpu::of_process();
        system.block_on(driver.tick());
        cpu::of_process().saturating_sub(start)
    }

    fn heartbeat_wait(&mut self, population: &Population<N>) -> Duration {
        let Self { system, driver, probes, .. } = self;
        let driver = driver.as_mut().expect("no messages run");
        system.block_on(async {
            let wait = waits::longest(driver, probes, population).await;
            driver.read_out().await;
            wait
        })
    }
}

impl<N: Traffic> Driver<N> {
    async fn feed(&mut self, inputs: impl IntoIterator<Item = P2pInput<N>>) {
        for (count, input) in inputs.into_iter().enumerate() {
            if count.is_multiple_of(BURST) {
                self.streams.take(&mut Tally::default());
                while self.worker.input_queue_length() > IN_FLIGHT - BURST {
                    self.breathe().await;
                }
            }
            self.worker.p2p_input(input).expect("there is room for 4096 inputs of anyone");
        }
    }

    /// Takes outputs; if there are none, lets others run.
    async fn breathe(&mut self) {
        if !self.streams.take(&mut Tally::default()) {
            sleep(PAUSE).await;
        }
    }

    /// Until nothing is on its way.
    async fn read_out(&mut self) {
        while self.worker.input_queue_length() > 0 || !self.streams.p2p.is_empty() {
            self.breathe().await;
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
                _ = self.streams.p2p.recv_batch() => {}
            }
        }
        self.read_out().await;
    }
}

//! This target is the engine, with its transport on the bench's thread or on the engine's arbiters. The bench's thread
//! sets the engine up and reads the outputs of heartbeats.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Arbiter, SystemRunner};
use actix_gossipsub::{AppInput, Limits, P2pInput, Started, Worker};
use metrics::Recorder;
use tokio::time::sleep;

use super::{
    colocated::{BURST, ColocatedTransport, MAX_IN_FLIGHT, Streams},
    counts::Counts,
    cpu, heartbeat_delay,
    networks::ValidationTime,
    separate::{PAUSE, SeparateTransport},
    target::Target,
    topology::Topology,
    traffic::Traffic,
};

/// An engine with manual heartbeats.
pub struct EngineTarget<N: Traffic> {
    system: Rc<SystemRunner>,
    arbiters: Vec<Arbiter>,
    transport: Transport<N>,
    /// `None` only during a run.
    driver: Option<Driver<N>>,
    /// The messages of [`heartbeat_delay`].
    probes: N::Source,
}

/// The engine's handle and streams.
pub struct Driver<N: Traffic> {
    pub worker: Worker<N>,
    pub streams: Streams<N>,
}

/// Where the transport runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On the bench's thread.
    Separate,
    /// On the engine's arbiters.
    Colocated,
}

enum Transport<N: Traffic> {
    Separate(SeparateTransport<N>),
    Colocated(ColocatedTransport<N>),
}

impl<N: Traffic> EngineTarget<N> {
    /// With 0 `arbiters` the engine runs on this thread.
    pub fn new(
        system: &Rc<SystemRunner>,
        limits: Limits<Arc<str>>,
        validation: ValidationTime,
        arbiters: usize,
        placement: Placement,
        recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    ) -> Self {
        let (arbiters, handles) = system.block_on(async {
            let arbiters: Vec<_> = (0..arbiters).map(|_| Arbiter::new()).collect();
            let handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
            let handles = if handles.is_empty() { vec![Arbiter::current()] } else { handles };
            (arbiters, handles)
        });
        let mut builder =
            Worker::builder(N::new(validation), limits).seed(1).on_arbiters(handles.clone()).manual();
        if let Some(recorder) = recorder {
            builder = builder.recorder(recorder);
        }
        let started = system.block_on(async { builder.start([]) });
        let Started { worker, p2p, app } = started.expect("a system runs");
        let transport = match placement {
            Placement::Separate => Transport::Separate(SeparateTransport::new(arbiters.len())),
            Placement::Colocated => Transport::Colocated(ColocatedTransport::new(handles, worker.clone())),
        };
        let driver = Some(Driver { worker, streams: Streams { p2p, app } });
        Self { system: Rc::clone(system), arbiters, transport, driver, probes: N::message_source(1) }
    }

    fn parts(&mut self) -> (&SystemRunner, &mut Transport<N>, &mut Driver<N>) {
        (&self.system, &mut self.transport, self.driver.as_mut().expect("no messages run"))
    }
}

impl<N: Traffic> Drop for EngineTarget<N> {
    fn drop(&mut self) {
        let (system, _, driver) = self.parts();
        system.block_on(driver.worker.shutdown());
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
            arbiter.join().expect("no task panics");
        }
    }
}

impl<N: Traffic> Target<N> for EngineTarget<N> {
    fn join(&mut self, topology: &Topology<N>) {
        let (system, _, driver) = self.parts();
        system.block_on(async {
            for topic in &topology.topics {
                driver.worker.app_input(AppInput::Join(Arc::clone(topic))).expect("the engine runs");
            }
            driver.settle().await;
        });
    }

    fn connect(&mut self, topology: &Topology<N>) {
        let (system, transport, driver) = self.parts();
        system.block_on(async {
            let mut inputs = topology.connections();
            // Each connection announces all topics.
            for connection in inputs.by_ref().take(topology.peers.len()) {
                driver.feed([connection]).await;
                driver.drain().await;
            }
            let connections = topology.peers.iter().map(|peer| driver.worker.peer_inputs(peer.clone()));
            match transport {
                Transport::Separate(separate) => separate.connect(connections.collect()),
                Transport::Colocated(colocated) => colocated.connect(connections.collect()),
            }
            driver.feed(inputs).await;
            driver.settle().await;
            // Long queues give their capacity back after some time with few items.
            for _ in 0..32 {
                driver.worker.footprint().await.expect("the engine runs");
            }
        });
    }

    fn graft(&mut self, topology: &Topology<N>) {
        let (system, _, driver) = self.parts();
        system.block_on(async {
            driver.feed(topology.grafts()).await;
            driver.settle().await;
        });
    }

    fn prepare(&mut self, topology: &Topology<N>, messages: usize, payload: usize) {
        match &mut self.transport {
            Transport::Separate(separate) => separate.prepare(topology, messages, payload),
            Transport::Colocated(colocated) => {
                self.system.block_on(colocated.prepare(topology.topics.len(), messages, payload));
            }
        }
    }

    fn run(&mut self) -> Counts {
        let Driver { worker, mut streams } = self.driver.take().expect("no messages run");
        let (streams, counts) = self.system.block_on(async {
            match &mut self.transport {
                Transport::Separate(separate) => {
                    let counts = separate.run(&worker, &mut streams).await;
                    (streams, counts)
                }
                Transport::Colocated(colocated) => colocated.run(streams).await,
            }
        });
        self.driver = Some(Driver { worker, streams });
        counts
    }

    /// The CPU time of all threads, with that of reading the outputs.
    fn heartbeat(&mut self) -> Duration {
        let (system, _, driver) = self.parts();
        let start = cpu::of_process();
        system.block_on(driver.tick());
        cpu::of_process().saturating_sub(start)
    }

    fn heartbeat_delay(&mut self, topology: &Topology<N>) -> Duration {
        let Self { system, driver, probes, .. } = self;
        let driver = driver.as_mut().expect("no messages run");
        system.block_on(async {
            let delay = heartbeat_delay::measure(driver, probes, topology).await;
            driver.drain().await;
            delay
        })
    }
}

impl<N: Traffic> Driver<N> {
    async fn feed(&mut self, inputs: impl IntoIterator<Item = P2pInput<N>>) {
        for (count, input) in inputs.into_iter().enumerate() {
            if count.is_multiple_of(BURST) {
                self.streams.read(&mut Counts::default());
                while self.worker.input_queue_length() > MAX_IN_FLIGHT - BURST {
                    self.read_or_sleep().await;
                }
            }
            self.worker.p2p_input(input).expect("admission accepts 4096 inputs of one peer");
        }
    }

    /// Reads outputs; sleeps if there are none.
    async fn read_or_sleep(&mut self) {
        if !self.streams.read(&mut Counts::default()) {
            sleep(PAUSE).await;
        }
    }

    /// Reads until no input is queued and the p2p stream is empty.
    async fn drain(&mut self) {
        while self.worker.input_queue_length() > 0 || !self.streams.p2p.is_empty() {
            self.read_or_sleep().await;
        }
    }

    /// Runs a heartbeat and reads its outputs meanwhile.
    async fn tick(&mut self) {
        let worker = self.worker.clone();
        self.read_during(worker.tick()).await;
    }

    /// Reads until the engine is idle, so that no work of the set-up is measured later.
    async fn settle(&mut self) {
        let worker = self.worker.clone();
        self.read_during(worker.settle()).await;
    }

    /// A broadcast is read as one output, as the libp2p transport does.
    async fn read_during(&mut self, done: impl Future<Output = ()>) {
        tokio::pin!(done);
        loop {
            tokio::select! {
                biased;
                () = &mut done => break,
                _ = self.streams.p2p.recv_batch() => {}
            }
        }
        self.drain().await;
    }
}

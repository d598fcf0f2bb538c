//! This transport runs on the bench's own thread. It feeds the engine through one `PeerInputs` a peer and reads both
//! streams.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_gossipsub::{PeerInputs, Worker};

use super::{
    colocated::{BURST, MAX_IN_FLIGHT, Streams, TIMEOUT},
    counts::Counts,
    topology::Topology,
    traffic::{Round, Traffic},
};

/// The sleep of an idle transport. An engine takes much longer to handle [`MAX_IN_FLIGHT`] inputs.
pub const PAUSE: Duration = Duration::from_micros(150);

/// The transport of one engine.
pub struct SeparateTransport<N: Traffic> {
    idle: Idle,
    connections: Vec<PeerInputs<N>>,
    source: N::Source,
    /// The input of the next run.
    rounds: Vec<Round<N>>,
}

/// How an idle transport lets the engine run.
#[derive(Clone, Copy)]
enum Idle {
    /// The engine runs on the same thread.
    YieldTask,
    /// The engine leaves a core to the transport.
    YieldThread,
    /// The engine has one thread a core.
    Sleep,
}

impl Idle {
    fn new(arbiters: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match arbiters {
            0 => Self::YieldTask,
            count if count < cores => Self::YieldThread,
            _ => Self::Sleep,
        }
    }
}

impl<N: Traffic> SeparateTransport<N> {
    pub fn new(arbiters: usize) -> Self {
        let idle = Idle::new(arbiters);
        Self { idle, connections: Vec::new(), source: N::message_source(0), rounds: Vec::new() }
    }

    pub fn connect(&mut self, connections: Vec<PeerInputs<N>>) {
        self.connections = connections;
    }

    pub fn prepare(&mut self, topology: &Topology<N>, messages: usize, payload: usize) {
        self.rounds = N::rounds(&mut self.source, topology, messages, payload);
    }

    /// Feeds the prepared copies and reads all outputs.
    pub async fn run(&mut self, worker: &Worker<N>, streams: &mut Streams<N>) -> Counts {
        let mut counts = Counts::default();
        for round in std::mem::take(&mut self.rounds) {
            for copy in round {
                if counts.inputs.is_multiple_of(BURST as u64) {
                    streams.read(&mut counts);
                    while worker.input_queue_length() > MAX_IN_FLIGHT - BURST {
                        self.read_or_idle(streams, &mut counts).await;
                    }
                }
                copy.send(&self.connections);
                counts.inputs += 1;
            }
        }
        let deadline = Instant::now() + TIMEOUT;
        while worker.input_queue_length() > 0 || counts.is_short() {
            self.read_or_idle(streams, &mut counts).await;
            assert!(Instant::now() < deadline, "outputs are missing: {counts:?}");
        }
        counts
    }

    async fn read_or_idle(&self, streams: &mut Streams<N>, counts: &mut Counts) {
        if streams.read(counts) {
            return;
        }
        match self.idle {
            Idle::YieldTask => tokio::task::yield_now().await,
            Idle::YieldThread => thread::yield_now(),
            Idle::Sleep => thread::sleep(PAUSE),
        }
    }
}

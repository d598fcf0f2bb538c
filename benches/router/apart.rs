//! The transport on a thread of its own, the bench's: it feeds the engine, and reads both streams. At most 4096 inputs
//! are in flight, as many as admission takes of anyone.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_gossipsub::{PeerInputs, Worker};

use super::{
    population::Population,
    stations::{BURST, IN_FLIGHT, PATIENCE, Streams},
    tally::Tally,
    traffic::{Round, Traffic},
};

/// Much less than it takes an engine to handle what is in flight.
pub const PAUSE: Duration = Duration::from_micros(150);

/// The transport of one engine.
pub struct Apart<N: Traffic> {
    wait: Wait,
    connections: Vec<PeerInputs<N>>,
    source: N::Source,
    /// What comes next.
    rounds: Vec<Round<N>>,
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

impl<N: Traffic> Apart<N> {
    pub fn new(arbiters: usize) -> Self {
        let wait = Wait::new(arbiters);
        Self { wait, connections: Vec::new(), source: N::source(0), rounds: Vec::new() }
    }

    pub fn connect(&mut self, connections: Vec<PeerInputs<N>>) {
        self.connections = connections;
    }

    pub fn load(&mut self, population: &Population<N>, messages: usize, payload: usize) {
        self.rounds = N::rounds(&mut self.source, population, messages, payload);
    }

    /// Has it said, and all that comes of it read.
    pub async fn run(&mut self, worker: &Worker<N>, streams: &mut Streams<N>) -> Tally {
        let mut tally = Tally::default();
        for round in std::mem::take(&mut self.rounds) {
            for arrival in round {
                if tally.inputs.is_multiple_of(BURST as u64) {
                    streams.take(&mut tally);
                    while worker.input_queue_length() > IN_FLIGHT - BURST {
                        self.breathe(streams, &mut tally).await;
                    }
                }
                arrival.say(&self.connections);
                tally.inputs += 1;
            }
        }
        let patience = Instant::now() + PATIENCE;
        while worker.input_queue_length() > 0 || tally.is_short() {
            self.breathe(streams, &mut tally).await;
            assert!(Instant::now() < patience, "what is missing does not come: {tally:?}");
        }
        tally
    }

    /// Takes outputs; if there are none, lets others run.
    async fn breathe(&self, streams: &mut Streams<N>, tally: &mut Tally) {
        if streams.take(tally) {
            return;
        }
        match self.wait {
            Wait::Task => tokio::task::yield_now().await,
            Wait::Thread => thread::yield_now(),
            Wait::Sleep => thread::sleep(PAUSE),
        }
    }
}

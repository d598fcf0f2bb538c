//! The transport beside the topics, as an actix application has it: connections are tasks on the engine's own
//! arbiters, each peer's on one of them, and so are the readers of the two streams. At most 4096 inputs are in flight,
//! as many as admission takes of anyone. Counts what goes in and comes out; knows nothing of time.

use std::{sync::Arc, time::Duration};

use actix::ArbiterHandle;
use actix_gossipsub::{AppOutputs, P2pOutputs, PeerInputs, Worker};
use tokio::{sync::oneshot, task::yield_now, time::timeout};

use super::{
    population::{DEGREE, Population},
    tally::Tally,
    traffic::{Arrival, Traffic},
};

pub const IN_FLIGHT: usize = 4096;
/// So many inputs until others of the arbiter run: a round of W.
pub const BURST: usize = 512;
/// A run that takes longer is stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The streams of an engine.
pub struct Streams<N: Traffic> {
    pub p2p: P2pOutputs<N>,
    pub app: AppOutputs<N>,
}

impl<N: Traffic> Streams<N> {
    /// Takes what waits in both; tells whether anything did.
    pub fn take(&mut self, tally: &mut Tally) -> bool {
        let before = *tally;
        while let Some(batch) = self.p2p.try_recv_batch() {
            tally.count(&batch);
        }
        while self.app.try_recv().is_some() {
            tally.deliveries += 1;
        }
        *tally != before
    }
}

/// The transport of one engine.
pub struct Stations<N: Traffic> {
    arbiters: Vec<ArbiterHandle>,
    worker: Worker<N>,
    /// One a peer, by number.
    connections: Arc<Vec<PeerInputs<N>>>,
    /// One an arbiter.
    stations: Vec<Station<N>>,
}

/// What the connections of one arbiter say. All of it is made there: no name, id or body is another arbiter's.
struct Station<N: Traffic> {
    /// Which of how many it is.
    turn: (usize, usize),
    population: Option<Population<N>>,
    source: N::Source,
    /// What comes next.
    arrivals: Vec<Arrival<N>>,
}

impl<N: Traffic> Station<N> {
    fn new(turn: usize, of: usize) -> Self {
        Self { turn: (turn, of), population: None, source: N::source(0), arrivals: Vec::new() }
    }

    /// Makes all that is said to us, and keeps what its own connections say.
    async fn load(mut self, topics: usize, peers: usize, messages: usize, payload: usize) -> Self {
        let (turn, of) = self.turn;
        let population = self.population.get_or_insert_with(|| N::population(topics, peers));
        let rounds = N::rounds(&mut self.source, population, messages, payload);
        let arrivals = rounds.into_iter().flatten();
        self.arrivals = arrivals.filter(|arrival| arrival.peer % of == turn).collect();
        self
    }
}

impl<N: Traffic> Stations<N> {
    pub fn new(arbiters: Vec<ArbiterHandle>, worker: Worker<N>) -> Self {
        let stations = (0..arbiters.len()).map(|turn| Station::new(turn, arbiters.len())).collect();
        Self { arbiters, worker, connections: Arc::default(), stations }
    }

    pub fn connect(&mut self, connections: Vec<PeerInputs<N>>) {
        self.connections = Arc::new(connections);
    }

    /// Makes what the connections say next.
    pub async fn load(&mut self, topics: usize, messages: usize, payload: usize) {
        let peers = self.connections.len();
        let loaded = self.arbiters.iter().zip(self.stations.drain(..));
        let loaded =
            loaded.map(|(arbiter, station)| on(arbiter, station.load(topics, peers, messages, payload)));
        for loaded in loaded.collect::<Vec<_>>() {
            self.stations.push(within(loaded).await);
        }
    }

    /// Has it said, and all that comes of it read.
    pub async fn run(&mut self, streams: Streams<N>) -> (Streams<N>, Tally) {
        let inputs = self.stations.iter().map(|station| station.arrivals.len()).sum::<usize>();
        let messages = (inputs / DEGREE) as u64;
        let (first, last) = (&self.arbiters[0], &self.arbiters[self.arbiters.len() - 1]);
        let p2p = on(first, read_p2p(streams.p2p, messages * (DEGREE as u64 - 1)));
        let app = on(last, read_app(streams.app, messages));
        // All of them together have no more in flight than one has.
        let burst = BURST.min(IN_FLIGHT / (2 * self.arbiters.len()));
        let room = IN_FLIGHT - burst * self.arbiters.len();
        let said = self.arbiters.iter().zip(&mut self.stations).map(|(arbiter, station)| {
            let (connections, arrivals) =
                (Arc::clone(&self.connections), std::mem::take(&mut station.arrivals));
            on(arbiter, speak(connections, self.worker.clone(), arrivals, burst, room))
        });
        for said in said.collect::<Vec<_>>() {
            within(said).await;
        }
        let ((p2p, forwards), (app, deliveries)) = (within(p2p).await, within(app).await);
        (Streams { p2p, app }, Tally { inputs: inputs as u64, forwards, deliveries })
    }
}

/// Runs a task there.
fn on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    task: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    assert!(arbiter.spawn(async move { drop(done.send(task.await)) }), "the arbiter runs");
    result
}

async fn within<T>(result: oneshot::Receiver<T>) -> T {
    let result = timeout(PATIENCE, result).await.expect("what is missing does not come");
    result.expect("no task panics")
}

/// All connections of one arbiter.
async fn speak<N: Traffic>(
    connections: Arc<Vec<PeerInputs<N>>>,
    worker: Worker<N>,
    arrivals: Vec<Arrival<N>>,
    burst: usize,
    room: usize,
) {
    for (count, arrival) in arrivals.into_iter().enumerate() {
        if count.is_multiple_of(burst) {
            yield_now().await;
            while worker.input_queue_length() > room {
                yield_now().await;
            }
        }
        arrival.say(&connections);
    }
}

/// What is said to many peers is read as one, as our transport does.
async fn read_p2p<N: Traffic>(mut p2p: P2pOutputs<N>, forwards: u64) -> (P2pOutputs<N>, u64) {
    let mut tally = Tally::default();
    while tally.forwards < forwards {
        let Some(batch) = p2p.recv_batch().await else { break };
        tally.count(&batch);
    }
    (p2p, tally.forwards)
}

async fn read_app<N: Traffic>(mut app: AppOutputs<N>, messages: u64) -> (AppOutputs<N>, u64) {
    let mut deliveries = 0;
    while deliveries < messages && app.recv().await.is_some() {
        deliveries += 1;
    }
    (app, deliveries)
}

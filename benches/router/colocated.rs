//! This transport runs on the engine's own arbiters, as in an actix application. Each arbiter has the connections of
//! some peers, the first reads the p2p stream, and the last reads the application's.

use std::{sync::Arc, time::Duration};

use actix::ArbiterHandle;
use actix_gossipsub::{AppOutputs, P2pOutputs, PeerInputs, Worker};
use tokio::{sync::oneshot, task::yield_now, time::timeout};

use super::{
    counts::Counts,
    topology::{DEGREE, Topology},
    traffic::{ReceivedCopy, Traffic},
};

/// The maximal number of inputs in flight, which is the number that admission accepts from a single peer.
pub const MAX_IN_FLIGHT: usize = 4096;
/// Inputs fed before other tasks run: the copies of a round of W.
pub const BURST: usize = 512;
/// A run that takes longer is stuck.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The streams of an engine.
pub struct Streams<N: Traffic> {
    pub p2p: P2pOutputs<N>,
    pub app: AppOutputs<N>,
}

impl<N: Traffic> Streams<N> {
    /// Takes all queued outputs. Returns whether there were any.
    pub fn read(&mut self, counts: &mut Counts) -> bool {
        let before = *counts;
        while let Some(batch) = self.p2p.try_recv_batch() {
            counts.add(&batch);
        }
        while self.app.try_recv().is_some() {
            counts.deliveries += 1;
        }
        *counts != before
    }
}

/// The transport of one engine.
pub struct ColocatedTransport<N: Traffic> {
    arbiters: Vec<ArbiterHandle>,
    worker: Worker<N>,
    /// The inputs of each peer, by its index.
    inputs: Arc<Vec<PeerInputs<N>>>,
    /// The connections of each arbiter, by its index.
    connections: Vec<Connections<N>>,
}

/// The connections of one arbiter. The arbiter itself allocates their names, ids and bodies.
struct Connections<N: Traffic> {
    arbiter: usize,
    arbiters: usize,
    topology: Option<Topology<N>>,
    source: N::Source,
    /// The input of the next run.
    copies: Vec<ReceivedCopy<N>>,
}

impl<N: Traffic> Connections<N> {
    fn new(arbiter: usize, arbiters: usize) -> Self {
        Self { arbiter, arbiters, topology: None, source: N::message_source(0), copies: Vec::new() }
    }

    /// Makes all copies and keeps those of this arbiter's peers.
    async fn prepare(mut self, topics: usize, peers: usize, messages: usize, payload: usize) -> Self {
        let topology = self.topology.get_or_insert_with(|| N::topology(topics, peers));
        let rounds = N::rounds(&mut self.source, topology, messages, payload);
        let copies = rounds.into_iter().flatten();
        self.copies = copies.filter(|copy| copy.peer % self.arbiters == self.arbiter).collect();
        self
    }
}

impl<N: Traffic> ColocatedTransport<N> {
    pub fn new(arbiters: Vec<ArbiterHandle>, worker: Worker<N>) -> Self {
        let connections = (0..arbiters.len()).map(|arbiter| Connections::new(arbiter, arbiters.len()));
        let connections = connections.collect();
        Self { arbiters, worker, inputs: Arc::default(), connections }
    }

    pub fn connect(&mut self, inputs: Vec<PeerInputs<N>>) {
        self.inputs = Arc::new(inputs);
    }

    pub async fn prepare(&mut self, topics: usize, messages: usize, payload: usize) {
        let peers = self.inputs.len();
        let prepared = self.arbiters.iter().zip(self.connections.drain(..)).map(|(arbiter, connections)| {
            spawn_on(arbiter, connections.prepare(topics, peers, messages, payload))
        });
        for prepared in prepared.collect::<Vec<_>>() {
            self.connections.push(result(prepared).await);
        }
    }

    /// Feeds the prepared copies and reads all outputs.
    pub async fn run(&mut self, streams: Streams<N>) -> (Streams<N>, Counts) {
        let inputs = self.connections.iter().map(|connections| connections.copies.len()).sum::<usize>();
        let messages = (inputs / DEGREE) as u64;
        let (first, last) = (&self.arbiters[0], &self.arbiters[self.arbiters.len() - 1]);
        let p2p = spawn_on(first, read_p2p(streams.p2p, messages * (DEGREE as u64 - 1)));
        let app = spawn_on(last, read_app(streams.app, messages));
        // The limit applies to the sum over all arbiters.
        let burst = BURST.min(MAX_IN_FLIGHT / (2 * self.arbiters.len()));
        let max_queued = MAX_IN_FLIGHT - burst * self.arbiters.len();
        let fed = self.arbiters.iter().zip(&mut self.connections).map(|(arbiter, connections)| {
            let copies = std::mem::take(&mut connections.copies);
            let (inputs, worker) = (Arc::clone(&self.inputs), self.worker.clone());
            spawn_on(arbiter, feed(inputs, worker, copies, burst, max_queued))
        });
        for fed in fed.collect::<Vec<_>>() {
            result(fed).await;
        }
        let ((p2p, forwards), (app, deliveries)) = (result(p2p).await, result(app).await);
        (Streams { p2p, app }, Counts { inputs: inputs as u64, forwards, deliveries })
    }
}

fn spawn_on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    task: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    assert!(arbiter.spawn(async move { drop(done.send(task.await)) }), "the arbiter runs");
    result
}

async fn result<T>(receiver: oneshot::Receiver<T>) -> T {
    let result = timeout(TIMEOUT, receiver).await.expect("all outputs arrive in time");
    result.expect("no task panics")
}

/// Feeds the copies of one arbiter's connections.
async fn feed<N: Traffic>(
    inputs: Arc<Vec<PeerInputs<N>>>,
    worker: Worker<N>,
    copies: Vec<ReceivedCopy<N>>,
    burst: usize,
    max_queued: usize,
) {
    for (count, copy) in copies.into_iter().enumerate() {
        if count.is_multiple_of(burst) {
            yield_now().await;
            while worker.input_queue_length() > max_queued {
                yield_now().await;
            }
        }
        copy.send(&inputs);
    }
}

/// A broadcast is read as one output, as the libp2p transport does.
async fn read_p2p<N: Traffic>(mut p2p: P2pOutputs<N>, forwards: u64) -> (P2pOutputs<N>, u64) {
    let mut counts = Counts::default();
    while counts.forwards < forwards {
        let Some(batch) = p2p.recv_batch().await else { break };
        counts.add(&batch);
    }
    (p2p, counts.forwards)
}

async fn read_app<N: Traffic>(mut app: AppOutputs<N>, messages: u64) -> (AppOutputs<N>, u64) {
    let mut deliveries = 0;
    while deliveries < messages && app.recv().await.is_some() {
        deliveries += 1;
    }
    (app, deliveries)
}

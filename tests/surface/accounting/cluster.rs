//! A cluster runs several engines and a simulated network between them. The network delivers every message between
//! connected peers, and reports undeliverable messages to the sender as a transport does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppInput, AppOutputs, ConnectionInfo, Delivery, Direction, DropReason, Limits, ManualClock, P2pInput,
    P2pMessage, P2pOutput, P2pOutputs, Started, Validity, Worker, WorkerBuilder, metrics::with_buckets,
    protocol::Lane,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use testkit::fragile::FragileNetwork;

use super::scrape::Scrape;

type NetMessage = P2pMessage<FragileNetwork>;

/// When messages are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationTiming {
    Synchronous,
    Asynchronous,
    Batched,
}

/// An engine with its streams, its recorder, and the number of delivered messages.
pub struct Member {
    pub worker: Worker<FragileNetwork>,
    p2p: P2pOutputs<FragileNetwork>,
    app: AppOutputs<FragileNetwork>,
    handle: PrometheusHandle,
    /// The number of delivered messages by topic.
    pub delivered: BTreeMap<String, usize>,
}

pub struct Cluster {
    pub members: Vec<Member>,
    clock: Arc<ManualClock>,
    /// The pairs of connected engines.
    connections: BTreeSet<(usize, usize)>,
    /// If true, messages with the content `unknown` are valid; otherwise their validity is unknown.
    known: Arc<AtomicBool>,
    batched: bool,
    next: u64,
}

impl Cluster {
    /// Starts `size` engines without connections.
    pub fn new(size: usize, limits: &Limits<String>, timing: ValidationTiming) -> Self {
        Self::with(size, limits, timing, |builder| builder)
    }

    pub fn with(
        size: usize,
        limits: &Limits<String>,
        timing: ValidationTiming,
        set: impl Fn(WorkerBuilder<FragileNetwork>) -> WorkerBuilder<FragileNetwork>,
    ) -> Self {
        let (clock, known) = (Arc::new(ManualClock::new()), Arc::new(AtomicBool::new(false)));
        let member = |seed: usize| {
            let network = network(timing, &known);
            let builder = Worker::builder(network, limits.clone()).manual().arbiters(2).seed(seed as u64);
            let builder = builder.clock(Arc::clone(&clock) as _).self_peer(seed as u64);
            let batching = Duration::from_millis(1);
            Member::start(set(match timing {
                ValidationTiming::Batched => builder.batching(batching),
                ValidationTiming::Synchronous | ValidationTiming::Asynchronous => builder,
            }))
        };
        let members = (0..size).map(member).collect();
        let batched = timing == ValidationTiming::Batched;
        Self { members, clock, connections: BTreeSet::new(), known, batched, next: 0 }
    }

    /// Connects two engines. The one with the lower number dials.
    pub async fn connect(&mut self, one: usize, other: usize) {
        for (member, peer, outbound) in [(one, other, one < other), (other, one, other < one)] {
            self.connections.insert((member, peer));
            let peer = peer as u64;
            let connection =
                P2pInput::NewConnection { peer, info: ConnectionInfo::new(Direction::outbound_if(outbound)) };
            self.members[member].worker.p2p_input(connection).expect("the input is accepted");
        }
        self.pump().await;
    }

    pub async fn connect_all(&mut self) {
        for other in 0..self.members.len() {
            for one in 0..other {
                self.connect(one, other).await;
            }
        }
    }

    /// Disconnects two engines. Messages between them that are still queued are lost.
    pub async fn disconnect(&mut self, one: usize, other: usize) {
        for (member, peer) in [(one, other), (other, one)] {
            self.connections.remove(&(member, peer));
            let disconnection = P2pInput::Disconnection { peer: peer as u64 };
            self.members[member].worker.p2p_input(disconnection).expect("the input is accepted");
        }
        self.pump().await;
    }

    pub async fn join(&mut self, member: usize, topic: &str) {
        self.members[member]
            .worker
            .app_input(AppInput::Join(topic.to_owned()))
            .expect("the input is accepted");
        self.pump().await;
    }

    pub async fn leave(&mut self, member: usize, topic: &str) {
        self.members[member]
            .worker
            .app_input(AppInput::Leave(topic.to_owned()))
            .expect("the input is accepted");
        self.pump().await;
    }

    /// Publishes a message. Its content determines its validity. `pump` delivers it to the peers.
    pub fn publish(&mut self, member: usize, topic: &str, content: &str) {
        self.next += 1;
        let message = FragileNetwork::message(topic, self.next, content);
        self.members[member].worker.app_input(AppInput::Publish(message)).expect("the input is accepted");
    }

    /// From now on messages of unknown validity are valid.
    pub fn decide_unknown(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// Advances the clock by a second and runs a heartbeat on each engine.
    pub async fn heartbeat(&mut self) {
        self.clock.advance(Duration::from_secs(1));
        for member in &self.members {
            member.worker.tick().await;
            member.worker.check_parked().await;
        }
        self.pump().await;
    }

    pub async fn heartbeats(&mut self, count: usize) {
        for _ in 0..count {
            self.heartbeat().await;
        }
    }

    /// Runs heartbeats until one changes no mesh and causes no message, so that the metrics set at its start equal the state at its end.
    pub async fn stabilize(&mut self) {
        for _ in 0..50 {
            let before = self.changes();
            self.heartbeats(2).await;
            if self.changes() == before {
                return;
            }
        }
        panic!("the meshes do not become stable");
    }

    /// The changes of meshes, and the received messages, so far.
    fn changes(&self) -> f64 {
        let changes = [
            ("gossipsub_mesh_grafted_total", [].as_slice()),
            ("gossipsub_mesh_pruned_total", &[]),
            ("gossipsub_rpc_received_total", &[("type", "message")]),
        ];
        self.scrapes().iter().flat_map(|scrape| changes.map(|(name, of)| scrape.sum(name, of))).sum()
    }

    /// As [`publish`](Self::publish), but waits while the input queue of the engine is full.
    pub async fn publish_with_retry(&mut self, member: usize, topic: &str, content: &str) {
        self.next += 1;
        let worker = &self.members[member].worker;
        let publish = || AppInput::Publish(FragileNetwork::message(topic, self.next, content));
        while worker.app_input(publish()).is_err() {
            worker.settle().await;
        }
    }

    /// Delivers messages between the engines until no engine sends one.
    pub async fn pump(&mut self) {
        loop {
            let mut messages = VecDeque::new();
            for (from, member) in self.members.iter_mut().enumerate() {
                if self.batched {
                    member.worker.settle().await;
                    member.worker.process_batch().await;
                }
                member.worker.settle().await;
                member.read(|to, message| messages.push_back((from, to, message)));
            }
            if messages.is_empty() {
                return;
            }
            for (from, to, message) in messages {
                self.deliver(from, to, message).await;
            }
        }
    }

    async fn deliver(&self, from: usize, to: usize, message: NetMessage) {
        if !self.connections.contains(&(from, to)) {
            let lane = lane(&message);
            return self.members[from].worker.report_dropped(lane, DropReason::Disconnected, 1);
        }
        let (worker, input) = (&self.members[to].worker, P2pInput::message(from as u64, message));
        while worker.p2p_input(input.clone()).is_err() {
            worker.settle().await;
        }
    }

    /// The current metrics of each engine.
    pub fn scrapes(&self) -> Vec<Scrape> {
        self.members.iter().map(Member::scrape).collect()
    }

    pub async fn shutdown(&mut self) {
        for member in &mut self.members {
            member.worker.shutdown().await;
        }
    }
}

impl Member {
    fn start(builder: WorkerBuilder<FragileNetwork>) -> Self {
        let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        let started = builder.recorder(Arc::new(recorder)).start([]).expect("an actix system runs");
        let Started { worker, p2p, app } = started;
        Self { worker, p2p, app, handle, delivered: BTreeMap::new() }
    }

    pub fn scrape(&self) -> Scrape {
        Scrape::parse(&self.handle.render())
    }

    /// Reads both streams.
    fn read(&mut self, mut each: impl FnMut(usize, NetMessage)) {
        while let Some(output) = self.p2p.try_recv() {
            if let P2pOutput::OutMessage { to_peer, message } = output {
                each(to_peer as usize, message);
            }
        }
        while let Some(message) = self.app.try_recv() {
            *self.delivered.entry(message.topic.clone()).or_default() += 1;
        }
    }
}

fn network(timing: ValidationTiming, known: &Arc<AtomicBool>) -> FragileNetwork {
    let known = Arc::clone(known);
    let validate = move |delivery: &Delivery<FragileNetwork>| match delivery.message.message.as_str() {
        "invalid" => Validity::Invalid,
        "outdated" => Validity::Outdated,
        "unknown" if !known.load(Ordering::Acquire) => Validity::Unknown,
        "panic" => panic!("a panic that a test injects"),
        _ => Validity::Valid,
    };
    match timing {
        ValidationTiming::Synchronous | ValidationTiming::Batched => FragileNetwork::with_validator(validate),
        ValidationTiming::Asynchronous => FragileNetwork::with_async_validator(move |delivery| {
            let verdict = validate(delivery);
            Box::pin(async move {
                tokio::task::yield_now().await;
                verdict
            })
        }),
    }
}

/// The lane of a message. The simulated network does not know the exact lane of full messages; the identities use the sum
/// of their three lanes.
fn lane(message: &NetMessage) -> Lane {
    match message {
        NetMessage::FullMessage(_) => Lane::Forward,
        NetMessage::IHave { .. } | NetMessage::IWant { .. } | NetMessage::IDontWant { .. } => Lane::Gossip,
        _ => Lane::Control,
    }
}

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
    plain::PlainNetwork, protocol::Lane,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::scrape::Scrape;

type NetMessage = P2pMessage<PlainNetwork>;

/// When verdicts are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judging {
    AtOnce,
    Later,
    InBatches,
}

/// An engine, and what it gave its application.
pub struct Member {
    pub worker: Worker<PlainNetwork>,
    p2p: P2pOutputs<PlainNetwork>,
    app: AppOutputs<PlainNetwork>,
    handle: PrometheusHandle,
    /// By topic.
    pub delivered: BTreeMap<String, usize>,
}

pub struct Cluster {
    pub members: Vec<Member>,
    clock: Arc<ManualClock>,
    /// Who is connected to whom.
    links: BTreeSet<(usize, usize)>,
    /// Whether messages of unknown validity are known to be valid now.
    known: Arc<AtomicBool>,
    batched: bool,
    next: u64,
}

impl Cluster {
    /// Engines that are not connected yet.
    pub fn new(size: usize, limits: &Limits<String>, judging: Judging) -> Self {
        Self::with(size, limits, judging, |builder| builder)
    }

    pub fn with(
        size: usize,
        limits: &Limits<String>,
        judging: Judging,
        set: impl Fn(WorkerBuilder<PlainNetwork>) -> WorkerBuilder<PlainNetwork>,
    ) -> Self {
        let (clock, known) = (Arc::new(ManualClock::new()), Arc::new(AtomicBool::new(false)));
        let member = |seed: usize| {
            let network = network(judging, &known);
            let builder = Worker::builder(network, limits.clone()).manual().arbiters(2).seed(seed as u64);
            let builder = builder.clock(Arc::clone(&clock) as _).self_peer(seed as u64);
            let batching = Duration::from_millis(1);
            Member::start(set(match judging {
                Judging::InBatches => builder.batching(batching),
                Judging::AtOnce | Judging::Later => builder,
            }))
        };
        let members = (0..size).map(member).collect();
        let batched = judging == Judging::InBatches;
        Self { members, clock, links: BTreeSet::new(), known, batched, next: 0 }
    }

    /// The lower number dials.
    pub async fn connect(&mut self, one: usize, other: usize) {
        for (at, peer, outbound) in [(one, other, one < other), (other, one, other < one)] {
            self.links.insert((at, peer));
            let peer = peer as u64;
            let up =
                P2pInput::NewConnection { peer, info: ConnectionInfo::new(Direction::outbound_if(outbound)) };
            self.members[at].worker.p2p_input(up).expect("the input is accepted");
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

    /// What is on its way then is lost.
    pub async fn disconnect(&mut self, one: usize, other: usize) {
        for (at, peer) in [(one, other), (other, one)] {
            self.links.remove(&(at, peer));
            let gone = P2pInput::Disconnection { peer: peer as u64 };
            self.members[at].worker.p2p_input(gone).expect("the input is accepted");
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

    /// Publishes a message of this content, which says what is thought of it; it is not carried yet.
    pub fn publish(&mut self, member: usize, topic: &str, content: &str) {
        self.next += 1;
        let message = PlainNetwork::message(topic, self.next, content);
        self.members[member].worker.app_input(AppInput::Publish(message)).expect("the input is accepted");
    }

    /// Messages of unknown validity turn out to be valid.
    pub fn know(&self) {
        self.known.store(true, Ordering::Release);
    }

    /// A second passes, and all have a heartbeat.
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

    /// Heartbeats until one changes nothing in a mesh: what was shown at its begin is so at its end.
    pub async fn quiet(&mut self) {
        for _ in 0..50 {
            let before = self.mesh_changes();
            self.heartbeats(2).await;
            if self.mesh_changes() == before {
                return;
            }
        }
        panic!("meshes do not come to rest");
    }

    fn mesh_changes(&self) -> f64 {
        let changes = ["gossipsub_mesh_grafted_total", "gossipsub_mesh_pruned_total"];
        self.scrapes().iter().flat_map(|scrape| changes.map(|name| scrape.sum(name, &[]))).sum()
    }

    /// As [`publish`](Self::publish), by an engine that may have too much to do.
    pub async fn publish_when_there_is_room(&mut self, member: usize, topic: &str, content: &str) {
        self.next += 1;
        let worker = &self.members[member].worker;
        let publish = || AppInput::Publish(PlainNetwork::message(topic, self.next, content));
        while worker.app_input(publish()).is_err() {
            worker.settle().await;
        }
    }

    /// Carries what is said until nobody says anything.
    pub async fn pump(&mut self) {
        loop {
            let mut said = VecDeque::new();
            for (from, member) in self.members.iter_mut().enumerate() {
                if self.batched {
                    member.worker.settle().await;
                    member.worker.process_batch().await;
                }
                member.worker.settle().await;
                member.read(|to, message| said.push_back((from, to, message)));
            }
            if said.is_empty() {
                return;
            }
            for (from, to, message) in said {
                self.carry(from, to, message).await;
            }
        }
    }

    async fn carry(&self, from: usize, to: usize, message: NetMessage) {
        if !self.links.contains(&(from, to)) {
            let lane = lane(&message);
            return self.members[from].worker.report_dropped(lane, DropReason::Disconnected, 1);
        }
        let (worker, input) = (&self.members[to].worker, P2pInput::message(from as u64, message));
        while worker.p2p_input(input.clone()).is_err() {
            worker.settle().await;
        }
    }

    /// What each says of itself now.
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
    fn start(builder: WorkerBuilder<PlainNetwork>) -> Self {
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

fn network(judging: Judging, known: &Arc<AtomicBool>) -> PlainNetwork {
    let known = Arc::clone(known);
    let judge = move |delivery: &Delivery<PlainNetwork>| match delivery.message.message.as_str() {
        "invalid" => Validity::Invalid,
        "outdated" => Validity::Outdated,
        "unknown" if !known.load(Ordering::Acquire) => Validity::Unknown,
        "panic" => panic!("as the test wants it"),
        _ => Validity::Valid,
    };
    match judging {
        Judging::AtOnce | Judging::InBatches => PlainNetwork::with_validator(judge),
        Judging::Later => PlainNetwork::with_async_validator(move |delivery| {
            let verdict = judge(delivery);
            async move {
                tokio::task::yield_now().await;
                verdict
            }
        }),
    }
}

/// Messages are carried without their lanes here: it is one of three, which are added up.
fn lane(message: &NetMessage) -> Lane {
    match message {
        NetMessage::FullMessage(_) => Lane::Forward,
        NetMessage::IHave { .. } | NetMessage::IWant { .. } | NetMessage::IDontWant { .. } => Lane::Gossip,
        _ => Lane::Control,
    }
}

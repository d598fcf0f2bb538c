//! This module makes the load of the overload bench: honest peers at a fixed rate, a flooding peer, and a topic with
//! slow validation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_gossipsub::{
    AppOutputs, Limits, P2pInput, P2pMessage, Started, Validity, Worker, plain::PlainNetwork, protocol::Event,
};
use tokio::task::JoinHandle;

pub const HONEST_PEERS: u64 = 8;
const FLOODER: u64 = 1000;
const VALIDATION: Duration = Duration::from_millis(5);
/// The time after which an honest message counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// The rates and durations of the load.
pub struct Schedule {
    pub phase: Duration,
    pub rounds: usize,
    /// An honest peer sends one message on its topic in each tick.
    pub tick: Duration,
    /// The number of messages that the flooder sends in a tick.
    pub flood: u64,
    /// The number of messages that one honest peer sends on the slow topic in a tick.
    pub slow: u64,
}

/// The additional load of a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExtraLoad {
    None,
    Flood,
    SlowTopic,
    Both,
}

impl ExtraLoad {
    pub const ALL: [Self; 4] = [Self::None, Self::Flood, Self::SlowTopic, Self::Both];

    pub fn floods(self) -> bool {
        matches!(self, Self::Flood | Self::Both)
    }

    fn is_slow(self) -> bool {
        matches!(self, Self::SlowTopic | Self::Both)
    }
}

/// The results of the phases with one load.
#[derive(Clone, Debug, Default)]
pub struct PhaseResult {
    /// Messages of honest peers on their own topics.
    pub delivered: u64,
    pub time: Duration,
    /// Refused messages of any peer.
    pub refused: u64,
    pub heartbeats: u64,
    pub skipped: u64,
}

impl PhaseResult {
    fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.time += other.time;
        self.refused += other.refused;
        self.heartbeats += other.heartbeats;
        self.skipped += other.skipped;
    }

    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.time.as_secs_f64()
    }
}

/// Measures one result for each of [`ExtraLoad::ALL`]. Runs inside an actix system.
pub async fn measure(limits: Limits<String>, schedule: &Schedule) -> Vec<PhaseResult> {
    let mut run = Run::start(limits);
    let mut results = vec![PhaseResult::default(); ExtraLoad::ALL.len()];
    for _ in 0..schedule.rounds {
        for (result, load) in results.iter_mut().zip(ExtraLoad::ALL) {
            result.add(&run.phase(load, schedule).await);
        }
    }
    run.worker.shutdown().await;
    results
}

/// An engine under load.
struct Run {
    worker: Worker<PlainNetwork>,
    app: AppOutputs<PlainNetwork>,
    heartbeats: Arc<AtomicU64>,
    skipped: Arc<AtomicU64>,
    numbers: Arc<AtomicU64>,
}

impl Run {
    fn start(limits: Limits<String>) -> Self {
        let (heartbeats, skipped): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let counters = (Arc::clone(&heartbeats), Arc::clone(&skipped));
        let observer = move |event: &Event<PlainNetwork>| match event {
            Event::Heartbeat { .. } => drop(counters.0.fetch_add(1, Ordering::Relaxed)),
            Event::HeartbeatSkipped { .. } => drop(counters.1.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        };
        let topics = (0..HONEST_PEERS).map(topic_of).chain(["slow".to_owned(), "flooded".to_owned()]);
        let builder = Worker::builder(network(), limits).arbiters(2).observer(observer);
        let Started { worker, mut p2p, app } = builder.start(topics).expect("an actix system runs");
        actix::spawn(async move { while p2p.recv_batch().await.is_some() {} });
        for peer in (0..HONEST_PEERS).chain([FLOODER]) {
            worker.p2p_input(P2pInput::connected(peer)).expect("the engine runs");
        }
        Self { worker, app, heartbeats, skipped, numbers: Arc::default() }
    }

    async fn phase(&mut self, load: ExtraLoad, schedule: &Schedule) -> PhaseResult {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (heartbeats, skipped) = (count(&self.heartbeats), count(&self.skipped));
        let (start, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let honest = (0..HONEST_PEERS).map(|peer| (peer, topic_of(peer), 1)).collect();
        let honest = self.sender(&stop, schedule.tick, honest);
        let others: Vec<_> = others(load, schedule)
            .into_iter()
            .map(|plan| self.sender(&stop, schedule.tick, vec![plan]))
            .collect();
        let mut delivered = self.read(schedule.phase, u64::MAX).await;
        stop.store(true, Ordering::Relaxed);
        let Sent { accepted, mut refused } = honest.await.expect("the sender does not panic");
        delivered += self.read(LOST_AFTER, accepted - delivered).await;
        let time = start.elapsed();
        for other in others {
            refused += other.await.expect("the sender does not panic").refused;
        }
        self.worker.settle().await;
        while self.app.try_recv().is_some() {}
        let (heartbeats, skipped) = (count(&self.heartbeats) - heartbeats, count(&self.skipped) - skipped);
        PhaseResult { delivered, time, refused, heartbeats, skipped }
    }

    /// Reads the application's stream for `span`, or until `wanted` messages of honest topics arrived. Returns the number of
    /// these messages.
    async fn read(&mut self, span: Duration, wanted: u64) -> u64 {
        let mut delivered = 0;
        let read = async {
            while delivered < wanted
                && let Some(message) = self.app.recv().await
            {
                delivered += u64::from(message.topic.starts_with("honest"));
            }
        };
        // Missing messages lower the measured throughput.
        let _ = tokio::time::timeout(span, read).await;
        delivered
    }

    /// A transport thread that sends `count` messages for each (peer, topic, count) in each tick.
    fn sender(
        &self,
        stop: &Arc<AtomicBool>,
        tick: Duration,
        plan: Vec<(u64, String, u64)>,
    ) -> JoinHandle<Sent> {
        let (worker, numbers, stop) = (self.worker.clone(), Arc::clone(&self.numbers), Arc::clone(stop));
        tokio::task::spawn_blocking(move || {
            let (start, mut sent) = (Instant::now(), Sent::default());
            for ticks in 1.. {
                for (peer, topic, count) in &plan {
                    for _ in 0..*count {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let message = PlainNetwork::message(topic, number, "content");
                        let input = P2pInput::message(*peer, P2pMessage::FullMessage(message.into()));
                        sent.count(worker.p2p_input(input).is_ok());
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep((tick * ticks).saturating_sub(start.elapsed()));
            }
            sent
        })
    }
}

/// The numbers of admitted and refused messages of a thread.
#[derive(Default)]
struct Sent {
    accepted: u64,
    refused: u64,
}

impl Sent {
    fn count(&mut self, accepted: bool) {
        *if accepted { &mut self.accepted } else { &mut self.refused } += 1;
    }
}

/// The additional senders: peer, topic, and messages per tick.
fn others(load: ExtraLoad, schedule: &Schedule) -> Vec<(u64, String, u64)> {
    let flood = load.floods().then(|| (FLOODER, "flooded".to_owned(), schedule.flood));
    let slow = load.is_slow().then(|| (0, "slow".to_owned(), schedule.slow));
    flood.into_iter().chain(slow).collect()
}

fn network() -> PlainNetwork {
    PlainNetwork::with_async_validator(|delivery| {
        let slow = delivery.message.topic == "slow";
        async move {
            if slow {
                tokio::time::sleep(VALIDATION).await;
            }
            Validity::Valid
        }
    })
}

fn topic_of(peer: u64) -> String {
    format!("honest{peer}")
}

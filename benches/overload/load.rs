//! Puts an engine on two arbiters under load and counts what it delivers. One thread sends for all honest peers;
//! the flooding peer and the slow topic have one thread each.

use std::{
    fmt,
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
const FLOODING_PEER: u64 = 1000;
const SLOW_TOPIC: &str = "slow";
const FLOODED_TOPIC: &str = "flooded";
/// The time of a validation on the slow topic.
const VALIDATION: Duration = Duration::from_millis(5);
/// The longest wait for honest messages after a phase. A message that is later counts as lost.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The amount of messages and time.
pub struct Settings {
    /// The duration of a phase.
    pub phase: Duration,
    /// Phases of each load.
    pub rounds: u32,
    /// The interval in which each honest peer sends one message on its topic.
    pub tick: Duration,
    /// Messages of the flooding peer in a tick.
    pub flood: u64,
    /// Messages on the slow topic in a tick, from an honest peer.
    pub slow: u64,
}

/// The load beside that of the honest peers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    None,
    Flood,
    SlowTopic,
    Both,
}

impl Load {
    pub const ALL: [Self; 4] = [Self::None, Self::Flood, Self::SlowTopic, Self::Both];

    /// Peer, topic and messages in a tick.
    fn senders(self, settings: &Settings) -> Vec<(u64, String, u64)> {
        let flood = (FLOODING_PEER, FLOODED_TOPIC.to_owned(), settings.flood);
        let slow = (0, SLOW_TOPIC.to_owned(), settings.slow);
        match self {
            Self::None => vec![],
            Self::Flood => vec![flood],
            Self::SlowTopic => vec![slow],
            Self::Both => vec![flood, slow],
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Flood => "one peer floods, 20 times an honest one",
            Self::SlowTopic => "validation on one topic takes 5 ms",
            Self::Both => "both",
        })
    }
}

/// The sums of the phases of one load.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// Delivered messages of honest peers on their own topics.
    pub delivered: u64,
    pub time: Duration,
    /// Refused messages of all peers.
    pub refused: u64,
    /// Skipped heartbeats.
    pub skipped: u64,
}

impl LoadResult {
    fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.time += other.time;
        self.refused += other.refused;
        self.skipped += other.skipped;
    }

    /// Delivered messages of honest peers a second.
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.time.as_secs_f64()
    }
}

/// Returns the result of each of [`Load::ALL`]. Must be called inside an actix system.
pub async fn measure(limits: Limits<String>, settings: &Settings) -> Vec<LoadResult> {
    let mut run = Run::start(limits);
    let mut results = vec![LoadResult::default(); Load::ALL.len()];
    for _ in 0..settings.rounds {
        for (result, load) in results.iter_mut().zip(Load::ALL) {
            result.add(&run.phase(load, settings).await);
        }
    }
    run.worker.shutdown().await;
    results
}

/// An engine under load.
struct Run {
    worker: Worker<PlainNetwork>,
    app: AppOutputs<PlainNetwork>,
    skipped: Arc<AtomicU64>,
    next_number: Arc<AtomicU64>,
}

impl Run {
    fn start(limits: Limits<String>) -> Self {
        let skipped: Arc<AtomicU64> = Arc::default();
        let counter = Arc::clone(&skipped);
        let observer = move |event: &Event<PlainNetwork>| {
            if matches!(event, Event::HeartbeatSkipped { .. }) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        let topics = (0..HONEST_PEERS).map(topic_of).chain([SLOW_TOPIC, FLOODED_TOPIC].map(str::to_owned));
        let builder = Worker::builder(network(), limits).arbiters(2).observer(observer);
        let Started { worker, mut p2p, app } = builder.start(topics).expect("inside a system");
        actix::spawn(async move { while p2p.recv_emission().await.is_some() {} });
        for peer in (0..HONEST_PEERS).chain([FLOODING_PEER]) {
            worker.p2p_input(P2pInput::connected(peer)).expect("the engine runs");
        }
        Self { worker, app, skipped, next_number: Arc::default() }
    }

    async fn phase(&mut self, load: Load, settings: &Settings) -> LoadResult {
        let skipped = self.skipped.load(Ordering::Relaxed);
        let (start, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let honest = (0..HONEST_PEERS).map(|peer| (peer, topic_of(peer), 1)).collect();
        let honest = self.spawn_sender(&stop, settings.tick, honest);
        let others = load.senders(settings).into_iter();
        let others: Vec<_> =
            others.map(|sender| self.spawn_sender(&stop, settings.tick, vec![sender])).collect();
        let mut delivered = self.read(settings.phase, u64::MAX).await;
        stop.store(true, Ordering::Relaxed);
        let Sent { admitted, mut refused } = honest.await.expect("the sender does not panic");
        delivered += self.read(TIMEOUT, admitted - delivered).await;
        let time = start.elapsed();
        for other in others {
            refused += other.await.expect("the sender does not panic").refused;
        }
        self.worker.settle().await;
        while self.app.try_recv().is_some() {}
        LoadResult { delivered, time, refused, skipped: self.skipped.load(Ordering::Relaxed) - skipped }
    }

    /// Reads the application's stream until `time` is over or `max` honest messages have come. Returns the number of
    /// honest messages.
    async fn read(&mut self, time: Duration, max: u64) -> u64 {
        let mut delivered = 0;
        let read = async {
            while delivered < max
                && let Some(message) = self.app.recv().await
            {
                delivered += u64::from(message.topic.starts_with("honest"));
            }
        };
        // Messages that are missing after the timeout are missing in the throughput.
        let _ = tokio::time::timeout(time, read).await;
        delivered
    }

    /// Starts a thread that sends, in each tick, a number of messages for each (peer, topic, number).
    fn spawn_sender(
        &self,
        stop: &Arc<AtomicBool>,
        tick: Duration,
        senders: Vec<(u64, String, u64)>,
    ) -> JoinHandle<Sent> {
        let (worker, numbers, stop) = (self.worker.clone(), Arc::clone(&self.next_number), Arc::clone(stop));
        tokio::task::spawn_blocking(move || {
            let (start, mut sent) = (Instant::now(), Sent::default());
            for ticks in 1.. {
                for (peer, topic, count) in &senders {
                    for _ in 0..*count {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let message = PlainNetwork::message(topic, number, "content");
                        let input = P2pInput::said(*peer, P2pMessage::FullMessage(message.into()));
                        sent.record(worker.p2p_input(input).is_ok());
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

/// The messages of one sender.
#[derive(Default)]
struct Sent {
    admitted: u64,
    refused: u64,
}

impl Sent {
    fn record(&mut self, admitted: bool) {
        *if admitted { &mut self.admitted } else { &mut self.refused } += 1;
    }
}

fn network() -> PlainNetwork {
    PlainNetwork::with_later_validator(|message| {
        let slow = message.topic == SLOW_TOPIC;
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

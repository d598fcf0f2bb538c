//! How the engine holds when it is given too much: what honest peers keep of their throughput while one
//! peer floods, and while one topic's verdicts take 5 ms each. Ratios of phases of one run, interleaved,
//! so that a noisy machine does not matter. `cargo bench --bench overload`

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Started, Validity, Worker, plain::PlainNetwork,
    protocol::Event,
};

const PHASE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
const HONEST_PEERS: u64 = 8;
/// What each honest peer sends in a millisecond.
const HONEST_PER_MS: u64 = 1;
const FLOODER: u64 = 1000;
/// The flooder sends so many times what an honest peer does.
const FLOOD_FACTOR: u64 = 20;

fn main() {
    actix::System::new().block_on(async {
        let bench = Bench::start();
        println!("{ROUNDS} rounds of {PHASE:?} a phase; {HONEST_PEERS} honest peers on as many topics");
        let mut rows = vec![Row::default(); Load::ALL.len()];
        for _ in 0..ROUNDS {
            for (row, load) in rows.iter_mut().zip(Load::ALL) {
                row.add(bench.phase(load).await);
            }
        }
        let base = rows[0].per_second();
        println!("| load | honest messages/s | ratio | refused | heartbeats skipped |");
        println!("|---|---|---|---|---|");
        for (row, load) in rows.iter().zip(Load::ALL) {
            let (rate, ratio) = (row.per_second(), row.per_second() / base);
            println!("| {} | {rate:.0} | {ratio:.3} | {} | {} |", load.name(), row.refused, row.skipped);
        }
        bench.worker.shutdown().await;
    });
}

/// What else goes on in a phase.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    None,
    Flood,
    SlowTopic,
    Both,
}

impl Load {
    const ALL: [Self; 4] = [Self::None, Self::Flood, Self::SlowTopic, Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flood => "one peer floods, 20 times an honest one",
            Self::SlowTopic => "one topic's verdicts take 5 ms",
            Self::Both => "both",
        }
    }

    fn floods(self) -> bool {
        matches!(self, Self::Flood | Self::Both)
    }

    fn is_slow(self) -> bool {
        matches!(self, Self::SlowTopic | Self::Both)
    }
}

/// What phases of one load came to.
#[derive(Clone, Default)]
struct Row {
    delivered: u64,
    time: Duration,
    refused: u64,
    skipped: u64,
}

impl Row {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.time += other.time;
        self.refused += other.refused;
        self.skipped += other.skipped;
    }

    fn per_second(&self) -> f64 {
        self.delivered as f64 / self.time.as_secs_f64()
    }
}

struct Bench {
    worker: Worker<PlainNetwork>,
    delivered: Arc<AtomicU64>,
    skipped: Arc<AtomicU64>,
    numbers: Arc<AtomicU64>,
}

impl Bench {
    fn start() -> Self {
        let network = PlainNetwork::with_later_validator(|message| {
            let slow = message.topic == "slow";
            async move {
                if slow {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Validity::Valid
            }
        });
        let skipped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&skipped);
        let observer = move |event: &Event<PlainNetwork>| {
            if matches!(event, Event::HeartbeatSkipped { .. }) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let limits = Limits::try_from(LimitsConfig::tezos_dal()).expect("a preset");
        let topics = (0..HONEST_PEERS).map(topic_of).chain(["slow".to_owned(), "flooded".to_owned()]);
        let builder = Worker::builder(network, limits).arbiters(2).observer(observer);
        let Started { worker, mut p2p, mut app } = builder.start(topics).expect("inside a system");
        let delivered = Arc::new(AtomicU64::new(0));
        let honest = Arc::clone(&delivered);
        actix::spawn(async move { while p2p.recv_emission().await.is_some() {} });
        actix::spawn(async move {
            while let Some(message) = app.recv().await {
                if message.topic.starts_with("honest") {
                    honest.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for peer in (0..HONEST_PEERS).chain([FLOODER]) {
            worker.p2p_input(P2pInput::connected(peer)).expect("it runs");
        }
        Self { worker, delivered, skipped, numbers: Arc::default() }
    }

    async fn phase(&self, load: Load) -> Row {
        let stop = Arc::new(AtomicBool::new(false));
        let (delivered, skipped) =
            (self.delivered.load(Ordering::Relaxed), self.skipped.load(Ordering::Relaxed));
        let began = Instant::now();
        let honest = (0..HONEST_PEERS).map(|peer| (peer, topic_of(peer), HONEST_PER_MS)).collect();
        let mut senders = vec![self.sender(&stop, honest)];
        if load.floods() {
            let flood = vec![(FLOODER, "flooded".to_owned(), HONEST_PER_MS * FLOOD_FACTOR)];
            senders.push(self.sender(&stop, flood));
        }
        if load.is_slow() {
            senders.push(self.sender(&stop, vec![(0, "slow".to_owned(), 1)]));
        }
        tokio::time::sleep(PHASE).await;
        stop.store(true, Ordering::Relaxed);
        let refused = senders.into_iter().map(|sender| sender.join().expect("no panic")).sum();
        self.worker.settle().await;
        Row {
            delivered: self.delivered.load(Ordering::Relaxed) - delivered,
            time: began.elapsed(),
            refused,
            skipped: self.skipped.load(Ordering::Relaxed) - skipped,
        }
    }
}

impl Bench {
    /// A transport thread that sends, each millisecond, for each (peer, topic, count) so many messages.
    /// Answers how many were refused.
    fn sender(&self, stop: &Arc<AtomicBool>, plan: Vec<(u64, String, u64)>) -> thread::JoinHandle<u64> {
        let (worker, numbers, stop) = (self.worker.clone(), Arc::clone(&self.numbers), Arc::clone(stop));
        thread::spawn(move || {
            let (began, mut refused) = (Instant::now(), 0);
            for ms in 1.. {
                for (peer, topic, count) in &plan {
                    for _ in 0..*count {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let message = PlainNetwork::message(topic, number, "content");
                        let input = P2pInput::said(*peer, P2pMessage::FullMessage(message.into()));
                        refused += u64::from(worker.p2p_input(input).is_err());
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(Duration::from_millis(ms).saturating_sub(began.elapsed()));
            }
            refused
        })
    }
}

fn topic_of(peer: u64) -> String {
    format!("honest{peer}")
}

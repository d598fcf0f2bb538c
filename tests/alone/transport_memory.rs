//! One test fills all parts of a transport's memory at once, by real connections: queues of peers that do not read, frames
//! that are sent in part, and inputs that no engine takes. It compares the heap with the limit. Another one measures the
//! subscriptions of many peers.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use actix_gossipsub::{
    Limits, LimitsConfig, Network, P2pInput, P2pMessage, P2pOutput, Worker,
    libp2p::{
        BehaviourConfig, Event, Libp2pNetwork, SignaturePolicy, TransportBehaviour, TransportBehaviourEvent,
        TransportConfig, swarm,
    },
    protocol::{Lane, OutputBatch},
};
use futures::StreamExt;
use libp2p::{PeerId, Swarm, identity::Keypair, swarm::SwarmEvent};
use testkit::swarms::{Raw, Reads, listen, other};

use crate::{lock_process, spam::HEAP};

type Message = P2pMessage<Libp2pNetwork>;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LIMIT: usize = 32 * MIB;
/// The raw peers of each kind.
const KIND: usize = 6;

struct Scenario {
    node: Swarm<TransportBehaviour>,
    network: Libp2pNetwork,
    raws: Vec<Swarm<Raw>>,
    /// The inputs that no engine takes.
    pending: Vec<Event>,
    connected: Vec<PeerId>,
}

impl Scenario {
    fn poll(&mut self, cx: &mut Context<'_>) {
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for raw in &mut self.raws {
                while raw.poll_next_unpin(cx).is_ready() {
                    progress = true;
                }
            }
            progress |= self.poll_node(cx);
        }
    }

    fn poll_node(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(Some(event)) = self.node.poll_next_unpin(cx) {
            progress = true;
            if let SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(Event::Inputs(inputs))) = event {
                match inputs.front() {
                    Some(P2pInput::NewConnection { peer, .. }) => self.connected.push(*peer),
                    _ => self.pending.push(Event::Inputs(inputs)),
                }
            }
        }
        progress
    }

    fn charged(&self) -> usize {
        self.network.transport_stats().memory_bytes as usize
    }

    /// Runs all swarms until `done`.
    async fn run(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let work = poll_fn(|cx| {
            self.poll(cx);
            if done(self) { Poll::Ready(()) } else { Poll::Pending }
        });
        let waited = tokio::time::timeout(Duration::from_secs(60), work).await;
        assert!(waited.is_ok(), "not within a minute: {what}, {} bytes", self.charged());
    }

    /// Runs the node alone for a while: it writes what the sockets take.
    async fn run_node(&mut self) {
        let work = poll_fn(|cx| {
            self.poll_node(cx);
            Poll::<()>::Pending
        });
        let _ = tokio::time::timeout(Duration::from_millis(200), work).await;
    }
}

/// A frame with 2,000 GRAFTs of a topic with a short name, whose decoded form takes many times as much.
fn short_entries() -> Vec<u8> {
    let control: Vec<u8> = (0..2_000).flat_map(|_| [0x1a, 3, 0x0a, 1, b't']).collect();
    // The control part is field 3 of an RPC; both lengths have two bytes as varints.
    let length = |length: usize| [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    let head = [&[0x1a][..], &length(control.len())].concat();
    [&length(head.len() + control.len())[..], &head, &control].concat()
}

#[test]
fn a_full_transport_uses_most_of_its_memory_limit_and_no_more_than_it_states() {
    let _alone = lock_process();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = BehaviourConfig::default().with(|c| {
            c.max_memory = LIMIT;
            (c.write_timeout, c.frame_timeout) = (Duration::MAX, Duration::MAX);
        });
        let bound = config.memory_at_most(3 * KIND);
        let key = Keypair::generate_ed25519();
        let network = Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone()))).build();
        // Its connections run on this thread, so that nothing is written or read between two steps.
        let config = TransportConfig::default().with(|c| (c.gossipsub, c.connection_threads) = (config, 0));
        let mut node = swarm(key, network.clone(), &config).expect("a swarm");
        let (address, us) = (listen(&mut node).await, *node.local_peer_id());
        let raw = |_| other(|_| Raw::new(Reads::Nothing));
        let raws = (0..3 * KIND).map(raw).collect();
        let mut scenario = Scenario { node, network: network.clone(), raws, pending: Vec::new(), connected: Vec::new() };
        for raw in &mut scenario.raws {
            raw.dial(address.clone()).expect("an address");
        }
        scenario.run("all are connected", |scenario| scenario.connected.len() == 3 * KIND).await;

        // The bytes of the peers are in memory before the first measurement.
        let mut frame = vec![0x80, 0x80, 0x40];
        frame.resize(900 * KIB, 0);
        for (index, raw) in scenario.raws.iter_mut().enumerate() {
            match index / KIND {
                0 => raw.behaviour_mut().write(us, frame.clone(), 8 * KIB),
                1 => raw.behaviour_mut().write(us, short_entries().repeat(20), 8 * KIB),
                _ => {}
            }
        }
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        scenario.run("frames and inputs fill memory", |scenario| scenario.charged() >= 6 * MIB).await;
        let read = scenario.charged();

        // The peers that do not read get messages of their own, and control.
        let silent: Vec<_> = scenario.raws[2 * KIND..].iter().map(|raw| *raw.local_peer_id()).collect();
        for number in 0..100 {
            for to in &silent {
                let message = scenario.network.message("news".into(), vec![number; 60_000]).expect("a key");
                let (to, message) = (vec![*to], message.into());
                let message = OutputBatch::Broadcast { to, message, lane: Lane::Forward, sent_first: false };
                scenario.node.behaviour_mut().gossipsub.emit(message);
            }
        }
        let messages = scenario.charged() - read;
        // Six peers may have 3/4 of what the others leave; a peer with more would be disconnected.
        let grafts = (0..5_000).take_while(|_| network.transport_stats().memory_bytes < LIMIT as u64 * 7 / 10);
        for number in grafts {
            for to in &silent {
                let topic = format!("{number}-{}", "n".repeat(1_000)).into();
                let message = Message::Graft { topic };
                scenario.node.behaviour_mut().gossipsub.apply(P2pOutput::OutMessage { to_peer: *to, message });
            }
        }
        scenario.run_node().await;
        let (used, peak) = (HEAP.current_usage() - before, HEAP.peak_usage() - before);
        println!(
            "{used} bytes in use, {peak} at the peak, of {bound} stated; {} charged: {read} read, {messages} messages",
            scenario.charged()
        );
        assert!(peak <= bound, "{peak} bytes, above {bound}");
        assert!(used >= LIMIT * 2 / 3, "{used} bytes are less than two thirds of {LIMIT}");

        let Scenario { node, pending, .. } = scenario;
        drop((node, pending));
        // The tasks of the connections end.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(network.transport_stats().memory_bytes, 0);
    });
}

#[test]
fn peers_with_all_subscriptions_that_they_may_have_take_no_more_than_the_names_may() {
    const PEERS: usize = 100;
    let _alone = lock_process();
    actix::System::new().block_on(async {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
        let topics = limits.max_topics_per_peer;
        let policy = SignaturePolicy::StrictNoSign;
        let builder = Worker::builder(Libp2pNetwork::builder(policy).build(), limits).arbiters(0).manual();
        let started = builder.start(["news".into()]).expect("a system");
        let worker = &started.worker;
        let send = async |input: P2pInput<Libp2pNetwork>| {
            while worker.p2p_input(input.clone()).is_err() {
                worker.settle().await;
            }
        };
        let before = HEAP.current_usage();
        for number in 0..PEERS {
            let peer = PeerId::random();
            send(P2pInput::connected(peer)).await;
            for topic in 0..topics {
                let name = format!("junk-of-{number}-{topic}");
                send(P2pInput::message(peer, Message::subscribe(name.into()))).await;
            }
        }
        worker.settle().await;
        let used = HEAP.current_usage() - before;
        let footprint = worker.footprint().await.expect("the engine runs");
        let subscriptions = footprint.subscriptions;
        println!("{PEERS} peers of {topics} topics each: {used} bytes for {subscriptions} subscriptions");
        assert!(used <= 128 * MIB, "{used} bytes");
        drop(started);
    });
}

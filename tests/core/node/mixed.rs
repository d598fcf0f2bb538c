//! Networks of nodes that speak different versions: floodsub, v1.0, v1.1 and v1.2. Two connected nodes speak the latest version
//! of both. Whatever the topology, every message arrives at every node, and its application receives it once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use actix_gossipsub::{
    ConnectionInfo, LimitsConfig, P2pInput, P2pMessage, P2pOutput,
    limits::Limits,
    protocol::{Node, NodeOptions, Timestamp},
};
use proptest::{collection::vec, prelude::*};

use super::setup::{Plain, TOPIC, full};

/// What a node speaks at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Floodsub,
    V1_0,
    V1_1,
    V1_2,
}

struct Mixed {
    versions: Vec<Version>,
    nodes: Vec<Node<Plain>>,
    limits: LimitsConfig<u32>,
    now: Timestamp,
    /// Sender, recipient and message.
    in_flight: VecDeque<(u32, u32, P2pMessage<Plain>)>,
    /// How many times the application of each node received each message.
    received: BTreeMap<(u32, u32), usize>,
    /// The messages that were sent over each connection that carries floodsub.
    over_floodsub: BTreeSet<(u32, u32, u32)>,
}

impl Mixed {
    fn new(versions: Vec<Version>) -> Self {
        let limits = LimitsConfig::<u32>::default().with(|limits| {
            // Every message counts as large.
            limits.extensions.idontwant_message_size = 1;
        });
        let make = |seed| {
            let network = Plain::default();
            network.size.store(1, std::sync::atomic::Ordering::Relaxed);
            let limits = Limits::try_from(limits.clone()).expect("valid limits");
            Node::new(Arc::new(network), limits, NodeOptions::default().with(|o| o.seed = seed))
        };
        Self {
            nodes: (0..versions.len() as u64).map(make).collect(),
            versions,
            limits,
            now: Timestamp::ZERO,
            in_flight: VecDeque::new(),
            received: BTreeMap::new(),
            over_floodsub: BTreeSet::new(),
        }
    }

    /// What is spoken between two nodes.
    fn version(&self, one: u32, other: u32) -> Version {
        self.versions[one as usize].min(self.versions[other as usize])
    }

    fn connect(&mut self, from: u32, to: u32) {
        let info = |info: ConnectionInfo| match self.version(from, to) {
            Version::Floodsub => info.floodsub(),
            _ => info,
        };
        let (outbound, inbound) = (info(ConnectionInfo::outbound()), info(ConnectionInfo::inbound()));
        self.nodes[from as usize].add_peer(&to, &outbound, self.now);
        self.nodes[to as usize].add_peer(&from, &inbound, self.now);
        self.settle();
    }

    fn join(&mut self, node: u32) {
        self.nodes[node as usize].join(&TOPIC, self.now);
        self.settle();
    }

    fn publish(&mut self, node: u32, message: u32) {
        self.nodes[node as usize].publish(full(message), self.now);
        self.settle();
    }

    fn run(&mut self, heartbeats: u32) {
        for _ in 0..heartbeats {
            self.now = self.now.after(self.limits.heartbeat_interval);
            for node in &mut self.nodes {
                node.heartbeat(self.now);
            }
            self.settle();
        }
    }

    /// Delivers all messages in flight, and those that follow.
    fn settle(&mut self) {
        loop {
            (0..self.nodes.len() as u32).for_each(|node| self.take_outputs(node));
            let Some((from_peer, to, message)) = self.in_flight.pop_front() else { return };
            let input = P2pInput::InMessage { from_peer, message };
            self.nodes[to as usize].p2p_input(input, self.now);
        }
    }

    fn take_outputs(&mut self, number: u32) {
        let outputs = self.nodes[number as usize].drain();
        for message in outputs.app {
            *self.received.entry((number, message.message_id)).or_default() += 1;
        }
        for output in outputs.p2p {
            let P2pOutput::OutMessage { to_peer, message } = output else { continue };
            if let Some(message) = self.transport(number, to_peer, message) {
                self.in_flight.push_back((number, to_peer, message));
            }
        }
    }

    /// What arrives of a message over a connection.
    fn transport(&mut self, from: u32, to: u32, message: P2pMessage<Plain>) -> Option<P2pMessage<Plain>> {
        let version = self.version(from, to);
        match message {
            P2pMessage::FullMessage(full) => {
                let is_first = self.over_floodsub.insert((from, to, full.message_id));
                assert!(is_first || version != Version::Floodsub, "{full:?} twice from {from} to {to}");
                Some(P2pMessage::FullMessage(full))
            }
            P2pMessage::Ping => None,
            P2pMessage::Subscribe { .. } | P2pMessage::Unsubscribe { .. } => Some(message),
            control => {
                assert_ne!(version, Version::Floodsub, "{control:?} from {from} to {to}");
                match control {
                    P2pMessage::IDontWant { .. } => (version >= Version::V1_2).then_some(control),
                    P2pMessage::Prune { topic, .. } if version == Version::V1_0 => {
                        let backoff = self.limits.prune_backoff;
                        Some(P2pMessage::Prune { topic, px: Vec::new(), backoff })
                    }
                    control => Some(control),
                }
            }
        }
    }
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        2 => Just(Version::Floodsub),
        1 => Just(Version::V1_0),
        1 => Just(Version::V1_1),
        2 => Just(Version::V1_2),
    ]
}

/// The version of each of up to 12 nodes, the earlier node that it is connected to, and further connections.
fn network() -> impl Strategy<Value = (Vec<(Version, usize)>, Vec<(usize, usize)>)> {
    (vec((version(), any::<usize>()), 2..13), vec((any::<usize>(), any::<usize>()), 0..30))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_arrives_everywhere_once((nodes, further) in network(), joins_first: bool) {
        let mut network = Mixed::new(nodes.iter().map(|(version, _)| *version).collect());
        let count = nodes.len() as u32;
        if joins_first {
            (0..count).for_each(|node| network.join(node));
        }
        let tree = (1..).zip(&nodes[1..]).map(|(node, (_, to))| (node, to % node));
        let further = further.into_iter().map(|(from, to)| (from % nodes.len(), to % nodes.len()));
        let mut connected = BTreeSet::new();
        for (from, to) in tree.chain(further).map(|(from, to)| (from as u32, to as u32)) {
            if from != to && connected.insert((from.min(to), from.max(to))) {
                network.connect(from, to);
            }
        }
        if !joins_first {
            (0..count).for_each(|node| network.join(node));
        }
        network.run(2);
        let mut published = BTreeMap::new();
        for message in 0..2 * count {
            network.publish(message % count, message);
            published.insert(message, message % count);
            if message % 5 == 0 {
                network.run(1);
            }
        }
        network.run(3);
        for (message, publisher) in published {
            for node in 0..count {
                let times = network.received.get(&(node, message)).copied().unwrap_or_default();
                let expected = usize::from(node != publisher);
                prop_assert_eq!(times, expected, "message {} of {} at {}", message, publisher, node);
            }
        }
    }
}

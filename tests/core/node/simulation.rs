//! A [`Simulation`] is a network of nodes in virtual time, in which messages arrive at once, and one of which is attacked:
//! node 0. The attackers are Sybils: peers that connect to it, subscribe, and send GRAFTs, and nothing else unless a test
//! lets them publish. They know the backoffs that they are sent, and send the next GRAFT when they are over.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    ops::Range,
    sync::Arc,
};

use actix_gossipsub::{
    ConnectionInfo, P2pInput, P2pMessage, P2pOutput,
    limits::{Limits, LimitsConfig, TopicScores},
    protocol::{Node, NodeOptions, Timestamp},
};

use super::setup::{Plain, TOPIC, full};

/// The attacked node.
pub const TARGET: u32 = 0;
/// The names of Sybils begin here.
const SYBILS: u32 = 1000;

/// Who connects to whom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dial {
    /// The honest nodes dial the attacked one.
    In,
    /// The attacked node dials the honest ones.
    Out,
}

/// When Sybils send their GRAFTs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// As soon as they may.
    AtOnce,
    /// As soon as they may, but only as many as a mesh has room for, so that there are always some without a backoff.
    OneByOne,
}

/// A parameter set, with [`TOPIC`] in place of the topic `name`.
pub fn with_topic(preset: LimitsConfig<String>, name: &str) -> LimitsConfig<u32> {
    let mut numbers = BTreeMap::new();
    let number = |topic: String| {
        let next = TOPIC + 1 + numbers.len() as u32;
        let number = if topic.contains(name) { TOPIC } else { *numbers.entry(topic).or_insert(next) };
        Ok::<_, Infallible>(number)
    };
    let mut limits = preset.map_topics(number).unwrap_or_else(|never| match never {});
    if let TopicScores::Family(family) = &mut limits.score.topics
        && let Some(entry) = family.patterns.iter().find(|it| it.pattern.as_str().contains(name))
    {
        family.weights.insert(TOPIC, entry.weight);
        family.parameters.insert(TOPIC, entry.parameters.clone());
    }
    limits
}

pub struct Simulation {
    limits: LimitsConfig<u32>,
    nodes: BTreeMap<u32, Node<Plain>>,
    now: Timestamp,
    /// Sender, recipient and message.
    in_flight: VecDeque<(u32, u32, P2pMessage<Plain>)>,
    sybils: BTreeMap<u32, Sybil>,
    strategy: Strategy,
    /// The messages that the application of each node received.
    received: BTreeMap<u32, BTreeSet<u32>>,
    next_message: u32,
}

#[derive(Clone, Copy, Default)]
struct Sybil {
    is_member: bool,
    /// The end of its backoff.
    until: Timestamp,
}

impl Simulation {
    /// The attacked node and `honest` others, which have joined the topic. The others are connected to each other.
    pub fn new(limits: LimitsConfig<u32>, honest: u32, are_connected: bool) -> Self {
        let make = |number: u32| {
            let limits = Limits::try_from(limits.clone()).expect("valid limits");
            let mut node = Node::new(
                Arc::new(Plain::default()),
                limits,
                NodeOptions::default().with(|o| o.seed = u64::from(number) + 1),
            );
            node.join(&TOPIC, Timestamp::ZERO);
            (number, node)
        };
        let mut simulation = Self {
            nodes: (0..=honest).map(make).collect(),
            limits,
            now: Timestamp::ZERO,
            in_flight: VecDeque::new(),
            sybils: BTreeMap::new(),
            strategy: Strategy::AtOnce,
            received: BTreeMap::new(),
            next_message: 0,
        };
        for one in (1..=honest).filter(|_| are_connected) {
            (1..one).for_each(|other| simulation.connect(one, other));
        }
        simulation
    }

    fn honest(&self) -> Range<u32> {
        1..self.nodes.len() as u32
    }

    /// Sybils connect to the attacked node and graft it.
    pub fn attack(&mut self, sybils: u32, strategy: Strategy) {
        self.strategy = strategy;
        let now = self.now;
        for sybil in SYBILS..SYBILS + sybils {
            self.sybils.insert(sybil, Sybil::default());
            self.node(TARGET).add_peer(&sybil, &ConnectionInfo::inbound(), now);
            self.node(TARGET).subscribe(&sybil, &TOPIC, now);
        }
        self.settle(TARGET);
        self.graft_by_sybils();
    }

    /// The honest nodes and the attacked one connect.
    pub fn dial(&mut self, dial: Dial) {
        for honest in self.honest() {
            match dial {
                Dial::In => self.connect(honest, TARGET),
                Dial::Out => self.connect(TARGET, honest),
            }
        }
    }

    /// Runs heartbeats, in each of which the attacked node and one honest node publish a message.
    pub fn run_with_traffic(&mut self, heartbeats: u64) {
        let honest = self.honest().cycle();
        for publisher in honest.take(heartbeats as usize) {
            self.publish(publisher);
            self.publish(TARGET);
            self.run(1);
        }
    }

    /// Runs heartbeats, in each of which the attacked node and one honest node publish a message. Returns the delivered part
    /// of the messages of honest nodes at the attacked one, and of those of the attacked one at each of the honest ones. A
    /// message is delivered if the application receives it, over the mesh or after gossip, within `history_length`
    /// heartbeats: then it leaves the history of its publisher.
    pub fn deliver(&mut self, heartbeats: u64) -> (f64, f64) {
        let honest = self.honest();
        let mut expected = VecDeque::new();
        let (mut counts, mut delivered) = ([0_u32; 2], [0_u32; 2]);
        let history = self.limits.history_length;
        for round in 0..heartbeats + history as u64 {
            let mut published = Vec::new();
            if round < heartbeats {
                let publisher = honest.start + (round % u64::from(honest.end - honest.start)) as u32;
                published.push((0, self.publish(publisher), TARGET..TARGET + 1));
                published.push((1, self.publish(TARGET), honest.clone()));
            }
            expected.push_back(published);
            self.run(1);
            let due = if expected.len() == history { expected.pop_front() } else { None };
            for (direction, message, recipients) in due.into_iter().flatten() {
                let has = |node: &u32| self.received[node].contains(&message);
                counts[direction] += recipients.len() as u32;
                delivered[direction] += recipients.filter(has).count() as u32;
            }
        }
        let part = |direction: usize| f64::from(delivered[direction]) / f64::from(counts[direction]);
        (part(0), part(1))
    }

    /// Runs heartbeats. In each, every node has its turn.
    pub fn run(&mut self, heartbeats: u64) {
        let turns = self.nodes.len() as u32;
        for turn in (0..heartbeats).flat_map(|_| 0..turns) {
            self.now = self.now.after(self.limits.heartbeat_interval / turns);
            let now = self.now;
            self.node(turn).heartbeat(now);
            self.settle(turn);
            if turn == TARGET {
                self.graft_by_sybils();
            }
        }
    }

    fn publish(&mut self, node: u32) -> u32 {
        self.next_message += 1;
        let (message, now) = (self.next_message, self.now);
        self.node(node).publish(full(message), now);
        self.settle(node);
        message
    }

    /// The number of honest peers, and of Sybils, in the mesh of the attacked node.
    pub fn mesh(&self) -> (usize, usize) {
        let mesh = self.nodes[&TARGET].view(self.now).mesh.remove(&TOPIC).unwrap_or_default();
        let honest = mesh.iter().filter(|peer| **peer < SYBILS).count();
        (honest, mesh.len() - honest)
    }

    fn node(&mut self, number: u32) -> &mut Node<Plain> {
        self.nodes.get_mut(&number).expect("the node exists")
    }

    fn connect(&mut self, from: u32, to: u32) {
        let now = self.now;
        self.node(from).add_peer(&to, &ConnectionInfo::outbound(), now);
        self.node(to).add_peer(&from, &ConnectionInfo::inbound(), now);
        self.settle(from);
        self.settle(to);
    }

    /// Takes the outputs of a node, and delivers its messages and those that follow.
    fn settle(&mut self, node: u32) {
        self.take_outputs(node);
        while let Some((from_peer, to, message)) = self.in_flight.pop_front() {
            let now = self.now;
            if let Some(node) = self.nodes.get_mut(&to) {
                node.p2p_input(P2pInput::InMessage { from_peer, message }, now);
                self.take_outputs(to);
            } else if let (P2pMessage::Prune { backoff, .. }, Some(sybil)) =
                (message, self.sybils.get_mut(&to))
            {
                *sybil = Sybil { is_member: false, until: now.after(backoff) };
            }
        }
    }

    fn take_outputs(&mut self, number: u32) {
        let outputs = self.node(number).drain();
        let ids = outputs.app.iter().map(|message| message.message_id);
        self.received.entry(number).or_default().extend(ids);
        for output in outputs.p2p {
            if let P2pOutput::OutMessage { to_peer, message } = output {
                self.in_flight.push_back((number, to_peer, message));
            }
        }
    }

    fn graft_by_sybils(&mut self) {
        let most = match self.strategy {
            Strategy::AtOnce => usize::MAX,
            Strategy::OneByOne => {
                self.limits.degree_high.saturating_sub(self.nodes[&TARGET].footprint().mesh)
            }
        };
        let now = self.now;
        let may_graft = |sybil: &Sybil| !sybil.is_member && sybil.until <= now;
        for (number, sybil) in self.sybils.iter_mut().filter(|(_, sybil)| may_graft(sybil)).take(most) {
            sybil.is_member = true;
            self.in_flight.push_back((*number, TARGET, P2pMessage::Graft { topic: TOPIC }));
        }
        self.settle(TARGET);
    }
}

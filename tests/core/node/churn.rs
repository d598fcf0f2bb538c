//! Peers that come, go and start again with the same id, for many rounds in virtual time: each message is delivered once, nobody is
//! penalised, and all memory is freed at the end.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use actix_gossipsub::{
    ConnectionInfo, P2pInput, P2pMessage, P2pOutput,
    limits::{Limits, LimitsConfig},
    protocol::{Footprint, Node, NodeOptions, Timestamp},
};

use super::setup::{Plain, SECOND, TOPIC, full};

const PEERS: u32 = 10;
const ROUNDS: u32 = 200;

fn limits() -> LimitsConfig<u32> {
    LimitsConfig::default().with(|c| {
        c.heartbeat_interval = SECOND;
        c.retain_duration = 5 * SECOND;
        c.prune_backoff = 2 * SECOND;
        c.unsubscribe_backoff = SECOND;
        c.backoff_cleanup_ticks = 1;
        c.seen_history_length = 20;
    })
}

/// A process of a peer.
struct Process {
    node: Node<Plain>,
    /// How often each message was delivered.
    delivered: BTreeMap<u32, u32>,
}

/// A network in which all that run are connected, and messages arrive at once.
struct Network {
    running: BTreeMap<u32, Process>,
    now: Timestamp,
    in_flight: VecDeque<(u32, u32, P2pMessage<Plain>)>,
    starts: u64,
    next_message: u32,
}

impl Network {
    fn start() -> Self {
        let (running, in_flight) = (BTreeMap::new(), VecDeque::new());
        let mut network = Self { running, now: Timestamp::ZERO, in_flight, starts: 0, next_message: 0 };
        (0..PEERS).for_each(|peer| network.come(peer));
        network
    }

    fn node(&mut self, peer: u32) -> &mut Node<Plain> {
        &mut self.running.get_mut(&peer).expect("the peer runs").node
    }

    fn others(&self, peer: u32) -> Vec<u32> {
        self.running.keys().copied().filter(|other| *other != peer).collect()
    }

    /// A process starts and joins the topic. It knows nobody.
    fn run_process(&mut self, peer: u32) {
        self.starts += 1;
        let limits = Limits::try_from(limits()).expect("valid limits");
        let options = NodeOptions::default().with(|o| (o.seed, o.self_peer) = (self.starts, Some(peer)));
        let mut node = Node::new(Arc::new(Plain::default()), limits, options);
        node.join(&TOPIC, self.now);
        self.running.insert(peer, Process { node, delivered: BTreeMap::new() });
    }

    /// A peer starts and connects to all others.
    fn come(&mut self, peer: u32) {
        self.run_process(peer);
        let now = self.now;
        for other in self.others(peer) {
            self.node(peer).add_peer(&other, &ConnectionInfo::outbound(), now);
            self.node(other).add_peer(&peer, &ConnectionInfo::inbound(), now);
            self.deliver();
        }
    }

    /// A peer ends, and all notice.
    fn go(&mut self, peer: u32) {
        self.running.remove(&peer);
        let now = self.now;
        for other in self.others(peer) {
            self.node(other).remove_peer(&peer, now);
        }
        self.deliver();
    }

    /// A peer ends and starts again before the others notice: for them its connections go on.
    fn start_again(&mut self, peer: u32) {
        self.run_process(peer);
        let now = self.now;
        for other in self.others(peer) {
            self.node(peer).add_peer(&other, &ConnectionInfo::outbound(), now);
            self.node(other).p2p_input(P2pInput::FurtherConnection { peer }, now);
            self.deliver();
        }
    }

    /// Delivers what is in flight, and what follows from it.
    fn deliver(&mut self) {
        loop {
            for (peer, process) in &mut self.running {
                let outputs = process.node.drain();
                for full in outputs.app {
                    *process.delivered.entry(full.message_id).or_default() += 1;
                }
                for output in outputs.p2p {
                    if let P2pOutput::OutMessage { to_peer, message } = output {
                        self.in_flight.push_back((*peer, to_peer, message));
                    }
                }
            }
            let Some((from_peer, to, message)) = self.in_flight.pop_front() else { return };
            let now = self.now;
            if let Some(process) = self.running.get_mut(&to) {
                process.node.p2p_input(P2pInput::InMessage { from_peer, message }, now);
            }
        }
    }

    fn heartbeats(&mut self, count: u32) {
        for _ in 0..count {
            self.now = self.now.after(SECOND);
            let now = self.now;
            for peer in self.running.keys().copied().collect::<Vec<_>>() {
                self.node(peer).heartbeat(now);
                self.deliver();
            }
        }
    }

    /// Each peer publishes a message, which all others get once.
    fn exchange(&mut self) {
        let first = self.next_message;
        let peers: Vec<u32> = self.running.keys().copied().collect();
        for peer in &peers {
            let (message, now) = (full(self.next_message), self.now);
            self.next_message += 1;
            self.node(*peer).publish(message, now);
            self.deliver();
        }
        self.heartbeats(2);
        for (peer, process) in &self.running {
            for (message, publisher) in (first..).zip(&peers).filter(|(_, publisher)| *publisher != peer) {
                let count = process.delivered.get(&message);
                assert_eq!(count, Some(&1), "{message} of {publisher} at {peer}, at {:?}", self.now);
            }
            let twice: Vec<_> = process.delivered.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{peer} got messages again: {twice:?}");
        }
    }

    fn assert_nobody_is_penalised(&self) {
        for (peer, process) in &self.running {
            for (other, score) in process.node.view(self.now).scores {
                let is_blameless = score.score >= 0.0 && score.behaviour_penalty == 0.0;
                assert!(is_blameless, "{peer} has a penalty for {other} at {:?}: {score:?}", self.now);
            }
        }
    }
}

/// Case 32: some end and come back at once, some after a while, and some before the others notice.
#[test]
fn peers_that_come_go_and_start_again_lose_nothing_and_leave_nothing() {
    let mut network = Network::start();
    let mut absent = VecDeque::new();
    network.heartbeats(2);
    network.exchange();
    for round in 0..ROUNDS {
        // Each peer has its turn, in each of the ways.
        let peer = round % PEERS;
        match (round / PEERS) % 3 {
            _ if !network.running.contains_key(&peer) => {}
            0 => network.start_again(peer),
            1 => {
                network.go(peer);
                network.come(peer);
            }
            _ => {
                network.go(peer);
                absent.push_back((round + 3, peer));
            }
        }
        while let Some((_, back)) = absent.pop_front_if(|(until, _)| *until <= round) {
            network.come(back);
        }
        network.heartbeats(2);
        network.exchange();
        network.assert_nobody_is_penalised();
    }
    let last = *network.running.keys().next().expect("some run");
    network.others(last).into_iter().for_each(|peer| network.go(peer));
    let now = network.now;
    network.node(last).leave(&TOPIC, now);
    network.heartbeats(30);
    assert_eq!(network.node(last).footprint(), Footprint::default());
}

/// What the peer sent before it started again stays, since an open connection may be that of the same process.
#[test]
fn a_further_connection_is_sent_subscriptions_and_meshes_and_changes_nothing_else() {
    let mut network = Network::start();
    network.heartbeats(2);
    let now = network.now;
    let is_in_mesh = network.node(0).view(now).mesh[&TOPIC].contains(&1);
    assert!(is_in_mesh);
    network.node(0).idontwant(&1, vec![1_000], now);
    let before = format!("{:?}", network.node(0).view(now));
    network.node(0).p2p_input(P2pInput::FurtherConnection { peer: 1 }, now);
    let sent: Vec<_> = network.node(0).drain().p2p;
    let to_peer = |message| P2pOutput::OutMessage { to_peer: 1, message };
    assert_eq!(sent, [to_peer(P2pMessage::subscribe(TOPIC))]);
    // The GRAFT follows once, when the peer subscribes again.
    let graft = to_peer(P2pMessage::Graft { topic: TOPIC });
    network.node(0).subscribe(&1, &TOPIC, now);
    network.node(0).subscribe(&1, &TOPIC, now);
    assert_eq!(network.node(0).drain().p2p, [graft]);
    assert_eq!(format!("{:?}", network.node(0).view(now)), before);
    assert_eq!(network.node(0).footprint().peer_idontwant, 0, "the new process may want it");
    // Nobody else is sent anything, and a later join is announced once.
    network.node(0).join(&9, now);
    let announced = network.node(0).drain().p2p.len();
    assert_eq!(announced, PEERS as usize - 1);
    network.node(0).p2p_input(P2pInput::FurtherConnection { peer: 77 }, now);
    assert!(network.node(0).drain().p2p.is_empty(), "77 is not connected");
}

/// What the former process sent at its end may come after the further connection: then a GRAFT would be too early for the
/// backoff that its peer has handed on.
#[test]
fn a_peer_with_a_further_connection_is_grafted_at_the_next_heartbeat_unless_it_pruned() {
    for prunes in [false, true] {
        let mut network = Network::start();
        network.heartbeats(2);
        let now = network.now;
        network.node(0).p2p_input(P2pInput::FurtherConnection { peer: 1 }, now);
        if prunes {
            network.node(0).prune(&1, &TOPIC, Vec::new(), 60 * SECOND, now);
        }
        let mut grafts = |now| {
            let node = network.node(0);
            node.subscribe(&1, &TOPIC, now);
            node.heartbeat(now);
            let is_graft = |output: &P2pOutput<Plain>| {
                matches!(output, P2pOutput::OutMessage { to_peer: 1, message: P2pMessage::Graft { .. } })
            };
            node.drain().p2p.iter().filter(|output| is_graft(output)).count()
        };
        assert_eq!(grafts(now.after(SECOND)), usize::from(!prunes));
        assert_eq!(grafts(now.after(2 * SECOND)), 0);
    }
    let mut network = Network::start();
    network.heartbeats(2);
    let now = network.now;
    network.node(0).p2p_input(P2pInput::FurtherConnection { peer: 1 }, now);
    network.node(0).drain();
    // It does not subscribe again.
    network.node(0).heartbeat(now.after(SECOND));
    let graft = P2pOutput::OutMessage { to_peer: 1, message: P2pMessage::Graft { topic: TOPIC } };
    assert!(network.node(0).drain().p2p.contains(&graft));
}

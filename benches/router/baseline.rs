//! The baseline is a bare loop without scores, history and subscriptions. It looks the topic up by name, recognises
//! duplicates by two generations of ids, lists the mesh without the sender, and hands one message to the application.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::Duration,
};

use actix_gossipsub::{Delivery, FullMessage, P2pInput, P2pMessage, Validity};
use foldhash::fast::RandomState;

use super::{
    counts::Counts,
    networks::ValidationTime,
    target::Target,
    topology::Topology,
    traffic::{Round, Traffic},
};

/// Ids of a generation. A full generation replaces the older one.
const GENERATION: usize = 1 << 20;

/// The loop, its ids and its outputs.
pub struct Baseline<N: Traffic> {
    network: N,
    meshes: HashMap<Arc<str>, Vec<N::Peer>, RandomState>,
    seen: HashSet<N::MessageId, RandomState>,
    seen_before: HashSet<N::MessageId, RandomState>,
    forwards: Vec<(Arc<FullMessage<N>>, Vec<N::Peer>)>,
    app: Vec<Arc<FullMessage<N>>>,
    source: N::Source,
    /// The input of the next run.
    rounds: Vec<Round<N>>,
}

impl<N: Traffic> Baseline<N> {
    pub fn new(validation: ValidationTime) -> Self {
        Self {
            network: N::new(validation),
            meshes: HashMap::default(),
            seen: HashSet::default(),
            seen_before: HashSet::default(),
            forwards: Vec::new(),
            app: Vec::new(),
            source: N::message_source(0),
            rounds: Vec::new(),
        }
    }

    fn receive(&mut self, input: P2pInput<N>) {
        let P2pInput::InMessage { from_peer, message: P2pMessage::FullMessage(message) } = input else {
            return;
        };
        let Some(mesh) = self.meshes.get(&message.topic) else { return };
        if self.seen_before.contains(&message.message_id) || !self.seen.insert(message.message_id.clone()) {
            return;
        }
        let delivery = Delivery::new(from_peer, message);
        if self.network.validate(&delivery) != Validity::Valid {
            return;
        }
        let Delivery { sender, message, .. } = delivery;
        let to: Vec<_> = mesh.iter().filter(|peer| **peer != sender).cloned().collect();
        self.forwards.push((Arc::clone(&message), to));
        self.app.push(message);
        if self.seen.len() >= GENERATION {
            self.seen_before = mem::take(&mut self.seen);
        }
    }
}

impl<N: Traffic> Target<N> for Baseline<N> {
    fn join(&mut self, _: &Topology<N>) {}

    fn connect(&mut self, _: &Topology<N>) {}

    fn graft(&mut self, topology: &Topology<N>) {
        let mesh = |mesh: &[usize]| mesh.iter().map(|peer| topology.peers[*peer].clone()).collect();
        let meshes = topology.topics.iter().zip(&topology.meshes);
        self.meshes = meshes.map(|(topic, peers)| (Arc::clone(topic), mesh(peers))).collect();
    }

    fn prepare(&mut self, topology: &Topology<N>, messages: usize, payload: usize) {
        self.rounds = N::rounds(&mut self.source, topology, messages, payload);
    }

    fn run(&mut self) -> Counts {
        let mut counts = Counts::default();
        for round in mem::take(&mut self.rounds) {
            counts.inputs += round.len() as u64;
            for copy in round {
                self.receive(copy.input);
            }
            for (_, to) in self.forwards.drain(..) {
                counts.forwards += to.len() as u64;
            }
            counts.deliveries += self.app.drain(..).count() as u64;
        }
        counts
    }

    /// The loop has no heartbeat.
    fn heartbeat(&mut self) -> Duration {
        Duration::ZERO
    }

    fn heartbeat_delay(&mut self, _: &Topology<N>) -> Duration {
        Duration::ZERO
    }
}

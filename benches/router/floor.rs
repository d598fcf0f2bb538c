//! The least that routing takes: a bare loop on one thread that looks the topic up by its name, tells a copy
//! from a first delivery by two generations of ids, lists the mesh without the sender, and hands one message
//! to the application. It keeps no score, history or subscription, and refuses nothing.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

use actix_gossipsub::{Delivery, FullMessage, P2pInput, P2pMessage, Validity};
use foldhash::fast::RandomState;

use super::{
    networks::{Verdict, Workload},
    population::Population,
    tally::Tally,
    traffic::Round,
};

/// Ids of a generation; when there are so many, the older generation is forgotten.
const GENERATION: usize = 1 << 20;

/// The loop and what it remembers.
pub struct Floor<N: Workload> {
    network: N,
    meshes: HashMap<Arc<str>, Vec<N::Peer>, RandomState>,
    seen: HashSet<N::MessageId, RandomState>,
    seen_before: HashSet<N::MessageId, RandomState>,
    forwards: Vec<(Arc<FullMessage<N>>, Vec<N::Peer>)>,
    app: Vec<Arc<FullMessage<N>>>,
}

impl<N: Workload> Floor<N> {
    pub fn new(population: &Population<N>, verdict: Verdict) -> Self {
        let mesh = |mesh: &[usize]| mesh.iter().map(|peer| population.peers[*peer].clone()).collect();
        let meshes = population.topics.iter().zip(&population.meshes);
        Self {
            network: N::new(verdict),
            meshes: meshes.map(|(topic, peers)| (Arc::clone(topic), mesh(peers))).collect(),
            seen: HashSet::default(),
            seen_before: HashSet::default(),
            forwards: Vec::new(),
            app: Vec::new(),
        }
    }

    /// Feeds the rounds; drops the outputs at the end of each.
    pub fn run(&mut self, rounds: Vec<Round<N>>) -> Tally {
        let mut tally = Tally::default();
        for round in rounds {
            tally.inputs += round.len() as u64;
            for arrival in round {
                self.receive(arrival.input);
            }
            for (_, to) in self.forwards.drain(..) {
                tally.forwards += to.len() as u64;
            }
            tally.deliveries += self.app.drain(..).count() as u64;
        }
        tally
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

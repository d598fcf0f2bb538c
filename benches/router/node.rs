//! The protocol without actors, driven by hand: every input is a call, and the outputs are taken and dropped
//! at the end of each round.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Limits, P2pMessage, P2pOutput,
    protocol::{Drained, Node, NodeOptions, Timestamp},
};

use super::{
    networks::{Verdict, Workload},
    tally::Tally,
    traffic::{Population, Round},
};

/// A node and its clock, which stands still but for heartbeats.
pub struct NodeSubject<N: Workload> {
    node: Node<N>,
    now: Timestamp,
}

impl<N: Workload> NodeSubject<N> {
    pub fn new(limits: Limits<Arc<str>>, verdict: Verdict) -> Self {
        let node =
            Node::new(Arc::new(N::new(verdict)), limits, NodeOptions { seed: 1, ..NodeOptions::default() });
        Self { node, now: Timestamp::ZERO }
    }

    pub fn join(&mut self, population: &Population<N>) {
        for topic in &population.topics {
            self.node.app_input(AppInput::Join(Arc::clone(topic)), self.now);
        }
        drop(self.node.drain());
    }

    /// Connects, subscribes and grafts the peers.
    pub fn populate(&mut self, population: &Population<N>) {
        for (count, input) in population.set_up().enumerate() {
            self.node.p2p_input(input, self.now);
            if count % 4096 == 0 {
                drop(self.node.drain());
            }
        }
        drop(self.node.drain());
    }

    pub fn run(&mut self, rounds: Vec<Round<N>>) -> Tally {
        let mut tally = Tally::default();
        for round in rounds {
            tally.inputs += round.len() as u64;
            for input in round {
                self.node.p2p_input(input, self.now);
            }
            count(self.node.drain(), &mut tally);
        }
        tally
    }

    /// A second later, a heartbeat.
    pub fn heartbeat(&mut self) -> usize {
        self.now = self.now.after(Duration::from_secs(1));
        self.node.heartbeat(self.now);
        self.node.drain().p2p.len()
    }
}

fn count<N: Workload>(drained: Drained<N>, tally: &mut Tally) {
    tally.deliveries += drained.app.len() as u64;
    for output in drained.p2p {
        if let P2pOutput::OutMessage { message: P2pMessage::FullMessage(_), .. } = output {
            tally.forwards += 1;
        }
    }
}

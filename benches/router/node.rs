//! The protocol without actors: every input is a call, and the outputs are taken and dropped at the end of
//! each round; what a heartbeat says to many peers is not copied for each. The clock stands still but for heartbeats.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Limits,
    protocol::{Node, NodeOptions, Timestamp},
};

use super::{
    cpu,
    networks::Verdict,
    population::Population,
    subject::Subject,
    tally::Tally,
    traffic::{Round, Traffic},
};

/// So many inputs of the set-up between two looks at the outputs.
const BURST: usize = 4096;

/// A node and its clock.
pub struct NodeSubject<N: Traffic> {
    node: Node<N>,
    now: Timestamp,
    source: N::Source,
    /// What runs next.
    rounds: Vec<Round<N>>,
}

impl<N: Traffic> NodeSubject<N> {
    pub fn new(limits: Limits<Arc<str>>, verdict: Verdict) -> Self {
        let options = NodeOptions::default().with(|o| o.seed = 1);
        let node = Node::new(Arc::new(N::new(verdict)), limits, options);
        Self { node, now: Timestamp::ZERO, source: N::source(0), rounds: Vec::new() }
    }
}

impl<N: Traffic> Subject<N> for NodeSubject<N> {
    fn join(&mut self, population: &Population<N>) {
        for topic in &population.topics {
            self.node.app_input(AppInput::Join(Arc::clone(topic)), self.now);
        }
        drop(self.node.drain());
    }

    fn populate(&mut self, population: &Population<N>) {
        for (count, input) in population.arrivals().enumerate() {
            self.node.p2p_input(input, self.now);
            if count < population.peers.len() || count % BURST == 0 {
                drop(self.node.drain());
            }
        }
        drop(self.node.drain());
    }

    fn graft(&mut self, population: &Population<N>) {
        population.grafts().for_each(|input| self.node.p2p_input(input, self.now));
        drop(self.node.drain());
    }

    fn load(&mut self, population: &Population<N>, messages: usize, payload: usize) {
        self.rounds = N::rounds(&mut self.source, population, messages, payload);
    }

    fn run(&mut self) -> Tally {
        let mut tally = Tally::default();
        for round in std::mem::take(&mut self.rounds) {
            tally.inputs += round.len() as u64;
            for arrival in round {
                self.node.p2p_input(arrival.input, self.now);
            }
            self.node.drain_batches().for_each(|batch| tally.count(&batch));
            tally.deliveries += self.node.drain().app.len() as u64;
        }
        tally
    }

    fn heartbeat(&mut self) -> Duration {
        self.now = self.now.after(Duration::from_secs(1));
        let start = cpu::of_thread();
        self.node.heartbeat(self.now);
        self.node.drain_batches().for_each(drop);
        drop(self.node.drain());
        cpu::of_thread() - start
    }

    /// Whatever comes meanwhile waits for all of it.
    fn heartbeat_wait(&mut self, _: &Population<N>) -> Duration {
        self.heartbeat()
    }
}

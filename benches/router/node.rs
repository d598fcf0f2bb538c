//! This target is `protocol::Node`: each input is a call, and outputs are taken and dropped after each round. A
//! broadcast of a heartbeat stays one output. The node's clock advances only at heartbeats.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Limits,
    protocol::{Node, NodeOptions, Timestamp},
};

use super::{
    counts::Counts,
    cpu,
    networks::ValidationTime,
    target::Target,
    topology::Topology,
    traffic::{Round, Traffic},
};

/// Subscriptions between two drains of the outputs.
const BURST: usize = 4096;

/// A node and its clock.
pub struct NodeTarget<N: Traffic> {
    node: Node<N>,
    now: Timestamp,
    source: N::Source,
    /// The input of the next run.
    rounds: Vec<Round<N>>,
}

impl<N: Traffic> NodeTarget<N> {
    pub fn new(limits: Limits<Arc<str>>, validation: ValidationTime) -> Self {
        let options = NodeOptions::default().with(|options| options.seed = 1);
        let node = Node::new(Arc::new(N::new(validation)), limits, options);
        Self { node, now: Timestamp::ZERO, source: N::message_source(0), rounds: Vec::new() }
    }
}

impl<N: Traffic> Target<N> for NodeTarget<N> {
    fn join(&mut self, topology: &Topology<N>) {
        for topic in &topology.topics {
            self.node.app_input(AppInput::Join(Arc::clone(topic)), self.now);
        }
        drop(self.node.drain());
    }

    fn connect(&mut self, topology: &Topology<N>) {
        for (count, input) in topology.connections().enumerate() {
            self.node.p2p_input(input, self.now);
            // Each connection announces all topics.
            if count < topology.peers.len() || count % BURST == 0 {
                drop(self.node.drain());
            }
        }
        drop(self.node.drain());
    }

    fn graft(&mut self, topology: &Topology<N>) {
        topology.grafts().for_each(|input| self.node.p2p_input(input, self.now));
        drop(self.node.drain());
    }

    fn prepare(&mut self, topology: &Topology<N>, messages: usize, payload: usize) {
        self.rounds = N::rounds(&mut self.source, topology, messages, payload);
    }

    fn run(&mut self) -> Counts {
        let mut counts = Counts::default();
        for round in std::mem::take(&mut self.rounds) {
            counts.inputs += round.len() as u64;
            for copy in round {
                self.node.p2p_input(copy.input, self.now);
            }
            self.node.drain_batches().for_each(|batch| counts.add(&batch));
            counts.deliveries += self.node.drain().app.len() as u64;
        }
        counts
    }

    fn heartbeat(&mut self) -> Duration {
        self.now = self.now.after(Duration::from_secs(1));
        let start = cpu::of_thread();
        self.node.heartbeat(self.now);
        self.node.drain_batches().for_each(drop);
        drop(self.node.drain());
        cpu::of_thread() - start
    }

    /// A message that arrives during the heartbeat waits for all of it.
    fn heartbeat_delay(&mut self, _: &Topology<N>) -> Duration {
        self.heartbeat()
    }
}

//! A [`CountedNode`] is a node with its clock that counts what it does with the names of topics and peers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_gossipsub::{
    ConnectionInfo, FullMessage, LimitsConfig,
    protocol::{Node, NodeOptions, ReceiveOutcome, Timestamp, ValidationMode},
};
use testkit::counted::{Counted, CountedNetwork};

/// A node with the counters of its names.
pub struct CountedNode {
    pub node: Node<CountedNetwork>,
    pub network: Arc<CountedNetwork>,
    pub topic_uses: Arc<AtomicU64>,
    pub peer_uses: Arc<AtomicU64>,
    pub now: Timestamp,
}

impl CountedNode {
    pub fn new(network: CountedNetwork, change: impl FnOnce(&mut LimitsConfig<Counted>)) -> Self {
        let network = Arc::new(network);
        let limits = LimitsConfig::default().with(change).try_into().expect("valid limits");
        let node = Node::new(Arc::clone(&network), limits, NodeOptions::default().with(|o| o.seed = 1));
        let (topic_uses, peer_uses) = Default::default();
        Self { node, network, topic_uses, peer_uses, now: Timestamp::ZERO }
    }

    pub fn topic(&self, number: u64) -> Counted {
        Counted::new(number, &self.topic_uses)
    }

    pub fn peer(&self, number: u64) -> Counted {
        Counted::new(number, &self.peer_uses)
    }

    pub fn connect(&mut self, number: u64) -> Counted {
        let peer = self.peer(number);
        self.node.add_peer(&peer, &ConnectionInfo::inbound(), self.now);
        peer
    }

    /// Peers connect and subscribe to these topics.
    pub fn subscribe_all(&mut self, peers: u64, topics: u64) {
        for peer in 0..peers {
            let peer = self.connect(peer);
            for topic in 0..topics {
                let topic = self.topic(topic);
                self.node.subscribe(&peer, &topic, self.now);
            }
        }
    }

    pub fn message(&self, topic: u64, message_id: u64) -> FullMessage<CountedNetwork> {
        FullMessage { topic: self.topic(topic), message_id, message: () }
    }

    pub fn receive(&mut self, sender: &Counted, topic: u64, id: u64) -> ReceiveOutcome<CountedNetwork> {
        let message = Arc::new(self.message(topic, id));
        self.node.receive_message(sender, message, ValidationMode::Sequential, self.now)
    }

    /// Runs a heartbeat. Returns how often it used the name of a topic.
    pub fn heartbeat(&mut self) -> u64 {
        self.now = self.now.after(Duration::from_secs(1));
        let before = self.topic_uses.load(Relaxed);
        self.node.heartbeat(self.now);
        self.topic_uses.load(Relaxed) - before
    }
}

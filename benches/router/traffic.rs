//! This module makes the messages of the workloads before the clock starts.

use std::sync::Arc;

use actix_gossipsub::{FullMessage, P2pInput, P2pMessage, PeerInputs};

use super::{
    networks::{NumberedId, R, RandomId, W, Workload},
    random::Random,
    topology::{DEGREE, Topology},
};

/// Messages of W in a round.
const ROUND: usize = 64;

/// The inputs between two drains of the outputs.
pub type Round<N> = Vec<ReceivedCopy<N>>;

/// A copy of a message, received from a peer.
pub struct ReceivedCopy<N: Workload> {
    /// The index of the sender.
    pub peer: usize,
    pub input: P2pInput<N>,
}

impl<N: Workload> ReceivedCopy<N> {
    /// Feeds the copy through its sender's connection.
    pub fn send(self, connections: &[PeerInputs<N>]) {
        let P2pInput::InMessage { message, .. } = self.input else {
            unreachable!("a round has messages only")
        };
        connections[self.peer].input(message).expect("admission accepts 4096 inputs of one peer");
    }
}

/// A workload with a topology and a source of messages.
pub trait Traffic: Workload {
    /// The size of a body, in bytes.
    const PAYLOAD: usize;

    /// An endless source of messages.
    type Source: Send + 'static;

    fn topology(topics: usize, peers: usize) -> Topology<Self>;

    /// A source at its start. Different seeds make different messages.
    fn message_source(seed: u64) -> Self::Source;

    /// All copies of `messages` messages with bodies of `payload` bytes. W rounds `messages` up to a multiple of 64.
    fn rounds(
        source: &mut Self::Source,
        topology: &Topology<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>>;
}

fn copy<N: Workload>(
    topology: &Topology<N>,
    peer: usize,
    topic: &Arc<str>,
    message_id: N::MessageId,
    message: N::Message,
) -> ReceivedCopy<N> {
    let full = FullMessage { topic: Arc::clone(topic), message_id, message };
    let from = topology.peers[peer].clone();
    ReceivedCopy { peer, input: P2pInput::message(from, P2pMessage::FullMessage(Arc::new(full))) }
}

/// The messages of R, in order. With N topics, message `number` goes to topic `number % N`. Its copies follow each
/// other; the first sender moves to the next mesh peer after each pass over the topics.
pub struct Numbers {
    next: u64,
    body: Arc<[u8]>,
}

impl Traffic for R {
    const PAYLOAD: usize = 1024;

    type Source = Numbers;

    fn topology(topics: usize, peers: usize) -> Topology<Self> {
        let mesh = |topic: usize| std::array::from_fn(|rank| (topic * DEGREE + rank) % peers);
        Topology::new(topics, peers, mesh)
    }

    fn message_source(seed: u64) -> Numbers {
        Numbers { next: seed << 40, body: Arc::from([]) }
    }

    fn rounds(
        source: &mut Numbers,
        topology: &Topology<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>> {
        if source.body.len() != payload {
            source.body = vec![b'm'; payload].into();
        }
        (0..messages).map(|_| source.message(topology)).collect()
    }
}

impl Numbers {
    fn message(&mut self, topology: &Topology<R>) -> Round<R> {
        let topics = topology.topics.len();
        let number = self.next;
        self.next += 1;
        let (pass, index) = (number as usize / topics, number as usize % topics);
        let (topic, mesh) = (&topology.topics[index], &topology.meshes[index]);
        let copy_of_rank = |rank: usize| {
            let id = NumberedId { number, topic: Arc::clone(topic) };
            copy(topology, mesh[(pass + rank) % DEGREE], topic, id, Arc::clone(&self.body))
        };
        (0..DEGREE).map(copy_of_rank).collect()
    }
}

impl<Id: RandomId> Traffic for W<Id> {
    const PAYLOAD: usize = 256;

    type Source = Random;

    fn topology(topics: usize, peers: usize) -> Topology<Self> {
        let mut random = Random::new(0x6D65_7368);
        let mut all: Vec<usize> = (0..peers).collect();
        Topology::new(topics, peers, |_| {
            random.shuffle(&mut all);
            std::array::from_fn(|rank| all[rank])
        })
    }

    fn message_source(seed: u64) -> Random {
        Random::new(0x7472_6166 ^ (seed << 32))
    }

    fn rounds(
        random: &mut Random,
        topology: &Topology<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>> {
        (0..messages.div_ceil(ROUND)).map(|_| round(random, topology, payload)).collect()
    }
}

/// A message of W: its topic, its senders in order, and its id.
struct Draft {
    topic: usize,
    order: [usize; DEGREE],
    id: [u8; 20],
}

impl Draft {
    fn new<Id: RandomId>(random: &mut Random, topology: &Topology<W<Id>>) -> Self {
        let topic = random.below(topology.topics.len());
        let mut order = topology.meshes[topic];
        random.shuffle(&mut order);
        let mut id = [0; 20];
        random.fill(&mut id);
        Self { topic, order, id }
    }

    /// The copy of the sender with this rank. Its body begins with the id.
    fn copy<Id: RandomId>(
        &self,
        rank: usize,
        topology: &Topology<W<Id>>,
        payload: usize,
    ) -> ReceivedCopy<W<Id>> {
        let mut body = vec![0x5A; payload].into_boxed_slice();
        body[..self.id.len()].copy_from_slice(&self.id);
        let topic = &topology.topics[self.topic];
        copy(topology, self.order[rank], topic, Id::new(self.id, topic), body)
    }
}

/// A round of W: the k-th copies of all messages come before the (k+1)-th ones.
fn round<Id: RandomId>(random: &mut Random, topology: &Topology<W<Id>>, payload: usize) -> Round<W<Id>> {
    let drafts: Vec<_> = (0..ROUND).map(|_| Draft::new(random, topology)).collect();
    let copies = (0..DEGREE).flat_map(|rank| drafts.iter().map(move |draft| (rank, draft)));
    copies.map(|(rank, draft)| draft.copy(rank, topology, payload)).collect()
}

//! The messages of the workloads, made before the clock starts. Runs nothing.

use std::sync::Arc;

use actix_gossipsub::{FullMessage, P2pInput, P2pMessage, PeerInputs};

use super::{
    networks::{NumberedId, R, RandomId, W, Workload},
    population::{DEGREE, Population},
    random::Random,
};

/// W's messages of a round.
const ROUND: usize = 64;

/// Inputs between two looks at the outputs.
pub type Round<N> = Vec<Arrival<N>>;

/// A copy of a message.
pub struct Arrival<N: Workload> {
    /// The number of the peer that it comes from.
    pub peer: usize,
    pub input: P2pInput<N>,
}

impl<N: Workload> Arrival<N> {
    /// Has the peer say it, by its own one of the `connections`.
    pub fn say(self, connections: &[PeerInputs<N>]) {
        let P2pInput::InMessage { message, .. } = self.input else { unreachable!("rounds are of messages") };
        connections[self.peer].input(message).expect("there is room for 4096 inputs of anyone");
    }
}

/// A workload that makes its own messages.
pub trait Traffic: Workload {
    /// The bytes of a message's body.
    const PAYLOAD: usize;

    /// Where the messages come from, without end.
    type Source: Send + 'static;

    fn population(topics: usize, peers: usize) -> Population<Self>;

    /// A source at its start; another `seed` makes other messages.
    fn source(seed: u64) -> Self::Source;

    /// All copies of so many messages (W: of a multiple of 64).
    fn rounds(
        source: &mut Self::Source,
        population: &Population<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>>;
}

/// One copy.
fn copy<N: Workload>(
    population: &Population<N>,
    peer: usize,
    topic: &Arc<str>,
    message_id: N::MessageId,
    message: N::Message,
) -> Arrival<N> {
    let full = FullMessage { topic: Arc::clone(topic), message_id, message };
    let from = population.peers[peer].clone();
    Arrival { peer, input: P2pInput::message(from, P2pMessage::FullMessage(Arc::new(full))) }
}

/// R's messages in order: message `number` goes to topic `number % N`; all its copies come at once, beginning
/// with the next peer of the mesh each time around.
pub struct Numbers {
    next: u64,
    body: Arc<[u8]>,
}

impl Traffic for R {
    const PAYLOAD: usize = 1024;

    type Source = Numbers;

    fn population(topics: usize, peers: usize) -> Population<Self> {
        let mesh = |topic: usize| std::array::from_fn(|rank| (topic * DEGREE + rank) % peers);
        Population::new(topics, peers, mesh)
    }

    fn source(seed: u64) -> Numbers {
        Numbers { next: seed << 40, body: Arc::from([]) }
    }

    fn rounds(
        source: &mut Numbers,
        population: &Population<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>> {
        if source.body.len() != payload {
            source.body = vec![b'm'; payload].into();
        }
        (0..messages).map(|_| source.message(population)).collect()
    }
}

impl Numbers {
    fn message(&mut self, population: &Population<R>) -> Round<R> {
        let topics = population.topics.len();
        let number = self.next;
        self.next += 1;
        let (around, index) = (number as usize / topics, number as usize % topics);
        let (topic, mesh) = (&population.topics[index], &population.meshes[index]);
        let copy_of_rank = |rank: usize| {
            let id = NumberedId { number, topic: Arc::clone(topic) };
            copy(population, mesh[(around + rank) % DEGREE], topic, id, Arc::clone(&self.body))
        };
        (0..DEGREE).map(copy_of_rank).collect()
    }
}

impl<Id: RandomId> Traffic for W<Id> {
    const PAYLOAD: usize = 256;

    type Source = Random;

    fn population(topics: usize, peers: usize) -> Population<Self> {
        let mut random = Random::new(0x6D65_7368);
        let mut everybody: Vec<usize> = (0..peers).collect();
        Population::new(topics, peers, |_| {
            random.shuffle(&mut everybody);
            std::array::from_fn(|rank| everybody[rank])
        })
    }

    fn source(seed: u64) -> Random {
        Random::new(0x7472_6166 ^ (seed << 32))
    }

    fn rounds(
        random: &mut Random,
        population: &Population<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>> {
        (0..messages.div_ceil(ROUND)).map(|_| round(random, population, payload)).collect()
    }
}

/// A message of W: its topic, the peers that deliver it, in order, and its id.
struct Draft {
    topic: usize,
    order: [usize; DEGREE],
    id: [u8; 20],
}

impl Draft {
    fn new<Id: RandomId>(random: &mut Random, population: &Population<W<Id>>) -> Self {
        let topic = random.below(population.topics.len());
        let mut order = population.meshes[topic];
        random.shuffle(&mut order);
        let mut id = [0; 20];
        random.fill(&mut id);
        Self { topic, order, id }
    }

    /// The copy of the peer of this rank. Its body begins with the id.
    fn copy<Id: RandomId>(
        &self,
        rank: usize,
        population: &Population<W<Id>>,
        payload: usize,
    ) -> Arrival<W<Id>> {
        let mut body = vec![0x5A; payload].into_boxed_slice();
        body[..self.id.len()].copy_from_slice(&self.id);
        let topic = &population.topics[self.topic];
        copy(population, self.order[rank], topic, Id::new(self.id, topic), body)
    }
}

/// The k-th copies of all messages come before the (k+1)-th ones.
fn round<Id: RandomId>(random: &mut Random, population: &Population<W<Id>>, payload: usize) -> Round<W<Id>> {
    let drafts: Vec<_> = (0..ROUND).map(|_| Draft::new(random, population)).collect();
    let copies = (0..DEGREE).flat_map(|rank| drafts.iter().map(move |draft| (rank, draft)));
    copies.map(|(rank, draft)| draft.copy(rank, population, payload)).collect()
}

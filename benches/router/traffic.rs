//! What the workloads feed: the set-up and the messages, made before the clock starts. Runs nothing.

use std::sync::Arc;

use actix_gossipsub::{FullMessage, P2pInput, P2pMessage};

use super::{
    networks::{NamingId, R, W, Workload},
    random::Random,
};

/// D: the peers of each mesh, and so the copies of each message.
pub const DEGREE: usize = 8;
/// W's messages of a round.
const ROUND: usize = 64;
/// The bytes of a W message; R's are all one body of 1024.
pub const PAYLOAD: usize = 256;
const R_PAYLOAD: usize = 1024;

/// Inputs between two looks at the outputs.
pub type Round<N> = Vec<P2pInput<N>>;

/// Who is there: topics, peers, and which peers are in which mesh.
pub struct Population<N: Workload> {
    pub topics: Vec<Arc<str>>,
    pub peers: Vec<N::Peer>,
    /// The peers of each topic's mesh, by number.
    pub meshes: Vec<[usize; DEGREE]>,
}

impl<N: Workload> Population<N> {
    /// The inputs after the joins, in order: all peers connect, all subscribe to everything, and each topic's
    /// mesh peers graft us.
    pub fn set_up(&self) -> impl Iterator<Item = P2pInput<N>> {
        let connect = |peer: &N::Peer| P2pInput::NewConnection {
            peer: peer.clone(),
            direct: false,
            outbound: true,
            trusted: true,
            bootstrap: false,
        };
        let subscribe = |peer: &N::Peer, topic: &Arc<str>| {
            P2pInput::said(peer.clone(), P2pMessage::Subscribe { topic: Arc::clone(topic) })
        };
        let graft = |peer: &usize, topic: &Arc<str>| {
            P2pInput::said(self.peers[*peer].clone(), P2pMessage::Graft { topic: Arc::clone(topic) })
        };
        let connects = self.peers.iter().map(connect);
        let of_peer = move |peer| self.topics.iter().map(move |topic| subscribe(peer, topic));
        let of_topic = move |(topic, mesh)| {
            let mesh: &[usize; DEGREE] = mesh;
            mesh.iter().map(move |peer| graft(peer, topic))
        };
        let grafts = self.topics.iter().zip(&self.meshes).flat_map(of_topic);
        connects.chain(self.peers.iter().flat_map(of_peer)).chain(grafts)
    }
}

/// A source of messages without end.
pub trait Traffic: Workload {
    /// Who takes part.
    fn population(topics: usize, peers: usize) -> Population<Self>;

    /// What a source remembers.
    type Source;

    /// A source at its start.
    fn source() -> Self::Source;

    /// The copies of `messages` messages or a few more, in rounds.
    fn rounds(
        source: &mut Self::Source,
        population: &Population<Self>,
        messages: usize,
        payload: usize,
    ) -> Vec<Round<Self>>;
}

fn topic_names(topics: usize) -> Vec<Arc<str>> {
    (0..topics).map(|topic| Arc::from(format!("t{topic}"))).collect()
}

fn copy<N: Workload>(
    from: &N::Peer,
    topic: &Arc<str>,
    message_id: N::MessageId,
    message: N::Message,
) -> P2pInput<N> {
    let full = FullMessage { topic: Arc::clone(topic), message_id, message };
    P2pInput::said(from.clone(), P2pMessage::FullMessage(Arc::new(full)))
}

/// Message `number` goes to topic `number % N`; all its copies come at once, beginning with another peer of
/// the mesh each time around.
pub struct RSource {
    number: usize,
    body: Arc<[u8]>,
}

impl Traffic for R {
    type Source = RSource;

    fn population(topics: usize, peers: usize) -> Population<Self> {
        let mesh = |topic: usize| std::array::from_fn(|rank| (topic * DEGREE + rank) % peers);
        Population {
            topics: topic_names(topics),
            peers: (0..peers).map(Self::peer).collect(),
            meshes: (0..topics).map(mesh).collect(),
        }
    }

    fn source() -> RSource {
        RSource { number: 0, body: vec![b'm'; R_PAYLOAD].into() }
    }

    fn rounds(
        source: &mut RSource,
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

impl RSource {
    fn message(&mut self, population: &Population<R>) -> Round<R> {
        let topics = population.topics.len();
        let (number, index) = (self.number, self.number % topics);
        self.number += 1;
        let (topic, mesh) = (&population.topics[index], &population.meshes[index]);
        let copy_of_rank = |rank: usize| {
            let from = population.peers[mesh[(number / topics + rank) % DEGREE]];
            let id = NamingId { number: number as u64, topic: Arc::clone(topic) };
            copy(&from, topic, id, Arc::clone(&self.body))
        };
        (0..DEGREE).map(copy_of_rank).collect()
    }
}

impl Traffic for W {
    type Source = Random;

    fn population(topics: usize, peers: usize) -> Population<Self> {
        let mut random = Random::new(0x6D65_7368);
        let mut everybody: Vec<usize> = (0..peers).collect();
        let mut mesh = |_| {
            random.shuffle(&mut everybody);
            std::array::from_fn(|rank| everybody[rank])
        };
        Population {
            topics: topic_names(topics),
            peers: (0..peers).map(Self::peer).collect(),
            meshes: (0..topics).map(&mut mesh).collect(),
        }
    }

    fn source() -> Random {
        Random::new(0x7472_6166)
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

/// The k-th copies of all messages come before the (k+1)-th ones; each message's copies come from its mesh
/// peers in random order.
fn round(random: &mut Random, population: &Population<W>, payload: usize) -> Round<W> {
    let messages: Vec<_> = (0..ROUND)
        .map(|_| {
            let topic = random.below(population.topics.len());
            let mut order = population.meshes[topic];
            random.shuffle(&mut order);
            let mut id = [0; 20];
            random.fill(&mut id);
            (topic, order, id)
        })
        .collect();
    let copies = (0..DEGREE).flat_map(|rank| messages.iter().map(move |message| (rank, message)));
    let copies = copies.map(|(rank, (topic, order, id))| {
        let mut body = vec![0x5A; payload].into_boxed_slice();
        body[..id.len()].copy_from_slice(id);
        copy::<W>(&population.peers[order[rank]], &population.topics[*topic], *id, body)
    });
    copies.collect()
}

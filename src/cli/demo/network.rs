//! All nodes of the demonstration, and how they hang together. It publishes nothing.

use std::{collections::HashMap, net::SocketAddr, num::NonZero, sync::Arc, time::Duration};

use actix::Arbiter;
use actix_gossipsub::{Page, libp2p::TopicName};
use futures::future::join_all;
use libp2p::PeerId;
use tokio::time::{Instant, timeout};

use super::{Arguments, feed::Publisher, member::Member, tally::Tally, topology};
use crate::cli::{
    Failure,
    serving::{self, Recording, Serving},
    stop::Stop,
};

/// How long the meshes may take to form; then messages are published all the same, as gossip finds a way.
const FORMING: Duration = Duration::from_secs(30);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// How long a look may take: an overloaded node must not hold up the display.
const PATIENCE: Duration = Duration::from_millis(500);
/// A mesh of so many is complete: D_lo of the default limits.
const COMPLETE: usize = 5;

/// The nodes, each on one of as many arbiters as there are cores. A node stays on its thread, with its
/// engine and its connections.
pub struct Demonstration {
    /// Shows the first of them.
    serving: Serving,
    members: Vec<Member>,
    arbiters: Vec<Arbiter>,
    /// Links of each node.
    degrees: Vec<usize>,
    topics: usize,
    /// The mesh peers of each node on each topic, as last looked at.
    meshes: Vec<Vec<usize>>,
    /// Whose are looked at next.
    next: usize,
    /// How long it took until the meshes had formed.
    pub forming: Duration,
}

impl Demonstration {
    /// Starts the nodes and connects them.
    pub async fn start(arguments: &Arguments, tally: &Arc<Tally>) -> Result<Self, Failure> {
        let (nodes, topics) = (arguments.nodes(), arguments.topics());
        let recording = Recording::new();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let arbiters: Vec<_> = (0..cores.min(nodes)).map(|_| Arbiter::new()).collect();
        let start = |index: usize| {
            let arbiter = arbiters[index % arbiters.len()].handle();
            let seed = arguments.seed.wrapping_add(index as u64);
            // One is shown for all.
            let recorder = (index == 0).then(|| Arc::clone(&recording.recorder));
            async move { Member::start(&arbiter, index, topics, seed, tally, recorder).await }
        };
        let members: Vec<_> = join_all((0..nodes).map(start)).await.into_iter().collect::<Result<_, _>>()?;
        let serving = serve(arguments.http, &members[0], &recording)?;
        let dials = topology::dials(nodes, arguments.seed);
        for (from, to) in &dials {
            let address = &members[*to].address;
            let dial = members[*from].handle.dial(address.clone()).await;
            dial.map_err(|error| Failure::dial(address, &error))?;
        }
        let degrees = topology::degrees(nodes, &dials);
        let meshes = vec![vec![0; topics]; nodes];
        Ok(Self { serving, members, arbiters, degrees, topics, meshes, next: 0, forming: Duration::ZERO })
    }

    /// Where the first node's page is.
    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// Waits until every node has its connections and a mesh for every topic.
    pub async fn form(&mut self, stop: &Stop) {
        let start = Instant::now();
        loop {
            self.look_at_all().await;
            self.forming = start.elapsed();
            if self.have_formed() || self.forming > FORMING || stop.is_said() {
                return;
            }
            stop.sleep(LOOK).await;
        }
    }

    fn have_formed(&self) -> bool {
        let formed = |(degree, mesh): (&usize, &Vec<usize>)| {
            let wanted = COMPLETE.min(*degree);
            mesh.iter().all(|peers| *peers >= wanted)
        };
        self.degrees.iter().zip(&self.meshes).all(formed)
    }

    /// Looks at the meshes of one node, each time the next: a look costs the node some time.
    pub async fn look(&mut self) {
        self.look_at(self.next).await;
        self.next = (self.next + 1) % self.members.len();
    }

    /// Looks at the meshes of all nodes.
    pub async fn look_at_all(&mut self) {
        for node in 0..self.members.len() {
            self.look_at(node).await;
        }
    }

    async fn look_at(&mut self, node: usize) {
        // Of an engine that has ended, or too much to do, the last numbers stay.
        if let Ok(Ok(meshes)) = timeout(PATIENCE, self.members[node].worker.mesh(Page::all())).await {
            self.meshes[node] = mesh_sizes(&meshes.items, self.topics);
        }
    }

    /// The nodes, for publishing.
    pub fn publishers(&self) -> Vec<Publisher> {
        let publisher =
            |member: &Member| Publisher { worker: member.worker.clone(), network: member.network.clone() };
        self.members.iter().map(publisher).collect()
    }

    /// Connections between the nodes.
    pub fn links(&self) -> usize {
        self.degrees.iter().sum::<usize>() / 2
    }

    /// The mean number of a topic's mesh peers over all nodes.
    pub fn mesh_degree(&self, topic: usize) -> f64 {
        self.meshes.iter().map(|mesh| mesh[topic] as f64).sum::<f64>() / self.meshes.len() as f64
    }

    /// The same over all topics.
    pub fn mean_mesh_degree(&self) -> f64 {
        (0..self.topics).map(|topic| self.mesh_degree(topic)).sum::<f64>() / self.topics as f64
    }

    /// Ends all nodes and their threads.
    pub async fn end(self) {
        self.serving.end().await;
        join_all(self.members.into_iter().map(Member::end)).await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // A panic of its thread was logged.
            let _ = arbiter.join();
        }
    }
}

/// At the address given; at the usual one if none is, or at any port if that is taken.
fn serve(address: Option<SocketAddr>, first: &Member, recording: &Recording) -> Result<Serving, Failure> {
    let start = |address| Serving::start(address, first.worker.clone(), recording);
    match address {
        Some(address) => start(address),
        None => start(serving::usual()).or_else(|_| start(SocketAddr::from(([127, 0, 0, 1], 0)))),
    }
}

/// Topics that are not joined have no mesh.
fn mesh_sizes(meshes: &[(TopicName, Vec<PeerId>)], topics: usize) -> Vec<usize> {
    let sizes: HashMap<_, _> = meshes.iter().map(|(topic, peers)| (topic, peers.len())).collect();
    (0..topics).map(|topic| sizes.get(&super::feed::topic(topic)).copied().unwrap_or(0)).collect()
}

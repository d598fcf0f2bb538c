//! The network of the demonstration: all nodes, their random topology, and the sizes of their meshes.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    time::Duration,
};

use actix::Arbiter;
use actix_gossipsub::{
    Page, Worker,
    libp2p::{Libp2pNetwork, NodeEvent, TopicName},
};
use futures::future::join_all;
use libp2p::PeerId;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Arguments,
    deliveries::DeliveryLog,
    node::DemoNode,
    publisher::{PublishHandle, topic},
};
use crate::cli::{
    Failure,
    status_server::{Described, Exporter, Served, SharedIdentity, StatusServer, default_address},
};

/// Time limit for the meshes to form. Publishing starts after it in any case, since gossip reaches nodes without a full
/// mesh.
const MESH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the meshes are queried while they form.
const MESH_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Time limit for a query, so that an overloaded node does not block the display.
const QUERY_TIMEOUT: Duration = Duration::from_millis(500);
/// Peers that each node dials, if there are enough nodes.
const DIALS: usize = 3;

/// The nodes. There is one arbiter per core, and each node stays on one of them.
pub struct DemoNetwork {
    /// Serves the first node.
    status_server: StatusServer,
    nodes: Vec<DemoNode>,
    arbiters: Vec<Arbiter>,
    /// The nodes with which each node is connected.
    neighbours: Vec<Vec<usize>>,
    topics: usize,
    /// The size of the mesh of each topic at each node, as of the last query of the node.
    mesh_sizes: Vec<Vec<usize>>,
    /// The node to query next.
    next: usize,
    /// Time until the meshes had formed.
    pub formation_time: Duration,
}

impl DemoNetwork {
    /// Starts the nodes and connects them.
    ///
    /// # Errors
    /// A node or the HTTP server can't start, or a dial fails.
    pub async fn start(arguments: &Arguments, log: &Arc<DeliveryLog>) -> Result<Self, Failure> {
        let Arguments { nodes: count, topics, seed, .. } = *arguments;
        let exporter = Exporter::new();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let arbiters: Vec<_> = (0..cores.min(count)).map(|_| Arbiter::new()).collect();
        let start = |index: usize| {
            let arbiter = arbiters[index % arbiters.len()].handle();
            let seed = seed.wrapping_add(index as u64);
            let recorder = (index == 0).then(|| Arc::clone(&exporter.recorder));
            async move { DemoNode::start(&arbiter, index, topics, seed, log, recorder).await }
        };
        let nodes: Vec<_> = join_all((0..count).map(start)).await.into_iter().collect::<Result<_, _>>()?;
        let status_server = serve(arguments.http, &nodes[0], &exporter)?;
        let dials = dials(count, seed);
        for (from, to) in &dials {
            let address = &nodes[*to].address;
            let dial = nodes[*from].handle.dial(address.clone()).await;
            dial.map_err(|error| Failure::dial(address, &error))?;
        }
        Ok(Self {
            status_server,
            nodes,
            arbiters,
            neighbours: neighbours(count, &dials),
            topics,
            mesh_sizes: vec![vec![0; topics]; count],
            next: 0,
            formation_time: Duration::ZERO,
        })
    }

    /// The URL of the first node's status page.
    pub fn url(&self) -> String {
        self.status_server.url()
    }

    /// Waits until every node has a complete mesh for every topic, for at most [`MESH_TIMEOUT`].
    pub async fn form_meshes(&mut self, shutdown: &CancellationToken) {
        let start = Instant::now();
        loop {
            self.query_all().await;
            self.formation_time = start.elapsed();
            if self.has_formed() || self.formation_time > MESH_TIMEOUT {
                return;
            }
            if shutdown.run_until_cancelled(sleep(MESH_POLL_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    fn has_formed(&self) -> bool {
        (0..self.nodes.len()).all(|node| {
            let least = self.least_mesh_size(node);
            self.mesh_sizes[node].iter().all(|size| *size >= least)
        })
    }

    /// The size that each mesh of a node reaches: D_low, or all its peers if it has fewer. A peer with more connections than
    /// D_high may remove the node from its mesh.
    fn least_mesh_size(&self, node: usize) -> usize {
        let limits = self.nodes[node].worker.limits();
        let peers = self.neighbours[node].iter();
        peers
            .filter(|peer| self.neighbours[**peer].len() <= limits.degree_high)
            .count()
            .min(limits.degree_low)
    }

    /// The number of meshes: one for each topic of each node.
    pub fn meshes(&self) -> usize {
        self.mesh_sizes.iter().map(Vec::len).sum()
    }

    /// The number of meshes that are too small or too large, as of the last query of each node.
    pub fn meshes_outside_bounds(&self) -> usize {
        let most = self.nodes[0].worker.limits().degree_high;
        let outside = |(node, sizes): (usize, &Vec<usize>)| {
            let least = self.least_mesh_size(node);
            sizes.iter().filter(|size| !(least..=most).contains(*size)).count()
        };
        self.mesh_sizes.iter().enumerate().map(outside).sum()
    }

    /// The engines of all nodes.
    pub fn workers(&self) -> impl Iterator<Item = &Worker<Libp2pNetwork>> {
        self.nodes.iter().map(|node| &node.worker)
    }

    /// Queries the meshes of one node, round-robin, because a query takes time of the node.
    pub async fn query_next(&mut self) {
        self.query(self.next).await;
        self.next = (self.next + 1) % self.nodes.len();
    }

    /// Queries the meshes of all nodes.
    pub async fn query_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.query(node).await;
        }
    }

    /// Keeps the last sizes if the engine does not answer.
    async fn query(&mut self, node: usize) {
        if let Ok(Ok(meshes)) = timeout(QUERY_TIMEOUT, self.nodes[node].worker.mesh(Page::all())).await {
            self.mesh_sizes[node] = mesh_sizes(&meshes.items, self.topics);
        }
    }

    /// Handles for publishing on each node.
    pub fn publish_handles(&self) -> Vec<PublishHandle> {
        let handle =
            |node: &DemoNode| PublishHandle { worker: node.worker.clone(), network: node.network.clone() };
        self.nodes.iter().map(handle).collect()
    }

    /// The number of connections between the nodes.
    pub fn connections(&self) -> usize {
        self.neighbours.iter().map(Vec::len).sum::<usize>() / 2
    }

    /// The mean mesh size of a topic over all nodes.
    pub fn mesh_degree(&self, topic: usize) -> f64 {
        self.mesh_sizes.iter().map(|sizes| sizes[topic] as f64).sum::<f64>() / self.mesh_sizes.len() as f64
    }

    /// The mean mesh size over all topics and nodes.
    pub fn mean_mesh_degree(&self) -> f64 {
        (0..self.topics).map(|topic| self.mesh_degree(topic)).sum::<f64>() / self.topics as f64
    }

    /// Stops all nodes and their threads.
    pub async fn stop(self) {
        self.status_server.stop().await;
        join_all(self.nodes.into_iter().map(DemoNode::stop)).await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // The panic handler has already logged a panic of the thread.
            let _ = arbiter.join();
        }
    }
}

/// Serves on the given address; otherwise on the default address, or on any free port if that one is in use.
fn serve(
    address: Option<SocketAddr>,
    first: &DemoNode,
    exporter: &Exporter,
) -> Result<StatusServer, Failure> {
    let identity = SharedIdentity::new(first.handle.peer_id());
    identity.on_event(&NodeEvent::Listening(&first.address));
    let described = Described { identity, node: first.handle.clone(), listens: true, dials: true };
    let served = Served { worker: first.worker.clone(), hosts: Vec::new(), described, admin: None };
    let start = |address| StatusServer::start(address, exporter, served.clone());
    match address {
        Some(address) => start(address),
        None => start(default_address()).or_else(|_| start(SocketAddr::from(([127, 0, 0, 1], 0)))),
    }
}

/// The mesh size of each topic, 0 for topics that the answer does not contain.
fn mesh_sizes(meshes: &[(TopicName, Vec<PeerId>)], topics: usize) -> Vec<usize> {
    let sizes: HashMap<_, _> = meshes.iter().map(|(topic, peers)| (topic, peers.len())).collect();
    (0..topics).map(|index| sizes.get(&topic(index)).copied().unwrap_or(0)).collect()
}

/// A random, connected topology as pairs of the dialling and the dialled node. It depends only on the arguments, and
/// has no pair twice, in either direction.
fn dials(nodes: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut connected = BTreeSet::new();
    let mut dials = Vec::new();
    let mut dial = |from: usize, to: usize| {
        let new = connected.insert((from.min(to), from.max(to)));
        if new {
            dials.push((from, to));
        }
        new
    };
    // A random tree connects all nodes.
    for node in 1..nodes {
        dial(node, rng.random_range(0..node));
    }
    for node in 0..nodes {
        let mut others: Vec<_> = (0..nodes).filter(|other| *other != node).collect();
        others.shuffle(&mut rng);
        // Each node but the first has dialled its parent in the tree.
        let wanted = if node == 0 { DIALS } else { DIALS - 1 };
        others.into_iter().filter(|other| dial(node, *other)).take(wanted).for_each(drop);
    }
    dials
}

/// The nodes with which each node is connected.
fn neighbours(nodes: usize, dials: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); nodes];
    for (from, to) in dials {
        neighbours[*from].push(*to);
        neighbours[*to].push(*from);
    }
    neighbours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topology_is_connected_and_has_no_pair_twice() {
        for (nodes, seed) in [(2, 1), (3, 2), (8, 3), (50, 4), (128, 5)] {
            let dials = dials(nodes, seed);
            let mut reached = BTreeSet::from([0]);
            for _ in 0..nodes {
                for (a, b) in &dials {
                    if reached.contains(a) || reached.contains(b) {
                        reached.extend([*a, *b]);
                    }
                }
            }
            assert_eq!(reached.len(), nodes);
            let pairs: BTreeSet<_> = dials.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            assert_eq!(pairs.len(), dials.len());
            assert_eq!(neighbours(nodes, &dials).iter().map(Vec::len).sum::<usize>(), 2 * dials.len());
        }
        assert_eq!(dials(20, 7), dials(20, 7));
        assert_ne!(dials(20, 7), dials(20, 8));
    }
}

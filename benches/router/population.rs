//! Who takes part in a workload: topics, peers, and which peers are in which mesh; and the inputs that bring
//! an engine there. Runs nothing.

use std::sync::Arc;

use actix_gossipsub::{ConnectionInfo, Limits, LimitsConfig, P2pInput, P2pMessage};

use super::networks::Workload;

/// D: the peers of each mesh, and so the copies of each message.
pub const DEGREE: usize = 8;

/// The limits for so many topics; scoring is on.
pub fn limits(topics: usize) -> Limits<Arc<str>> {
    let mut config: LimitsConfig<Arc<str>> =
        toml::from_str(include_str!("limits.toml")).expect("limits.toml");
    config.max_topics_per_peer = topics + 1;
    // The heartbeats' gossip is read at leisure and must not be dropped; the end of an engine is not measured.
    config.bounds.max_output_items = 1 << 24;
    config.bounds.shutdown_deadline = std::time::Duration::from_millis(10);
    Limits::try_from(config).expect("limits.toml")
}

/// Everybody.
pub struct Population<N: Workload> {
    pub topics: Vec<Arc<str>>,
    pub peers: Vec<N::Peer>,
    /// The peers of each topic's mesh, by number.
    pub meshes: Vec<[usize; DEGREE]>,
}

impl<N: Workload> Population<N> {
    /// So many topics, `t0` and so on, and so many peers; `mesh` tells the peers of a topic's mesh.
    pub fn new(topics: usize, peers: usize, mesh: impl FnMut(usize) -> [usize; DEGREE]) -> Self {
        Self {
            topics: (0..topics).map(|topic| Arc::from(format!("t{topic}"))).collect(),
            peers: (0..peers).map(N::peer).collect(),
            meshes: (0..topics).map(mesh).collect(),
        }
    }

    /// The inputs after the joins: all peers connect, all subscribe to everything. Topic by topic: the
    /// reference subscribes peer by peer, which ends the same and takes longer.
    pub fn arrivals(&self) -> impl Iterator<Item = P2pInput<N>> {
        let subscriptions = self.topics.iter().flat_map(|topic| self.subscriptions(topic));
        self.peers.iter().map(connection).chain(subscriptions)
    }

    /// The inputs after that: each topic's mesh peers graft us.
    pub fn grafts(&self) -> impl Iterator<Item = P2pInput<N>> {
        self.topics.iter().zip(&self.meshes).flat_map(|(topic, mesh)| self.grafts_on(topic, mesh))
    }

    fn subscriptions(&self, topic: &Arc<str>) -> impl Iterator<Item = P2pInput<N>> {
        let subscribe = |topic: &Arc<str>| P2pMessage::subscribe(Arc::clone(topic));
        self.peers.iter().map(move |peer| P2pInput::message(peer.clone(), subscribe(topic)))
    }

    fn grafts_on(&self, topic: &Arc<str>, mesh: &[usize; DEGREE]) -> impl Iterator<Item = P2pInput<N>> {
        let graft = |topic: &Arc<str>| P2pMessage::Graft { topic: Arc::clone(topic) };
        mesh.iter().map(move |peer| P2pInput::message(self.peers[*peer].clone(), graft(topic)))
    }
}

/// As the reference's: dialled by us and trusted, neither direct nor bootstrap.
fn connection<N: Workload>(peer: &N::Peer) -> P2pInput<N> {
    let peer = peer.clone();
    P2pInput::NewConnection { peer, info: ConnectionInfo::outbound().trusted() }
}

//! This module defines the topics and peers of a workload, the peers of each mesh, and the inputs that bring a router
//! into that state.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{ConnectionInfo, Limits, LimitsConfig, P2pInput, P2pMessage, limits::Extensions};
use serde::{Deserialize, Serialize};

use super::networks::Workload;

/// The size of each mesh (D), which is also the number of copies of each message.
pub const DEGREE: usize = 8;

/// What a node does beyond the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Enabled {
    Nothing,
    /// P6, graylist, promises and requests that are sent once.
    Defences,
    /// All default extensions.
    Default,
}

/// The limits for this number of topics, with scoring and without the [`Extensions`].
pub fn limits(topics: usize) -> Limits<Arc<str>> {
    limits_from(config(topics))
}

/// The same limits with some of the [`Extensions`].
pub fn limits_with(enabled: Enabled, topics: usize) -> Limits<Arc<str>> {
    let (mut config, default) = (config(topics), Extensions::default());
    match enabled {
        Enabled::Nothing => {}
        Enabled::Defences => {
            (config.score.ip_colocation_weight, config.score.ip_colocation_threshold) = (-1.0, 10.0);
            config.extensions.graylist_threshold = default.graylist_threshold;
            config.extensions.disconnect_threshold = default.disconnect_threshold;
            config.extensions.iwant_followup_time = default.iwant_followup_time;
            config.extensions.iwant_from_one_peer = default.iwant_from_one_peer;
        }
        // The meshes stay those that the bench builds.
        Enabled::Default => {
            config.extensions = default.with(|extensions| extensions.graft_on_subscribe = false)
        }
    }
    limits_from(config)
}

fn config(topics: usize) -> LimitsConfig<Arc<str>> {
    let mut config: LimitsConfig<Arc<str>> =
        toml::from_str(include_str!("limits.toml")).expect("limits.toml");
    config.max_topics_per_peer = topics + 1;
    // The bench reads the gossip of a heartbeat late; none of it may be dropped.
    config.bounds.max_output_items = 1 << 24;
    config.bounds.shutdown_deadline = Duration::from_millis(10);
    config
}

fn limits_from(config: LimitsConfig<Arc<str>>) -> Limits<Arc<str>> {
    Limits::try_from(config).expect("limits.toml")
}

/// Topics, peers and meshes.
pub struct Topology<N: Workload> {
    pub topics: Vec<Arc<str>>,
    pub peers: Vec<N::Peer>,
    /// For each topic, the indices of its mesh peers.
    pub meshes: Vec<[usize; DEGREE]>,
}

impl<N: Workload> Topology<N> {
    /// Names the topics `t0`, `t1` and so on. `mesh` returns the mesh peers of a topic.
    pub fn new(topics: usize, peers: usize, mesh: impl FnMut(usize) -> [usize; DEGREE]) -> Self {
        Self {
            topics: (0..topics).map(|topic| Arc::from(format!("t{topic}"))).collect(),
            peers: (0..peers).map(N::peer).collect(),
            meshes: (0..topics).map(mesh).collect(),
        }
    }

    /// The inputs that follow the joins: all peers connect, then each subscribes to all topics. The order is topic
    /// by topic. The reference subscribes peer by peer, which ends in the same state and takes longer.
    pub fn connections(&self) -> impl Iterator<Item = P2pInput<N>> {
        let subscriptions = self.topics.iter().flat_map(|topic| self.subscriptions(topic));
        self.peers.iter().map(connection).chain(subscriptions)
    }

    /// The inputs that follow the subscriptions: the mesh peers of each topic graft this node.
    pub fn grafts(&self) -> impl Iterator<Item = P2pInput<N>> {
        self.topics.iter().zip(&self.meshes).flat_map(|(topic, mesh)| self.grafts_of(topic, mesh))
    }

    fn subscriptions(&self, topic: &Arc<str>) -> impl Iterator<Item = P2pInput<N>> {
        let subscribe = |topic: &Arc<str>| P2pMessage::subscribe(Arc::clone(topic));
        self.peers.iter().map(move |peer| P2pInput::message(peer.clone(), subscribe(topic)))
    }

    fn grafts_of(&self, topic: &Arc<str>, mesh: &[usize; DEGREE]) -> impl Iterator<Item = P2pInput<N>> {
        let graft = |topic: &Arc<str>| P2pMessage::Graft { topic: Arc::clone(topic) };
        mesh.iter().map(move |peer| P2pInput::message(self.peers[*peer].clone(), graft(topic)))
    }
}

/// An outbound connection to a trusted peer, as in the measurements of the reference.
fn connection<N: Workload>(peer: &N::Peer) -> P2pInput<N> {
    let peer = peer.clone();
    P2pInput::NewConnection { peer, info: ConnectionInfo::outbound().trusted() }
}

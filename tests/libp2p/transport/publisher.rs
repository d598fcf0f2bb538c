//! This module runs a node of this crate with a real engine on one topic. The test controls each of its steps.

use std::time::Duration;

use actix_gossipsub::libp2p::{BehaviourConfig, Engine, NodeDriver, NodeEvent, NodeHandle, TransportConfig};
use actix_gossipsub::{Limits, LimitsConfig, PublishTicket, Started, Worker};
use libp2p::{Multiaddr, identity::Keypair};
use tokio::task::JoinHandle;

use super::{support::*, topic};

pub struct Publisher<T> {
    pub worker: Worker<Net>,
    pub network: Net,
    pub address: Multiaddr,
    /// The record that a test keeps of this node.
    pub record: T,
    _node: JoinHandle<()>,
    /// The node ends with its last handle.
    _handle: NodeHandle,
}

impl<T> Publisher<T> {
    /// Starts a node that listens. `watch` wraps the worker into the engine of the node; `observe` is called with its events.
    pub async fn start<E: Engine + Unpin + 'static>(
        gossipsub: BehaviourConfig,
        record: T,
        watch: impl FnOnce(Worker<Net>) -> E,
        mut observe: impl FnMut(&NodeEvent<'_>) + Send + 'static,
    ) -> Self {
        let key = Keypair::generate_ed25519();
        let network = settings(&key).build();
        // The connections run on the thread of the test, with the peers: the time in which a peer must read something does
        // not pass while the peers wait for this thread.
        let config =
            TransportConfig::default().with(|c| (c.gossipsub, c.connection_threads) = (gossipsub, 0));
        let swarm = actix_gossipsub::libp2p::swarm(key, network.clone(), &config).unwrap();
        let limits = Limits::try_from(LimitsConfig::default()).unwrap();
        let engine = Worker::builder(network.clone(), limits).self_peer(*swarm.local_peer_id()).manual();
        let Started { worker, p2p, .. } = engine.arbiters(1).start([topic()]).unwrap();
        let (node, handle) = NodeDriver::new(swarm, watch(worker.clone()), p2p, move |event| {
            observe(&event);
        });
        let node = actix_rt::spawn(node);
        let address = handle.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
        Self { worker, network, address, record, _node: node, _handle: handle }
    }

    pub fn publish(&self, size: usize) -> PublishTicket<Net> {
        self.worker.publish(self.network.message(topic(), vec![7; size]).unwrap()).unwrap()
    }

    /// Runs heartbeats until `peers` peers are in the mesh.
    pub async fn mesh(&self, peers: usize) {
        for _ in 0..1_000 {
            self.worker.tick().await;
            let view = self.worker.state().await.unwrap();
            if view.mesh.get(&topic()).is_some_and(|mesh| mesh.len() == peers) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the mesh does not reach {peers} peers");
    }
}

//! One node of the demonstration: an engine and a swarm on one arbiter.

use std::sync::Arc;

use actix::ArbiterHandle;
use actix_gossipsub::{
    AppOutputs, Limits, LimitsConfig, Started, Worker,
    libp2p::{Libp2pNetwork, NodeDriver, NodeHandle, SignaturePolicy, TopicName, TransportConfig, swarm},
};
use libp2p::{Multiaddr, identity::Keypair};
use metrics_exporter_prometheus::PrometheusRecorder;
use tokio::sync::oneshot;

use super::{deliveries::DeliveryLog, publisher};
use crate::cli::Failure;

/// A running node.
pub struct DemoNode {
    pub worker: Worker<Libp2pNetwork>,
    pub network: Libp2pNetwork,
    pub handle: NodeHandle,
    pub address: Multiaddr,
    /// Resolves when the swarm's task has ended.
    swarm_ended: oneshot::Receiver<()>,
}

/// The arguments with which the arbiter's thread starts a node.
struct NodeConfig {
    index: usize,
    topics: usize,
    limits: Limits<TopicName>,
    seed: u64,
    log: Arc<DeliveryLog>,
    recorder: Option<Arc<PrometheusRecorder>>,
}

impl DemoNode {
    /// Starts node `index` on `arbiter`, and waits until it listens on a TCP port.
    ///
    /// # Errors
    /// The node can't start, or its thread has panicked.
    pub async fn start(
        arbiter: &ArbiterHandle,
        index: usize,
        topics: usize,
        seed: u64,
        log: &Arc<DeliveryLog>,
        recorder: Option<Arc<PrometheusRecorder>>,
    ) -> Result<Self, Failure> {
        let limits = limits(topics)?;
        let config = NodeConfig { index, topics, limits, seed, log: Arc::clone(log), recorder };
        let (sender, node) = oneshot::channel();
        arbiter.spawn(async move {
            // The receiver waits below.
            let _ = sender.send(config.start().await);
        });
        node.await.map_err(|_| Failure::NodeDown)?
    }

    /// Leaves the topics, which sends PRUNE and UNSUBSCRIBE to the peers, and closes the connections.
    pub async fn stop(self) {
        self.worker.shutdown().await;
        // The sender is dropped if the thread has panicked.
        let _ = self.swarm_ended.await;
    }
}

impl NodeConfig {
    async fn start(self) -> Result<DemoNode, Failure> {
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let policy = SignaturePolicy::StrictSign(Box::new(key.clone()));
        let network = Libp2pNetwork::builder(policy).build();
        let transport = TransportConfig::default().with(|c| c.connection_threads = 0);
        let swarm = swarm(key, network.clone(), &transport)?;
        // The engine runs on this thread, with its swarm and its connections, so that messages do not change threads and
        // there are as many threads as cores. Measured on two busy cores, with 20 nodes, 100 topics and 500 messages per second: 0.13 to
        // 0.15 ms of CPU time per delivery, against 0.16 to 0.24 ms if each engine has a thread of its own, but a
        // higher latency than with these threads.
        let mut engine =
            Worker::builder(network.clone(), self.limits).self_peer(peer).seed(self.seed).arbiters(0);
        if let Some(recorder) = self.recorder {
            engine = engine.recorder(recorder);
        }
        let Started { worker, p2p, app } = engine.start((0..self.topics).map(publisher::topic))?;
        let (node, handle) = NodeDriver::new(swarm, worker.clone(), p2p, |_| {});
        let (end, swarm_ended) = oneshot::channel();
        actix::spawn(async move {
            node.await;
            let _ = end.send(());
        });
        actix::spawn(count_deliveries(app, self.index, self.topics, self.log));
        let address = any_port();
        let listen = handle.listen(address.clone()).await;
        let address = listen.map_err(|error| Failure::listen(&address, &error))?;
        Ok(DemoNode { worker, network, handle, address, swarm_ended })
    }
}

fn any_port() -> Multiaddr {
    use libp2p::multiaddr::Protocol;
    Multiaddr::empty().with(Protocol::Ip4(std::net::Ipv4Addr::LOCALHOST)).with(Protocol::Tcp(0))
}

/// The default limits, except that a node accepts an IHAVE for each topic in one heartbeat. Gossip then recovers every
/// lost message, however many topics there are.
fn limits(topics: usize) -> Result<Limits<TopicName>, Failure> {
    let mut config = LimitsConfig::<TopicName>::default();
    let topics = u32::try_from(topics).unwrap_or(u32::MAX);
    config.max_recv_ihave_per_heartbeat = config.max_recv_ihave_per_heartbeat.max(topics);
    Limits::try_from(config).map_err(Failure::Options)
}

/// Counts the deliveries of the engine until it stops.
async fn count_deliveries(
    mut app: AppOutputs<Libp2pNetwork>,
    node: usize,
    topics: usize,
    log: Arc<DeliveryLog>,
) {
    let indices: std::collections::HashMap<_, _> =
        (0..topics).map(|index| (publisher::topic(index), index)).collect();
    while let Some(message) = app.recv().await {
        // Messages arrive on joined topics only.
        if let Some(topic) = indices.get(&message.topic) {
            log.delivered(*topic, node, message.message.data());
        }
    }
}

//! One node of the demonstration: an engine and a swarm on one arbiter. It knows nothing of the others.

use std::sync::Arc;

use actix::ArbiterHandle;
use actix_gossipsub::{
    AppOutputs, Limits, LimitsConfig, Started, Worker,
    libp2p::{Libp2pNetwork, NodeDriver, NodeHandle, SignaturePolicy, TopicName, TransportConfig, swarm},
};
use libp2p::{Multiaddr, identity::Keypair};
use metrics_exporter_prometheus::PrometheusRecorder;
use tokio::sync::oneshot;

use super::{feed, tally::Tally};
use crate::cli::Failure;

/// A running node.
pub struct Member {
    pub worker: Worker<Libp2pNetwork>,
    pub network: Libp2pNetwork,
    pub handle: NodeHandle,
    pub address: Multiaddr,
    /// Told when the swarm has ended.
    ended: oneshot::Receiver<()>,
}

/// What a node is made of, on its way to its arbiter.
struct Plan {
    index: usize,
    topics: usize,
    limits: Limits<TopicName>,
    seed: u64,
    tally: Arc<Tally>,
    recorder: Option<Arc<PrometheusRecorder>>,
}

impl Member {
    /// Starts node `index` on `arbiter` and waits until it listens.
    pub async fn start(
        arbiter: &ArbiterHandle,
        index: usize,
        topics: usize,
        seed: u64,
        tally: &Arc<Tally>,
        recorder: Option<Arc<PrometheusRecorder>>,
    ) -> Result<Self, Failure> {
        let limits = limits(topics)?;
        let plan = Plan { index, topics, limits, seed, tally: Arc::clone(tally), recorder };
        let (answer, member) = oneshot::channel();
        arbiter.spawn(async move {
            // Whoever asked waits for the answer.
            let _ = answer.send(plan.start().await);
        });
        member.await.map_err(|_| Failure::NodeDown)?
    }

    /// Leaves the topics, says so to the peers, and closes the connections.
    pub async fn end(self) {
        self.worker.shutdown().await;
        // An error means that its thread is gone.
        let _ = self.ended.await;
    }
}

impl Plan {
    async fn start(self) -> Result<Member, Failure> {
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let policy = SignaturePolicy::StrictSign(Box::new(key.clone()));
        let network = Libp2pNetwork::builder(policy).build();
        let swarm = swarm(key, network.clone(), &TransportConfig::default())?;
        // No threads of its own: between socket and application nothing changes threads, and there are as
        // many threads as cores. Measured with 20 nodes, 100 topics and 500 messages a second on 2 cores
        // that had other work too: 0.13 to 0.15 ms of processor time a delivery, against 0.16 to 0.24 ms
        // with a thread for each engine. Latency was lower with those threads there; on an idle machine
        // neither was measured.
        let mut engine =
            Worker::builder(network.clone(), self.limits).self_peer(peer).seed(self.seed).arbiters(0);
        if let Some(recorder) = self.recorder {
            engine = engine.recorder(recorder);
        }
        let Started { worker, p2p, app } = engine.start((0..self.topics).map(feed::topic))?;
        let (node, handle) = NodeDriver::new(swarm, worker.clone(), p2p, |_| {});
        let (end, ended) = oneshot::channel();
        actix::spawn(async move {
            node.await;
            let _ = end.send(());
        });
        actix::spawn(count(app, self.index, self.topics, self.tally));
        let address = any_port();
        let listen = handle.listen(address.clone()).await;
        let address = listen.map_err(|error| Failure::listen(&address, &error))?;
        Ok(Member { worker, network, handle, address, ended })
    }
}

fn any_port() -> Multiaddr {
    use libp2p::multiaddr::Protocol;
    Multiaddr::empty().with(Protocol::Ip4(std::net::Ipv4Addr::LOCALHOST)).with(Protocol::Tcp(0))
}

/// The defaults, but gossip on every topic is heeded at each heartbeat: a lost message is then sure to be
/// found, however many topics there are.
fn limits(topics: usize) -> Result<Limits<TopicName>, Failure> {
    let mut config = LimitsConfig::<TopicName>::default();
    let topics = u32::try_from(topics).unwrap_or(u32::MAX);
    config.max_recv_ihave_per_heartbeat = config.max_recv_ihave_per_heartbeat.max(topics);
    Limits::try_from(config).map_err(Failure::Options)
}

/// Counts what the engine delivers, until it ends.
async fn count(mut app: AppOutputs<Libp2pNetwork>, node: usize, topics: usize, tally: Arc<Tally>) {
    let names: std::collections::HashMap<_, _> =
        (0..topics).map(|index| (feed::topic(index), index)).collect();
    while let Some(message) = app.recv().await {
        // No other topic was joined.
        if let Some(topic) = names.get(&message.topic) {
            tally.delivered(*topic, node, message.message.data());
        }
    }
}

//! A whole node for an application: engine, ready-made swarm and driver, started together.

use std::{fmt, sync::Arc, time::Duration};

use ::libp2p::{Multiaddr, PeerId, identity::Keypair, multiaddr::Protocol};
use tokio::{sync::watch, time::sleep};
use tracing::Instrument;

use super::{
    driver::NodeDriver,
    error::{NodeStartError, PublishError},
    handle::{NodeEvent, NodeHandle},
};
use crate::{
    AppOutputs, EngineStopped, Limits, LimitsConfig, PublishTicket, Started, Worker, WorkerBuilder,
    libp2p::{
        codec::limits::WireLimits,
        ids::TopicName,
        network::Libp2pNetwork,
        signature::policy::SignaturePolicy,
        swarm::builder::{TransportConfig, swarm},
    },
    protocol::RemainingBackoff,
};

/// How often [`Node::wait_for_mesh`] reads the mesh.
const MESH_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running node: an engine, a swarm, and the driver task between them. Clones are the same node.
///
/// The example starts two nodes in one process; the second one publishes and the first one receives.
///
/// ```
/// use actix_gossipsub::libp2p::{Keypair, Node};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
/// let (alice, mut received) = Node::builder(Keypair::generate_ed25519())
///     .listen("/ip4/127.0.0.1/tcp/0")
///     .topic("news")
///     .start()
///     .await?;
/// let (bob, _received) = Node::builder(Keypair::generate_ed25519())
///     .dial(alice.addresses()[0].clone())
///     .topic("news")
///     .start()
///     .await?;
/// bob.wait_for_mesh("news", 1).await?;
/// bob.publish("news", "hello")?;
/// let message = received.recv().await.expect("the node runs");
/// assert_eq!(message.message.data(), b"hello");
/// bob.shutdown().await;
/// alice.shutdown().await;
/// # Ok(()) }) }
/// ```
///
/// A node ends by [`shutdown`](Self::shutdown). If all clones are dropped before, the connections close, but the engine
/// runs until its [`Worker`] is shut down or the actix system ends.
#[derive(Clone)]
pub struct Node {
    worker: Worker<Libp2pNetwork>,
    network: Libp2pNetwork,
    handle: NodeHandle,
    addresses: Arc<[Multiaddr]>,
    /// Closed when the driver has ended.
    driver: watch::Receiver<()>,
}

/// Collects the settings of a [`Node`]. Every setting has a default.
#[must_use = "a builder starts nothing by itself"]
pub struct NodeBuilder {
    key: Keypair,
    network: Option<Libp2pNetwork>,
    limits: LimitsConfig<TopicName>,
    transport: TransportConfig,
    topics: Vec<TopicName>,
    listen: Vec<Multiaddr>,
    dial: Vec<Multiaddr>,
    /// The first address that can't be parsed, and why.
    bad_address: Option<String>,
    backoffs: Vec<RemainingBackoff<Libp2pNetwork>>,
    engine: Box<EngineSettings>,
    observer: Box<dyn FnMut(NodeEvent<'_>) + Send>,
}

type EngineSettings = dyn FnOnce(WorkerBuilder<Libp2pNetwork>) -> WorkerBuilder<Libp2pNetwork>;

impl Node {
    /// Begins a node whose identity is `key`. By default the key also signs its messages.
    pub fn builder(key: Keypair) -> NodeBuilder {
        NodeBuilder {
            key,
            network: None,
            limits: LimitsConfig::default(),
            transport: TransportConfig::default(),
            topics: Vec::new(),
            listen: Vec::new(),
            dial: Vec::new(),
            bad_address: None,
            backoffs: Vec::new(),
            engine: Box::new(|builder| builder),
            observer: Box::new(|_| {}),
        }
    }

    /// The peer id of the node.
    pub fn peer_id(&self) -> PeerId {
        self.handle.peer_id()
    }

    /// The first address of each listener, in the order in which the builder got them, each with the node's peer id at
    /// its end (`/p2p/PEER`). Other nodes can dial them.
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// The engine: for joining and leaving topics, queries and statistics.
    pub fn worker(&self) -> &Worker<Libp2pNetwork> {
        &self.worker
    }

    /// The network of the node, which creates its messages.
    pub fn network(&self) -> &Libp2pNetwork {
        &self.network
    }

    /// The handle of the swarm: for listening, dialling and disconnecting.
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Signs a message as the signature policy demands and publishes it. The topic need not be joined. Never blocks.
    /// The ticket reports what becomes of the message.
    ///
    /// # Errors
    /// The topic name or the payload is too long, the key can't sign, or the engine has no room or has ended.
    pub fn publish(
        &self,
        topic: impl Into<TopicName>,
        data: impl Into<Vec<u8>>,
    ) -> Result<PublishTicket<Libp2pNetwork>, PublishError> {
        let message = self.network.message(topic.into(), data)?;
        Ok(self.worker.publish(message)?)
    }

    /// Waits until the mesh of a joined topic has at least `peers` peers. A mesh grows at heartbeats. There is no
    /// timeout. Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn wait_for_mesh(
        &self,
        topic: impl Into<TopicName>,
        peers: usize,
    ) -> Result<(), EngineStopped> {
        let topic = topic.into();
        while self.worker.mesh_of(&topic).await?.is_none_or(|mesh| mesh.len() < peers) {
            sleep(MESH_POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Ends the node: leaves all topics, sends what is queued, closes the connections, and waits until all is done.
    /// [`Worker::shutdown`] and [`NodeDriver`] bound the time. If the future is dropped after
    /// its first poll, the node ends all the same.
    pub async fn shutdown(&self) {
        // The outputs end with the engine, and the driver with the outputs.
        self.worker.shutdown().await;
        self.wait_for_driver().await;
    }

    /// Ends the node as [`shutdown`](Self::shutdown) does, and returns the backoffs that it has then
    /// ([`Worker::shutdown_with_backoffs`]). A node that starts again with the same key within some seconds takes them over by
    /// [`initial_backoffs`](NodeBuilder::initial_backoffs).
    ///
    /// If the future is dropped after its first poll, the node ends all the same, and the backoffs are lost.
    ///
    /// # Errors
    /// The node had ended or was ending before, or its engine did not answer in time.
    pub async fn shutdown_with_backoffs(
        &self,
    ) -> Result<Vec<RemainingBackoff<Libp2pNetwork>>, EngineStopped> {
        let backoffs = self.worker.shutdown_with_backoffs().await;
        self.wait_for_driver().await;
        backoffs
    }

    /// Ends the node as [`shutdown`](Self::shutdown) does, but leaves no topic ([`Worker::shutdown_for_restart`]): a node that
    /// starts again with the same key is back in the meshes of its peers within two heartbeats. If the future is dropped after
    /// its first poll, the node ends all the same.
    pub async fn shutdown_for_restart(&self) {
        self.worker.shutdown_for_restart().await;
        self.wait_for_driver().await;
    }

    async fn wait_for_driver(&self) {
        let mut driver = self.driver.clone();
        while driver.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Node");
        out.field("peer_id", &self.peer_id()).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl NodeBuilder {
    /// Listens on an address such as `/ip4/0.0.0.0/tcp/4001`; port 0 is any free port. By default the node does not
    /// listen.
    pub fn listen(mut self, address: impl TryInto<Multiaddr, Error: fmt::Display>) -> Self {
        let address = self.parse(address);
        self.listen.extend(address);
        self
    }

    /// Dials an address once. For peers to stay connected to, see
    /// [`persistent_points`](crate::libp2p::Libp2pNetworkBuilder::persistent_points).
    pub fn dial(mut self, address: impl TryInto<Multiaddr, Error: fmt::Display>) -> Self {
        let address = self.parse(address);
        self.dial.extend(address);
        self
    }

    /// Joins a topic at the start.
    pub fn topic(mut self, topic: impl Into<TopicName>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Joins topics at the start.
    pub fn topics(mut self, topics: impl IntoIterator<Item: Into<TopicName>>) -> Self {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// The network: signature policy, message ids, validation. By default
    /// [`StrictSign`](SignaturePolicy::StrictSign) with the node's key, and every message is valid.
    pub fn network(mut self, network: Libp2pNetwork) -> Self {
        self.network = Some(network);
        self
    }

    /// The parameters of the engine, checked at the start; by default [`LimitsConfig::default`].
    pub fn limits(mut self, limits: LimitsConfig<TopicName>) -> Self {
        self.limits = limits;
        self
    }

    /// The settings of the swarm; by default [`TransportConfig::default`].
    pub fn transport(mut self, transport: TransportConfig) -> Self {
        self.transport = transport;
        self
    }

    /// The backoffs that a former process with the same key left ([`Node::shutdown_with_backoffs`],
    /// [`Worker::remaining_backoffs`]), less the time since then. The node sends no GRAFT before they end, which would cost it
    /// score.
    pub fn initial_backoffs(
        mut self,
        backoffs: impl IntoIterator<Item = RemainingBackoff<Libp2pNetwork>>,
    ) -> Self {
        self.backoffs.extend(backoffs);
        self
    }

    /// Further settings of the engine, such as its threads and its metrics recorder. Replaces earlier ones.
    pub fn engine(
        mut self,
        settings: impl FnOnce(WorkerBuilder<Libp2pNetwork>) -> WorkerBuilder<Libp2pNetwork> + 'static,
    ) -> Self {
        self.engine = Box::new(settings);
        self
    }

    /// Called for each event of the node, on the driver's task; must not block. A panic of it is logged, and the node goes on.
    pub fn observer(mut self, observer: impl FnMut(NodeEvent<'_>) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Starts the node, waits until it listens, and begins to dial. Its swarm runs as a task of the current tokio
    /// runtime, such as an actix system. Returns the node and the messages that it receives on its topics. Read them:
    /// the engine takes no more messages from peers while too many are unread.
    ///
    /// If the future is dropped, the node may have been started in part; its connections then close.
    ///
    /// # Errors
    /// An address, a topic's name or the limits are invalid, the engine can't start a thread, or the node can't listen or dial. In each
    /// case nothing stays running.
    pub async fn start(self) -> Result<(Node, AppOutputs<Libp2pNetwork>), NodeStartError> {
        if let Some(bad_address) = self.bad_address {
            return Err(NodeStartError::Address(bad_address));
        }
        let mut limits = self.limits;
        let network = self.network.unwrap_or_else(|| {
            let policy = SignaturePolicy::StrictSign(Box::new(self.key.clone()));
            Libp2pNetwork::builder(policy)
                .default_backoff(limits.prune_backoff)
                .refuse_replays(limits.extensions.replay_check_authors)
                .build()
        });
        if let Some(error) = bad_topic(&self.topics, network.limits()) {
            return Err(error);
        }
        // The limits are checked with what the network does.
        limits.extensions.replay_check_authors = network.replay_check_authors();
        let limits = Limits::try_from(limits)?;
        let swarm = swarm(self.key, network.clone(), &self.transport)?;
        let engine = Worker::builder(network.clone(), limits)
            .self_peer(*swarm.local_peer_id())
            .initial_backoffs(self.backoffs);
        let Started { worker, p2p, app } = (self.engine)(engine).start(self.topics)?;
        let (task, handle) = NodeDriver::new(swarm, worker.clone(), p2p, self.observer);
        let (ended, driver) = watch::channel(());
        let task = task.instrument(worker.span().clone());
        tokio::spawn(async move {
            task.await;
            drop(ended);
        });
        let mut node = Node { worker, network, handle, addresses: Arc::default(), driver };
        match node.listen_and_dial(self.listen, self.dial).await {
            Ok(addresses) => node.addresses = addresses.into(),
            Err(error) => {
                node.shutdown().await;
                return Err(error);
            }
        }
        Ok((node, app))
    }

    fn parse(&mut self, address: impl TryInto<Multiaddr, Error: fmt::Display>) -> Option<Multiaddr> {
        match address.try_into() {
            Ok(address) => Some(address),
            Err(error) => {
                self.bad_address.get_or_insert(error.to_string());
                None
            }
        }
    }
}

/// Finds a topic of which peers would never learn.
fn bad_topic(topics: &[TopicName], limits: &WireLimits) -> Option<NodeStartError> {
    let topic = topics.iter().find(|topic| !limits.allow_topic(topic))?;
    Some(NodeStartError::BadTopic { length: topic.as_str().len(), max: limits.max_topic_length })
}

impl Node {
    /// Listens on the first addresses and dials the others. Returns the first address of each listener.
    async fn listen_and_dial(
        &self,
        listen: Vec<Multiaddr>,
        dial: Vec<Multiaddr>,
    ) -> Result<Vec<Multiaddr>, NodeStartError> {
        let mut addresses = Vec::with_capacity(listen.len());
        for address in listen {
            let listening = self.handle.listen(address.clone()).await;
            let first = listening.map_err(|error| NodeStartError::Command { address, error })?;
            addresses.push(first.with(Protocol::P2p(self.peer_id())));
        }
        for address in dial {
            let dialling = self.handle.dial(address.clone()).await;
            dialling.map_err(|error| NodeStartError::Command { address, error })?;
        }
        Ok(addresses)
    }
}

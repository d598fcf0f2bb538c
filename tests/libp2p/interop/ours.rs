//! This module builds a whole node of this crate as an application would: the ready-made swarm, the driver task and the
//! engine. It also records the inputs of the engine, and its outputs as the transport gets them: in their lanes and batches.

use std::{
    collections::BTreeSet,
    fmt, slice,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, DropReason, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, P2pOutputs, Worker,
    WorkerBuilder,
    libp2p::{
        BehaviourConfig, Event, Libp2pNetwork, Libp2pNetworkBuilder, NodeDriver, NodeEvent, NodeHandle,
        OutputSource, SignaturePolicy, TopicName, TransportConfig, swarm,
    },
    protocol::{OutputBatch, RemainingBackoff, View},
};
use libp2p::{Multiaddr, PeerId, identity::Keypair};

use super::{IdAndData, Signing, TOPIC};

pub type Net = Libp2pNetwork;
pub type NetMessage = P2pMessage<Net>;

/// The messages between transport, engine and application.
#[derive(Default)]
pub struct Record {
    pub delivered: Vec<IdAndData>,
    /// The received and sent messages and the disconnections, in order.
    pub traffic: Vec<Traffic>,
    /// The protocol of each connection, in order.
    pub protocols: Vec<(PeerId, String)>,
    /// Unexpected events, such as refused inputs, broken streams and dropped messages.
    pub errors: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Traffic {
    Received(PeerId, NetMessage),
    Sent(PeerId, NetMessage),
    Disconnected(PeerId),
}

/// The configuration of a node of this crate.
pub struct Setup {
    pub key: Keypair,
    pub signing: Signing,
    /// In place of the policy that follows from `signing`.
    pub policy: Option<SignaturePolicy>,
    pub limits: LimitsConfig<TopicName>,
    pub gossipsub: BehaviourConfig,
    pub network: fn(Libp2pNetworkBuilder) -> Libp2pNetworkBuilder,
    pub engine: Box<dyn FnOnce(WorkerBuilder<Net>) -> WorkerBuilder<Net>>,
}

impl Setup {
    pub fn new(signing: Signing) -> Self {
        Self {
            key: Keypair::generate_ed25519(),
            signing,
            policy: None,
            limits: limits(),
            gossipsub: BehaviourConfig::default(),
            network: |builder| builder,
            engine: Box::new(|builder| builder),
        }
    }
}

/// The defaults with a short heartbeat. The history covers about as much time as with heartbeats of a second.
fn limits() -> LimitsConfig<TopicName> {
    LimitsConfig::default().with(|c| {
        c.heartbeat_interval = Duration::from_millis(200);
        c.history_length = 20;
        c.history_gossip_length = 10;
        c.seen_history_length = 600;
        c.backoff_cleanup_ticks = 1;
    })
}

/// A running node.
pub struct Ours {
    pub peer: PeerId,
    pub address: Multiaddr,
    pub worker: Worker<Net>,
    network: Net,
    node: NodeHandle,
    record: Arc<Mutex<Record>>,
}

pub fn topic() -> TopicName {
    TOPIC.into()
}

impl Ours {
    /// Starts a node that has joined the topic and listens.
    pub async fn start(signing: Signing) -> Self {
        Self::start_with(Setup::new(signing)).await
    }

    /// As [`start`](Self::start), with a configuration.
    pub async fn start_with(setup: Setup) -> Self {
        let Setup { key, signing, policy, limits, gossipsub, network, engine: settings } = setup;
        let peer = key.public().to_peer_id();
        let by_default = match signing {
            Signing::Strict => SignaturePolicy::StrictSign(Box::new(key.clone())),
            Signing::Anonymous => SignaturePolicy::StrictNoSign,
        };
        let network = network(Libp2pNetwork::builder(policy.unwrap_or(by_default))).build();
        let config = TransportConfig::default().with(|c| c.gossipsub = gossipsub);
        let swarm = swarm(key, network.clone(), &config).unwrap();
        let limits = Limits::try_from(limits).unwrap();
        let engine = Worker::builder(network.clone(), limits).self_peer(peer).arbiters(2);
        let mut started = settings(engine).start([topic()]).unwrap();

        let record = Arc::<Mutex<Record>>::default();
        let (delivered, events) = (record.clone(), record.clone());
        actix_rt::spawn(async move {
            while let Some(full) = started.app.recv().await {
                let message = (full.message_id.to_string(), full.message.data().to_vec());
                delivered.lock().unwrap().delivered.push(message);
            }
        });
        let outputs = Recorded { outputs: started.p2p, record: record.clone() };
        let (driver, node) = NodeDriver::new(swarm, started.worker.clone(), outputs, move |event| {
            events.lock().unwrap().write(&event);
        });
        actix_rt::spawn(driver);
        let address = node.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
        Self { peer, address, worker: started.worker, network, node, record }
    }

    pub async fn dial(&self, address: &Multiaddr) {
        self.node.dial(address.clone()).await.unwrap();
    }

    pub fn network(&self) -> &Net {
        &self.network
    }

    /// Publishes all of `data`. Returns the messages as other nodes should deliver them.
    pub fn publish(&self, data: Vec<Vec<u8>>) -> Vec<IdAndData> {
        let publish = |data: Vec<u8>| {
            let full = self.network.message(topic(), data.clone()).unwrap();
            let id = full.message_id.to_string();
            self.worker.app_input(AppInput::Publish(full)).unwrap();
            (id, data)
        };
        data.into_iter().map(publish).collect()
    }

    pub fn join(&self) {
        self.worker.app_input(AppInput::Join(topic())).unwrap();
    }

    pub fn leave(&self) {
        self.worker.app_input(AppInput::Leave(topic())).unwrap();
    }

    pub async fn view(&self) -> View<Net> {
        self.worker.state().await.unwrap()
    }

    pub async fn mesh(&self) -> BTreeSet<PeerId> {
        self.view().await.mesh.remove(&topic()).unwrap_or_default()
    }

    /// Whether `peer` is connected, and its subscription.
    pub async fn knows(&self, peer: &PeerId) -> Option<bool> {
        self.view().await.connections.get(peer).map(|connection| connection.topics.contains(&topic()))
    }

    pub async fn score(&self, peer: &PeerId) -> f64 {
        self.view().await.scores.get(peer).map_or(0.0, |view| view.score)
    }

    /// The messages delivered so far.
    pub fn delivered(&self) -> Vec<IdAndData> {
        self.record.lock().unwrap().delivered.clone()
    }

    pub fn traffic(&self) -> Vec<Traffic> {
        self.record.lock().unwrap().traffic.clone()
    }

    /// The protocols of the connections with `peer`, in order.
    pub fn protocols_with(&self, peer: &PeerId) -> Vec<String> {
        let record = self.record.lock().unwrap();
        record.protocols.iter().filter(|(other, _)| other == peer).map(|(_, id)| id.clone()).collect()
    }

    /// Refused inputs, broken streams, and messages that were not sent.
    pub fn errors(&self) -> Vec<String> {
        self.record.lock().unwrap().errors.clone()
    }

    /// Leaves the topics and shuts the engine down. Returns its backoffs.
    pub async fn stop_with_backoffs(self) -> Vec<RemainingBackoff<Net>> {
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, self.worker.shutdown_with_backoffs())
            .await
            .expect("the engine ends in time")
            .expect("the engine ran")
    }

    /// Shuts the engine down, without leaving the topics.
    pub async fn stop_for_restart(self) {
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, self.worker.shutdown_for_restart())
            .await
            .expect("the engine ends in time");
    }

    /// Waits until all inputs are handled, and shuts the engine down.
    pub async fn stop(self) {
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, self.worker.settle())
            .await
            .expect("the engine handles all inputs in time");
        tokio::time::timeout(wait, self.worker.shutdown()).await.expect("the engine ends in time");
    }

    /// The state of this node for the message of a failed test.
    pub async fn state(&self) -> String {
        let (stats, errors) = (self.worker.stats(), self.errors());
        let view = tokio::time::timeout(Duration::from_secs(2), self.worker.state()).await;
        let part = view.map(|view| view.map(|view| (view.mesh, view.backoff, view.connections, view.scores)));
        let traffic = self.traffic();
        let last: Vec<_> =
            traffic[traffic.len().saturating_sub(40)..].iter().map(ToString::to_string).collect();
        let (peer, delivered, queued) = (self.peer, self.delivered().len(), self.worker.input_queue_length());
        format!(
            "ours {peer}: {delivered} delivered, {queued} inputs queued, {stats:?}\n{part:?}\nerrors {errors:?}\n{}\n",
            last.join("\n")
        )
    }
}

/// The outputs of an engine, which are recorded on their way to the transport.
struct Recorded {
    outputs: P2pOutputs<Net>,
    record: Arc<Mutex<Record>>,
}

impl OutputSource for Recorded {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Net>>> {
        let next = OutputSource::poll_next(&mut self.outputs, cx);
        if let Poll::Ready(Some(batch)) = &next {
            self.record.lock().unwrap().write_sent(batch);
        }
        next
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(peer, message) => write!(f, "  from {peer}: {message}"),
            Self::Sent(peer, message) => write!(f, "  to {peer}: {message}"),
            Self::Disconnected(peer) => write!(f, "  {peer} disconnected"),
        }
    }
}

impl Record {
    fn write_sent(&mut self, batch: &OutputBatch<Net>) {
        let (to, message) = match batch {
            OutputBatch::Broadcast { to, message, .. } => (&to[..], NetMessage::FullMessage(message.clone())),
            OutputBatch::Gossip { to, message } => (&to[..], message.clone()),
            OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }) => {
                (slice::from_ref(to_peer), message.clone())
            }
            OutputBatch::Output(_) => return,
        };
        self.traffic.extend(to.iter().map(|peer| Traffic::Sent(*peer, message.clone())));
    }

    fn write(&mut self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Input(P2pInput::InMessage { from_peer, message }) => {
                self.traffic.push(Traffic::Received(*from_peer, message.clone()));
            }
            NodeEvent::Input(P2pInput::Disconnection { peer }) => {
                self.traffic.push(Traffic::Disconnected(*peer))
            }
            NodeEvent::Gossipsub(Event::Established { peer, protocol }) => {
                self.protocols.push((*peer, protocol.to_string()));
            }
            // The peer has the message, or does not support IDONTWANT.
            NodeEvent::Gossipsub(Event::Dropped {
                reason: DropReason::IDontWant | DropReason::Unsupported,
                ..
            }) => {}
            NodeEvent::Input(_) | NodeEvent::Listening(_) | NodeEvent::ListenerExpired(_) => {}
            other => self.errors.push(format!("{other:?}")),
        }
    }
}

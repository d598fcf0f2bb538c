//! This module builds a whole node of this crate as an application would: the ready-made swarm, the driver task and the
//! engine. It also records the inputs and outputs of the engine.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, DropReason, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, Worker,
    libp2p::{
        BehaviourConfig, Event, Libp2pNetwork, Libp2pNetworkBuilder, NodeDriver, NodeEvent, NodeHandle,
        OutputStream, SignaturePolicy, TopicName, TransportConfig, swarm,
    },
    protocol::View,
};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, identity::Keypair};

use super::{Shown, Signing, TOPIC};

pub type Net = Libp2pNetwork;
pub type NetMessage = P2pMessage<Net>;

/// What passed between transport and engine, and between engine and application.
#[derive(Default)]
pub struct Record {
    pub delivered: Vec<Shown>,
    /// What was said to us, or by us, and the connections that went.
    pub passed: Vec<Passed>,
    /// The protocol of each connection, in order.
    pub protocols: Vec<(PeerId, String)>,
    /// Whatever should not happen on a good day.
    pub trouble: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Passed {
    Heard(PeerId, NetMessage),
    Spoke(PeerId, NetMessage),
    Went(PeerId),
}

/// How a node of ours is set up.
pub struct Setup {
    pub key: Keypair,
    pub signing: Signing,
    pub limits: LimitsConfig<TopicName>,
    pub gossipsub: BehaviourConfig,
    pub network: fn(Libp2pNetworkBuilder) -> Libp2pNetworkBuilder,
}

impl Setup {
    pub fn new(signing: Signing) -> Self {
        Self {
            key: Keypair::generate_ed25519(),
            signing,
            limits: limits(),
            gossipsub: BehaviourConfig::default(),
            network: |builder| builder,
        }
    }
}

/// The defaults with a quick heartbeat, and a history as long in time as a second's would be.
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
    /// A node that joined the topic and listens.
    pub async fn start(signing: Signing) -> Self {
        Self::start_with(Setup::new(signing)).await
    }

    /// The same, set up in its own way.
    pub async fn start_with(setup: Setup) -> Self {
        let Setup { key, signing, limits, gossipsub, network } = setup;
        let peer = key.public().to_peer_id();
        let policy = match signing {
            Signing::Strict => SignaturePolicy::StrictSign(Box::new(key.clone())),
            Signing::Anonymous => SignaturePolicy::StrictNoSign,
        };
        let network = network(Libp2pNetwork::builder(policy)).build();
        let config = TransportConfig::default().with(|c| c.gossipsub = gossipsub);
        let swarm = swarm(key, network.clone(), &config).unwrap();
        let limits = Limits::try_from(limits).unwrap();
        let engine = Worker::builder(network.clone(), limits).self_peer(peer).arbiters(2);
        let mut started = engine.start([topic()]).unwrap();

        let record = Arc::<Mutex<Record>>::default();
        let (delivered, spoken, seen) = (record.clone(), record.clone(), record.clone());
        actix_rt::spawn(async move {
            while let Some(full) = started.app.recv().await {
                let shown = (full.message_id.to_string(), full.message.data().to_vec());
                delivered.lock().unwrap().delivered.push(shown);
            }
        });
        let outputs = started.p2p.inspect(move |output| {
            if let P2pOutput::OutMessage { to_peer, message } = output {
                spoken.lock().unwrap().passed.push(Passed::Spoke(*to_peer, message.clone()));
            }
        });
        let outputs = OutputStream(outputs);
        let (driver, node) = NodeDriver::new(swarm, started.worker.clone(), outputs, move |event| {
            seen.lock().unwrap().write(&event);
        });
        actix_rt::spawn(driver);
        let address = node.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
        Self { peer, address, worker: started.worker, network, node, record }
    }

    pub async fn dial(&self, address: &Multiaddr) {
        self.node.dial(address.clone()).await.unwrap();
    }

    /// Publishes all of `data`; returns them as others should get them.
    pub fn publish(&self, data: Vec<Vec<u8>>) -> Vec<Shown> {
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
    pub fn got(&self) -> Vec<Shown> {
        self.record.lock().unwrap().delivered.clone()
    }

    pub fn passed(&self) -> Vec<Passed> {
        self.record.lock().unwrap().passed.clone()
    }

    /// The protocols of the connections with `peer`, in order.
    pub fn protocols_with(&self, peer: &PeerId) -> Vec<String> {
        let record = self.record.lock().unwrap();
        record.protocols.iter().filter(|(other, _)| other == peer).map(|(_, id)| id.clone()).collect()
    }

    /// Inputs refused, streams broken, messages not sent.
    pub fn trouble(&self) -> Vec<String> {
        self.record.lock().unwrap().trouble.clone()
    }

    /// The end: nothing is left undone, and the engine's threads are joined.
    pub async fn stop(self) {
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, self.worker.settle()).await.expect("inputs are never handled");
        tokio::time::timeout(wait, self.worker.shutdown()).await.expect("the engine does not end");
    }

    /// For the message of a test that fails.
    pub async fn state(&self) -> String {
        let (stats, trouble) = (self.worker.stats(), self.trouble());
        let view = tokio::time::timeout(Duration::from_secs(2), self.worker.state()).await;
        let part = view.map(|view| view.map(|view| (view.mesh, view.backoff, view.connections, view.scores)));
        let passed = self.passed();
        let last: Vec<_> =
            passed[passed.len().saturating_sub(40)..].iter().map(ToString::to_string).collect();
        let (peer, got, queued) = (self.peer, self.got().len(), self.worker.input_queue_length());
        format!(
            "ours {peer}: got {got}, {queued} inputs wait, {stats:?}\n{part:?}\ntrouble {trouble:?}\n{}\n",
            last.join("\n")
        )
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(peer, said) => write!(f, "  from {peer}: {said}"),
            Self::Spoke(peer, said) => write!(f, "  to {peer}: {said}"),
            Self::Went(peer) => write!(f, "  {peer} went"),
        }
    }
}

impl Record {
    fn write(&mut self, event: &NodeEvent<'_>) {
        match event {
            NodeEvent::Input(P2pInput::InMessage { from_peer, message }) => {
                self.passed.push(Passed::Heard(*from_peer, message.clone()));
            }
            NodeEvent::Input(P2pInput::Disconnection { peer }) => self.passed.push(Passed::Went(*peer)),
            NodeEvent::Gossipsub(Event::Established { peer, protocol }) => {
                self.protocols.push((*peer, protocol.to_string()));
            }
            // They have it, or have no word for it.
            NodeEvent::Gossipsub(Event::Dropped {
                reason: DropReason::IDontWant | DropReason::Unsupported,
                ..
            }) => {}
            NodeEvent::Input(_) | NodeEvent::Listening(_) | NodeEvent::ListenerExpired(_) => {}
            other => self.trouble.push(format!("{other:?}")),
        }
    }
}

//! This module runs a node of rust-libp2p's gossipsub on the thread that starts it. Three settings differ from the
//! defaults: message ids are those of the specification and flood publishing is off, both as in this crate, and the
//! first heartbeat comes at once.

use std::{net::Ipv4Addr, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    connection_limits::{self, ConnectionLimits},
    gossipsub::{
        self, ConfigBuilder, IdentTopic, MessageAuthenticity, PeerScoreParams, PeerScoreThresholds,
        PublishError, TopicHash, TopicScoreParams,
    },
    identify,
    identity::Keypair,
    ping,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
};
use tokio::sync::{mpsc, oneshot};

use super::swarm;

/// The time before a lost peer is dialled again.
const REDIAL_DELAY: Duration = Duration::from_millis(500);

/// In what the nodes of the benches differ.
pub struct Settings {
    pub topics: Vec<String>,
    /// The address that dials come from, if it is not chosen by the system.
    pub source: Option<Ipv4Addr>,
    /// Whether peers are scored.
    pub scoring: bool,
    /// How long a message is remembered, if not as long as by default.
    pub seen_time: Option<Duration>,
    /// Whether a peer that was dialled is dialled again when it is lost.
    pub redial: bool,
}

impl Settings {
    pub fn new(topics: Vec<String>) -> Self {
        Self { topics, source: None, scoring: false, seen_time: None, redial: false }
    }

    fn config(&self) -> gossipsub::Config {
        let mut config = ConfigBuilder::default();
        config
            .heartbeat_initial_delay(Duration::from_millis(100))
            .flood_publish(false)
            .message_id_fn(message_id);
        if let Some(seen_time) = self.seen_time {
            config.duplicate_cache_time(seen_time);
        }
        config.build().expect("a configuration")
    }

    /// The parameters of `config/default.toml`. P6, which is not among them, is the default.
    fn score(&self) -> PeerScoreParams {
        let topic = TopicScoreParams {
            topic_weight: 1.0,
            time_in_mesh_weight: 0.0027,
            time_in_mesh_quantum: Duration::from_secs(1),
            first_message_deliveries_cap: 40.0,
            first_message_deliveries_decay: 0.992354,
            mesh_message_deliveries_weight: 0.0,
            mesh_failure_penalty_weight: 0.0,
            invalid_message_deliveries_weight: -100.0,
            invalid_message_deliveries_decay: 0.998722,
            ..TopicScoreParams::default()
        };
        PeerScoreParams {
            topics: self.topics.iter().map(|name| (IdentTopic::new(name).hash(), topic.clone())).collect(),
            topic_score_cap: 50.0,
            behaviour_penalty_threshold: 6.0,
            behaviour_penalty_decay: 0.998722,
            decay_to_zero: 0.01,
            ..PeerScoreParams::default()
        }
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -200.0,
        graylist_threshold: -300.0,
        ..PeerScoreThresholds::default()
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

enum Command {
    Dial(Multiaddr),
    SmallestMesh(oneshot::Sender<usize>),
    Publish(usize, Vec<u8>),
}

#[derive(Clone)]
pub struct Libp2pNode {
    commands: mpsc::UnboundedSender<Command>,
}

impl Libp2pNode {
    /// Starts a node, which calls `on_message` with the data of each message. Returns the address on which it listens.
    pub async fn start(settings: Settings, on_message: impl FnMut(&[u8]) + 'static) -> (Self, Multiaddr) {
        let key = Keypair::generate_ed25519();
        let authenticity = MessageAuthenticity::Signed(key.clone());
        let mut gossipsub =
            gossipsub::Behaviour::new(authenticity, settings.config()).expect("a configuration");
        if settings.scoring {
            gossipsub.with_peer_score(settings.score(), thresholds()).expect("score parameters");
        }
        let behaviour = Behaviour {
            limits: connection_limits::Behaviour::new(ConnectionLimits::default()),
            gossipsub,
            identify: swarm::identify(&key),
            ping: ping::Behaviour::default(),
        };
        let mut swarm = swarm::from_address(&key, settings.source, behaviour);
        let topics: Vec<_> = settings.topics.iter().map(IdentTopic::new).collect();
        for topic in &topics {
            swarm.behaviour_mut().gossipsub.subscribe(topic).expect("no filter");
        }
        swarm::listen(&mut swarm);
        let address = loop {
            if let Some(address) = swarm::listen_address(&swarm.select_next_some().await) {
                break address.clone();
            }
        };
        let address = address.with_p2p(*swarm.local_peer_id()).expect("an address without a peer");
        let (commands, receiver) = mpsc::unbounded_channel();
        let topics = topics.iter().map(IdentTopic::hash).collect();
        let node = Self { commands };
        let redial = settings.redial.then(|| node.commands.downgrade());
        tokio::task::spawn_local(run(swarm, receiver, topics, redial, on_message));
        (node, address)
    }

    pub fn dial(&self, address: Multiaddr) {
        self.send(Command::Dial(address));
    }

    /// The size of the smallest mesh of all topics.
    pub async fn smallest_mesh(&self) -> usize {
        let (sender, answer) = oneshot::channel();
        self.send(Command::SmallestMesh(sender));
        answer.await.unwrap_or_default()
    }

    pub fn publish(&self, topic: usize, data: Vec<u8>) {
        self.send(Command::Publish(topic, data));
    }

    fn send(&self, command: Command) {
        // Fails only if the swarm has ended, which is counted as lost messages.
        let _ = self.commands.send(command);
    }
}

fn message_id(message: &gossipsub::Message) -> gossipsub::MessageId {
    let mut id = message.source.map(|source| source.to_bytes()).unwrap_or_default();
    id.extend(message.sequence_number.unwrap_or_default().to_be_bytes());
    id.into()
}

/// Runs the swarm until all senders of commands are dropped.
async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    topics: Vec<TopicHash>,
    redial: Option<mpsc::WeakUnboundedSender<Command>>,
    mut on_message: impl FnMut(&[u8]),
) {
    let mut dialled = None;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => {
                    if let Command::Dial(address) = &command {
                        dialled = Some(address.clone());
                    }
                    handle(&mut swarm, command, &topics).await;
                }
                None => return,
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message { message, .. })) => {
                    on_message(&message.data);
                }
                SwarmEvent::ConnectionClosed { num_established: 0, .. } | SwarmEvent::OutgoingConnectionError { .. } => {
                    if let (Some(commands), Some(address)) = (redial.clone(), dialled.clone()) {
                        tokio::task::spawn_local(dial_later(commands, address));
                    }
                }
                _ => {}
            },
        }
    }
}

async fn dial_later(commands: mpsc::WeakUnboundedSender<Command>, address: Multiaddr) {
    tokio::time::sleep(REDIAL_DELAY).await;
    if let Some(commands) = commands.upgrade() {
        let _ = commands.send(Command::Dial(address));
    }
}

async fn handle(swarm: &mut Swarm<Behaviour>, command: Command, topics: &[TopicHash]) {
    match command {
        Command::Dial(address) => swarm.dial(DialOpts::from(address)).expect("an address"),
        Command::SmallestMesh(answer) => {
            let gossipsub = &swarm.behaviour().gossipsub;
            let size = |topic: &TopicHash| gossipsub.mesh_peers(topic).count();
            // Fails only if the caller has been cancelled.
            let _ = answer.send(topics.iter().map(size).min().unwrap_or_default());
        }
        Command::Publish(topic, data) => {
            match swarm.behaviour_mut().gossipsub.publish(topics[topic].clone(), data) {
                // Messages refused by full queues count as lost: the API cannot wait for room.
                Ok(_) | Err(PublishError::AllQueuesFull(_)) => {}
                Err(error) => eprintln!("rust-libp2p does not publish: {error}"),
            }
        }
    }
}

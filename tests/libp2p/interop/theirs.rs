//! This module runs a node of the official gossipsub in a task that drives the swarm, accepts commands and records
//! deliveries. Its configuration differs from the defaults in the message id, in short intervals, and in what a test
//! sets.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    gossipsub::{self, ConfigBuilder, IdentTopic, MessageAuthenticity, ValidationMode},
    identity::Keypair,
    noise,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{IdAndData, Signing, TOPIC, hex};

type Official = Swarm<gossipsub::Behaviour>;
type Command = Box<dyn FnOnce(&mut Official) + Send>;

/// The events that an official peer has reported.
#[derive(Default)]
struct Events {
    messages: Vec<IdAndData>,
    /// The peers that subscribed (`true`) or unsubscribed (`false`), in order.
    subscriptions: Vec<(PeerId, bool)>,
}

/// A running official peer. Its connections are closed when it is dropped.
pub struct Theirs {
    pub peer: PeerId,
    pub address: Multiaddr,
    name: &'static str,
    commands: mpsc::UnboundedSender<Command>,
    events: Arc<Mutex<Events>>,
    task: JoinHandle<()>,
}

/// The settings that all tests share: the message ids of the specification, and a short heartbeat.
pub fn config(signing: Signing) -> ConfigBuilder {
    let mut config = ConfigBuilder::default();
    config
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(200))
        .history_length(20)
        .history_gossip(10)
        .prune_backoff(Duration::from_secs(60))
        .message_id_fn(message_id);
    if signing == Signing::Anonymous {
        config.validation_mode(ValidationMode::Anonymous);
    }
    config
}

fn message_id(message: &gossipsub::Message) -> gossipsub::MessageId {
    match (message.source, message.sequence_number) {
        (Some(source), Some(seqno)) => [source.to_bytes(), seqno.to_be_bytes().to_vec()].concat().into(),
        _ => Sha256::digest(&message.data).to_vec().into(),
    }
}

impl Theirs {
    /// Starts a peer that is subscribed and listens.
    pub async fn start(name: &'static str, signing: Signing, config: &ConfigBuilder) -> Self {
        Self::start_as(name, Keypair::generate_ed25519(), signing, config).await
    }

    /// As [`start`](Self::start), with a key.
    pub async fn start_as(
        name: &'static str,
        key: Keypair,
        signing: Signing,
        config: &ConfigBuilder,
    ) -> Self {
        let authenticity = match signing {
            Signing::Strict => MessageAuthenticity::Signed(key.clone()),
            Signing::Anonymous => MessageAuthenticity::Anonymous,
        };
        Self::start_with(name, key, authenticity, config).await
    }

    /// As [`start_as`](Self::start_as), with any author and signature in its messages.
    pub async fn start_with(
        name: &'static str,
        key: Keypair,
        authenticity: MessageAuthenticity,
        config: &ConfigBuilder,
    ) -> Self {
        let behaviour = gossipsub::Behaviour::new(authenticity, config.build().unwrap()).unwrap();
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        swarm.behaviour_mut().subscribe(&IdentTopic::new(TOPIC)).unwrap();
        let address = super::raw::listen(&mut swarm).await;
        let (commands, receiver) = mpsc::unbounded_channel();
        let (peer, events) = (*swarm.local_peer_id(), Arc::<Mutex<Events>>::default());
        let task = tokio::spawn(run(swarm, receiver, events.clone()));
        Self { peer, address, name, commands, events, task }
    }

    /// Calls `f` with the swarm, on the task of the swarm.
    pub async fn with_swarm<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Official) -> T + Send + 'static,
    ) -> T {
        let (sender, answer) = oneshot::channel();
        let command: Command = Box::new(move |swarm| {
            // The caller may have stopped waiting.
            let _ = sender.send(f(swarm));
        });
        assert!(self.commands.send(command).is_ok(), "{} has ended", self.name);
        answer.await.unwrap()
    }

    pub async fn dial(&self, address: &Multiaddr) {
        let address = address.clone();
        self.with_swarm(|swarm| swarm.dial(DialOpts::from(address))).await.unwrap();
    }

    /// Publishes all of `data`. Returns the messages as other nodes should deliver them.
    pub async fn publish(&self, data: Vec<Vec<u8>>) -> Vec<IdAndData> {
        self.with_swarm(|swarm| {
            let publish = |data: Vec<u8>| {
                let id = swarm.behaviour_mut().publish(IdentTopic::new(TOPIC), data.clone()).unwrap();
                (hex(&id.0), data)
            };
            data.into_iter().map(publish).collect()
        })
        .await
    }

    /// Subscribes, or unsubscribes.
    pub async fn subscribe(&self, subscribe: bool) {
        let topic = IdentTopic::new(TOPIC);
        let done = self.with_swarm(move |swarm| match subscribe {
            true => swarm.behaviour_mut().subscribe(&topic).unwrap(),
            false => swarm.behaviour_mut().unsubscribe(&topic),
        });
        assert!(done.await);
    }

    pub async fn disconnect(&self, peer: PeerId) {
        self.with_swarm(move |swarm| swarm.disconnect_peer_id(peer)).await.unwrap();
    }

    /// Ends the peer as a crash would, without closing its connections first.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn connected(&self) -> BTreeSet<PeerId> {
        self.with_swarm(|swarm| swarm.connected_peers().copied().collect()).await
    }

    pub async fn mesh(&self) -> BTreeSet<PeerId> {
        let topic = IdentTopic::new(TOPIC).hash();
        self.with_swarm(move |swarm| swarm.behaviour().mesh_peers(&topic).copied().collect()).await
    }

    /// The protocol that this peer speaks with `peer`, as the official implementation names it.
    pub async fn protocol_of(&self, peer: PeerId) -> Option<String> {
        self.with_swarm(move |swarm| {
            let mut protocols = swarm.behaviour().peer_protocol();
            protocols.find(|(other, _)| **other == peer).map(|(_, kind)| format!("{kind:?}"))
        })
        .await
    }

    /// The messages delivered so far.
    pub fn delivered(&self) -> Vec<IdAndData> {
        self.events.lock().unwrap().messages.clone()
    }

    /// The subscription changes received from `peer`, in order.
    pub fn subscriptions_of(&self, peer: PeerId) -> Vec<bool> {
        let events = self.events.lock().unwrap();
        events
            .subscriptions
            .iter()
            .filter(|(from, _)| *from == peer)
            .map(|(_, subscribed)| *subscribed)
            .collect()
    }

    /// The state of this peer for the message of a failed test.
    pub async fn state(&self) -> String {
        let (connected, mesh) = (self.connected().await, self.mesh().await);
        let peers = self.with_swarm(|swarm| {
            swarm.behaviour().all_peers().map(|peer| format!("{peer:?}")).collect::<Vec<_>>()
        });
        let peers = peers.await;
        let (name, peer, delivered) = (self.name, self.peer, self.delivered().len());
        format!(
            "{name} {peer}: {delivered} delivered, connected {connected:?}, mesh {mesh:?}, peers {peers:?}\n"
        )
    }
}

async fn run(
    mut swarm: Official,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: Arc<Mutex<Events>>,
) {
    loop {
        let event = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => { command(&mut swarm); continue }
                None => return,
            },
            event = swarm.select_next_some() => event,
        };
        let SwarmEvent::Behaviour(event) = event else { continue };
        let mut events = events.lock().unwrap();
        match event {
            gossipsub::Event::Message { message_id, message, .. } => {
                events.messages.push((hex(&message_id.0), message.data));
            }
            gossipsub::Event::Subscribed { peer_id, .. } => events.subscriptions.push((peer_id, true)),
            gossipsub::Event::Unsubscribed { peer_id, .. } => events.subscriptions.push((peer_id, false)),
            _ => {}
        }
    }
}

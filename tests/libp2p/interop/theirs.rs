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

use super::{Shown, Signing, TOPIC, hex};

type Official = Swarm<gossipsub::Behaviour>;
type Command = Box<dyn FnOnce(&mut Official) + Send>;

/// What an official peer saw.
#[derive(Default)]
struct Seen {
    messages: Vec<Shown>,
    /// Who subscribed (`true`) or unsubscribed, in order.
    subscriptions: Vec<(PeerId, bool)>,
}

/// A running official peer; dropped, it is gone with all its connections.
pub struct Theirs {
    pub peer: PeerId,
    pub address: Multiaddr,
    name: &'static str,
    commands: mpsc::UnboundedSender<Command>,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// The settings that all tests share: the specification's ids, and a quick heartbeat.
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
    /// A peer that subscribed and listens.
    pub async fn start(name: &'static str, signing: Signing, config: &ConfigBuilder) -> Self {
        Self::start_as(name, Keypair::generate_ed25519(), signing, config).await
    }

    /// The same with a key.
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

    /// The same, with anything written into the messages' fields of authorship.
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
        let (peer, seen) = (*swarm.local_peer_id(), Arc::<Mutex<Seen>>::default());
        let task = tokio::spawn(run(swarm, receiver, seen.clone()));
        Self { peer, address, name, commands, seen, task }
    }

    /// Does something with the swarm, on its task.
    pub async fn ask<T: Send + 'static>(&self, f: impl FnOnce(&mut Official) -> T + Send + 'static) -> T {
        let (sender, answer) = oneshot::channel();
        let command: Command = Box::new(move |swarm| {
            // Whoever asked may have given up.
            let _ = sender.send(f(swarm));
        });
        assert!(self.commands.send(command).is_ok(), "{} has ended", self.name);
        answer.await.unwrap()
    }

    pub async fn dial(&self, address: &Multiaddr) {
        let address = address.clone();
        self.ask(|swarm| swarm.dial(DialOpts::from(address))).await.unwrap();
    }

    /// Publishes all of `data`; returns them as others should get them.
    pub async fn publish(&self, data: Vec<Vec<u8>>) -> Vec<Shown> {
        self.ask(|swarm| {
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
        let done = self.ask(move |swarm| match subscribe {
            true => swarm.behaviour_mut().subscribe(&topic).unwrap(),
            false => swarm.behaviour_mut().unsubscribe(&topic),
        });
        assert!(done.await);
    }

    pub async fn disconnect(&self, peer: PeerId) {
        self.ask(move |swarm| swarm.disconnect_peer_id(peer)).await.unwrap();
    }

    /// The process dies: no goodbye.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn connected(&self) -> BTreeSet<PeerId> {
        self.ask(|swarm| swarm.connected_peers().copied().collect()).await
    }

    pub async fn mesh(&self) -> BTreeSet<PeerId> {
        let topic = IdentTopic::new(TOPIC).hash();
        self.ask(move |swarm| swarm.behaviour().mesh_peers(&topic).copied().collect()).await
    }

    /// What it thinks that `peer` speaks, in its own words.
    pub async fn protocol_of(&self, peer: PeerId) -> Option<String> {
        self.ask(move |swarm| {
            let mut protocols = swarm.behaviour().peer_protocol();
            protocols.find(|(other, _)| **other == peer).map(|(_, kind)| format!("{kind:?}"))
        })
        .await
    }

    /// The messages delivered so far.
    pub fn got(&self) -> Vec<Shown> {
        self.seen.lock().unwrap().messages.clone()
    }

    /// What `peer` said of its subscription, in order.
    pub fn heard_of(&self, peer: PeerId) -> Vec<bool> {
        let seen = self.seen.lock().unwrap();
        seen.subscriptions.iter().filter(|(who, _)| *who == peer).map(|(_, subscribed)| *subscribed).collect()
    }

    /// For the message of a test that fails.
    pub async fn state(&self) -> String {
        let (connected, mesh) = (self.connected().await, self.mesh().await);
        let peers = self
            .ask(|swarm| swarm.behaviour().all_peers().map(|peer| format!("{peer:?}")).collect::<Vec<_>>());
        let peers = peers.await;
        let (name, peer, got) = (self.name, self.peer, self.got().len());
        format!("{name} {peer}: got {got}, connected {connected:?}, mesh {mesh:?}, peers {peers:?}\n")
    }
}

async fn run(mut swarm: Official, mut commands: mpsc::UnboundedReceiver<Command>, seen: Arc<Mutex<Seen>>) {
    loop {
        let event = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => { command(&mut swarm); continue }
                None => return,
            },
            event = swarm.select_next_some() => event,
        };
        let SwarmEvent::Behaviour(event) = event else { continue };
        let mut seen = seen.lock().unwrap();
        match event {
            gossipsub::Event::Message { message_id, message, .. } => {
                seen.messages.push((hex(&message_id.0), message.data));
            }
            gossipsub::Event::Subscribed { peer_id, .. } => seen.subscriptions.push((peer_id, true)),
            gossipsub::Event::Unsubscribed { peer_id, .. } => seen.subscriptions.push((peer_id, false)),
            _ => {}
        }
    }
}

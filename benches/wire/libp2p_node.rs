//! This module runs a node of rust-libp2p's gossipsub on the thread that starts it. Three settings differ from the
//! defaults: message ids are those of the specification and flood publishing is off, both as in this crate, and the
//! first heartbeat comes at once.

use std::time::Duration;

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    connection_limits::{self, ConnectionLimits},
    gossipsub::{self, ConfigBuilder, IdentTopic, MessageAuthenticity, PublishError, TopicHash},
    identify,
    identity::Keypair,
    ping,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    node::{Local, Node},
    plan::Plan,
    stats::Stats,
    swarm,
};

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
    pub async fn start(plan: &Plan, stats: Stats) -> (Self, Multiaddr) {
        let key = Keypair::generate_ed25519();
        let config = ConfigBuilder::default()
            .heartbeat_initial_delay(Duration::from_millis(100))
            .flood_publish(false)
            .message_id_fn(message_id)
            .build()
            .expect("a configuration");
        let behaviour = Behaviour {
            limits: connection_limits::Behaviour::new(ConnectionLimits::default()),
            gossipsub: gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), config)
                .expect("a configuration"),
            identify: swarm::identify(&key),
            ping: ping::Behaviour::default(),
        };
        let mut swarm = swarm::new(&key, behaviour);
        let topics: Vec<_> = (0..plan.topics).map(|index| IdentTopic::new(Plan::topic(index))).collect();
        for topic in &topics {
            swarm.behaviour_mut().gossipsub.subscribe(topic).expect("no filter");
        }
        swarm::listen(&mut swarm);
        let address = loop {
            if let Some(address) = swarm::listen_address(&swarm.select_next_some().await) {
                break address.clone();
            }
        };
        let (commands, receiver) = mpsc::unbounded_channel();
        let topics = topics.iter().map(IdentTopic::hash).collect();
        actix::spawn(run(swarm, receiver, topics, stats));
        (Self { commands }, address)
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

impl Node for Libp2pNode {
    fn dial(&self, address: Multiaddr) -> Local<'_, ()> {
        self.send(Command::Dial(address));
        Box::pin(std::future::ready(()))
    }

    fn smallest_mesh(&self) -> Local<'_, usize> {
        let (sender, answer) = oneshot::channel();
        self.send(Command::SmallestMesh(sender));
        Box::pin(async { answer.await.unwrap_or_default() })
    }

    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()> {
        self.send(Command::Publish(topic, data));
        Box::pin(std::future::ready(()))
    }
}

/// Runs the swarm until all senders of commands are dropped.
async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    topics: Vec<TopicHash>,
    stats: Stats,
) {
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => handle(&mut swarm, command, &topics).await,
                None => return,
            },
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message {
                    message, ..
                })) = event
                {
                    stats.record_delivery(&message.data);
                }
            }
        }
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

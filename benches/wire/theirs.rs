//! A node of rust-libp2p's own gossipsub, on the thread that starts it. Its settings are the defaults, but
//! for the message ids (the specification's, as ours), the first heartbeat (at once), and flood publishing
//! (off, as ours; all nodes are in each other's mesh).

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
    account::Account,
    node::{Local, Node},
    plan::Plan,
    wire,
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
    Mesh(oneshot::Sender<usize>),
    Publish(usize, Vec<u8>),
}

#[derive(Clone)]
pub struct Theirs {
    commands: mpsc::UnboundedSender<Command>,
}

impl Theirs {
    pub async fn start(plan: &Plan, account: Account) -> (Self, Multiaddr) {
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
            identify: wire::identify(&key),
            ping: ping::Behaviour::default(),
        };
        let mut swarm = wire::swarm(&key, behaviour);
        let topics: Vec<_> = (0..plan.topics).map(|index| IdentTopic::new(Plan::topic(index))).collect();
        for topic in &topics {
            swarm.behaviour_mut().gossipsub.subscribe(topic).expect("no filter");
        }
        wire::listen(&mut swarm);
        let address = loop {
            if let Some(address) = wire::listening(&swarm.select_next_some().await) {
                break address.clone();
            }
        };
        let (commands, receiver) = mpsc::unbounded_channel();
        let topics = topics.iter().map(IdentTopic::hash).collect();
        actix::spawn(run(swarm, receiver, topics, account));
        (Self { commands }, address)
    }

    fn say(&self, command: Command) {
        // A swarm that has ended publishes nothing: the numbers say so.
        let _ = self.commands.send(command);
    }
}

fn message_id(message: &gossipsub::Message) -> gossipsub::MessageId {
    let mut id = message.source.map(|source| source.to_bytes()).unwrap_or_default();
    id.extend(message.sequence_number.unwrap_or_default().to_be_bytes());
    id.into()
}

impl Node for Theirs {
    fn dial(&self, address: Multiaddr) -> Local<'_, ()> {
        self.say(Command::Dial(address));
        Box::pin(std::future::ready(()))
    }

    fn mesh(&self) -> Local<'_, usize> {
        let (sender, answer) = oneshot::channel();
        self.say(Command::Mesh(sender));
        Box::pin(async { answer.await.unwrap_or_default() })
    }

    fn publish(&self, topic: usize, data: Vec<u8>) -> Local<'_, ()> {
        self.say(Command::Publish(topic, data));
        Box::pin(std::future::ready(()))
    }
}

/// Until nobody commands it any more.
async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    topics: Vec<TopicHash>,
    account: Account,
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
                    account.delivered(&message.data);
                }
            }
        }
    }
}

async fn handle(swarm: &mut Swarm<Behaviour>, command: Command, topics: &[TopicHash]) {
    match command {
        Command::Dial(address) => swarm.dial(DialOpts::from(address)).expect("an address"),
        Command::Mesh(answer) => {
            let gossipsub = &swarm.behaviour().gossipsub;
            let size = |topic: &TopicHash| gossipsub.mesh_peers(topic).count();
            // Whoever asked may have given up.
            let _ = answer.send(topics.iter().map(size).min().unwrap_or_default());
        }
        Command::Publish(topic, data) => {
            match swarm.behaviour_mut().gossipsub.publish(topics[topic].clone(), data) {
                // Counted as lost: it offers no way to wait.
                Ok(_) | Err(PublishError::AllQueuesFull(_)) => {}
                Err(error) => eprintln!("rust-libp2p does not publish: {error}"),
            }
        }
    }
}

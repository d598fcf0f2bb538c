//! The gossipsub behaviour in swarms as applications compose them, against the official gossipsub. Every wait is for an
//! event or a state and has a time limit.

mod api;
mod blacklist;
mod ids;
mod large;
mod message_life;
mod mixed;
mod publish_batch;
mod relay;
mod runtimes;
mod scores;
mod settings;
#[cfg(feature = "snappy")]
mod snappy;
mod start_and_end;
mod swarms;

use std::time::Duration;

use actix_gossipsub::libp2p::gossipsub;
use libp2p::{gossipsub as official, identify, identity::Keypair, ping, swarm::NetworkBehaviour};

use self::swarms::Node;

/// A swarm of an application.
#[derive(NetworkBehaviour)]
struct Composed {
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

impl Composed {
    fn new(key: &Keypair, gossipsub: gossipsub::Behaviour) -> Self {
        let identify = identify::Config::new("/test/1".to_owned(), key.public());
        Self { gossipsub, identify: identify::Behaviour::new(identify), ping: ping::Behaviour::default() }
    }
}

type Ours = Node<Composed>;
type Theirs = Node<official::Behaviour>;

const HEARTBEAT: Duration = Duration::from_millis(200);

/// A configuration with a short heartbeat.
fn config() -> gossipsub::ConfigBuilder {
    let mut config = gossipsub::ConfigBuilder::default();
    config.heartbeat_interval(HEARTBEAT).history_length(20).history_gossip(10).arbiters(2);
    config
}

fn behaviour(key: &Keypair, config: &gossipsub::ConfigBuilder) -> gossipsub::Behaviour {
    let signed = gossipsub::MessageAuthenticity::Signed(key.clone());
    gossipsub::Behaviour::new(signed, config.build().unwrap()).unwrap()
}

/// Starts a node of ours that is subscribed to the topic.
async fn ours() -> Ours {
    ours_with(&config()).await
}

async fn ours_with(config: &gossipsub::ConfigBuilder) -> Ours {
    let node = Node::start(|key| Composed::new(key, behaviour(key, config))).await;
    assert!(node.call(|behaviours| behaviours.gossipsub.subscribe(&topic())).await.unwrap());
    node
}

/// Starts an official node that is subscribed to the topic.
async fn theirs() -> Theirs {
    theirs_with(|_| {}).await
}

async fn theirs_with(change: impl FnOnce(&mut official::ConfigBuilder)) -> Theirs {
    let node = Node::start(|key| {
        let mut config = official::ConfigBuilder::default();
        config
            .heartbeat_initial_delay(HEARTBEAT / 2)
            .heartbeat_interval(HEARTBEAT)
            .history_length(20)
            .history_gossip(10);
        change(&mut config);
        let signed = official::MessageAuthenticity::Signed(key.clone());
        official::Behaviour::new(signed, config.build().unwrap()).unwrap()
    })
    .await;
    assert!(node.call(|gossipsub| gossipsub.subscribe(&official_topic())).await.unwrap());
    node
}

fn topic() -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new("news")
}

fn official_topic() -> official::IdentTopic {
    official::IdentTopic::new("news")
}

impl Ours {
    async fn gossipsub_event<T>(
        &self,
        what: &str,
        mut find: impl FnMut(&gossipsub::Event) -> Option<T>,
    ) -> T {
        self.event(what, |event| match event {
            ComposedEvent::Gossipsub(event) => find(event),
            _ => None,
        })
        .await
    }

    /// Waits for the message with this content. Returns its id and the peer that delivered it first.
    async fn message(&self, content: &str) -> (gossipsub::MessageId, libp2p::PeerId, gossipsub::Message) {
        let find = |event: &gossipsub::Event| match event {
            gossipsub::Event::Message { propagation_source, message_id, message }
                if message.data == content.as_bytes() =>
            {
                Some((message_id.clone(), *propagation_source, message.clone()))
            }
            _ => None,
        };
        self.gossipsub_event(content, find).await
    }

    fn has_message(&self, content: &str) -> bool {
        self.events().iter().any(|event| {
            matches!(event, ComposedEvent::Gossipsub(gossipsub::Event::Message { message, .. })
                if message.data == content.as_bytes())
        })
    }

    async fn publish(&self, content: &str) -> Result<gossipsub::MessageId, gossipsub::PublishError> {
        let content = content.to_owned();
        self.call(|behaviours| behaviours.gossipsub.publish(topic(), content)).await
    }

    /// Waits for the result of a publication.
    async fn published(&self, id: &gossipsub::MessageId) -> Result<usize, String> {
        let find = |event: &gossipsub::Event| match event {
            gossipsub::Event::Published { message_id, report, result } if message_id == id => {
                Some(result.as_ref().map(|()| report.sent).map_err(ToString::to_string))
            }
            _ => None,
        };
        self.gossipsub_event("the report", find).await
    }

    /// Waits until a peer is in the mesh.
    async fn meshed_with(&self, peer: libp2p::PeerId) {
        let in_mesh = move |swarm: &mut libp2p::Swarm<Composed>| {
            swarm.behaviour().gossipsub.mesh_peers(&topic().hash()).any(|it| *it == peer)
        };
        self.until("the peer is in the mesh", in_mesh).await;
    }
}

impl Theirs {
    async fn message_from(&self, content: &str) -> (official::MessageId, libp2p::PeerId) {
        let find = |event: &official::Event| match event {
            official::Event::Message { propagation_source, message_id, message }
                if message.data == content.as_bytes() =>
            {
                Some((message_id.clone(), *propagation_source))
            }
            _ => None,
        };
        self.event(content, find).await
    }

    async fn send(&self, content: &str) -> official::MessageId {
        let content = content.to_owned();
        self.call(|gossipsub| gossipsub.publish(official_topic(), content)).await.unwrap()
    }

    async fn meshed(&self, peer: libp2p::PeerId) {
        let in_mesh = move |swarm: &mut libp2p::Swarm<official::Behaviour>| {
            swarm.behaviour().mesh_peers(&official_topic().hash()).any(|it| *it == peer)
        };
        self.until("the peer is in the official mesh", in_mesh).await;
    }
}

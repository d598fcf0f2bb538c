//! A network of different versions: nodes of ours that are limited to floodsub, v1.0, v1.1 and v1.2, the official gossipsub,
//! and the official floodsub. Every message arrives at every node, and its application receives it once.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::libp2p::{
    ProtocolId, ProtocolVersion,
    gossipsub::{ConfigBuilder, Event, PeerKind},
};
use libp2p::{
    PeerId, floodsub, gossipsub as official,
    swarm::{DialError, dial_opts::DialOpts},
};

use super::{ComposedEvent, HEARTBEAT, Ours, Theirs, config, ours_with, swarms::Node, theirs_with, topic};

type Floodsub = Node<floodsub::Behaviour>;

/// A node of ours that offers these versions of gossipsub, and floodsub.
async fn ours(versions: &[(ProtocolVersion, &str)]) -> Ours {
    ours_with(&limited(versions)).await
}

fn limited(versions: &[(ProtocolVersion, &str)]) -> ConfigBuilder {
    let id = |(version, id): &(ProtocolVersion, &str)| ProtocolId::new(*id, *version).unwrap();
    let protocols = versions.iter().map(id).collect();
    let mut config = config();
    config.support_floodsub().transport(|transport| transport.protocols = protocols);
    config
}

const V1_0: (ProtocolVersion, &str) = (ProtocolVersion::V1_0, "/meshsub/1.0.0");
const V1_1: (ProtocolVersion, &str) = (ProtocolVersion::V1_1, "/meshsub/1.1.0");
const V1_2: (ProtocolVersion, &str) = (ProtocolVersion::V1_2, "/meshsub/1.2.0");

/// A node of the official floodsub that is subscribed to the topic. It connects to one node, and sends nothing back to it.
async fn floodsub_at(node: &Ours) -> Floodsub {
    let leaf = Node::start(|key| floodsub::Behaviour::new(key.public().to_peer_id())).await;
    let (peer, address) = (node.peer, node.address.clone());
    leaf.with(move |swarm| {
        swarm.behaviour_mut().subscribe(floodsub::Topic::new("news"));
        swarm.behaviour_mut().add_node_to_partial_view(peer);
        match swarm.dial(DialOpts::from(address)) {
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    leaf.event("our subscription", |event| {
        matches!(event, floodsub::Event::Subscribed { peer_id, .. } if *peer_id == peer).then_some(())
    })
    .await;
    node.knows(leaf.peer).await;
    assert_eq!(node.protocol_of(leaf.peer).await, Some(PeerKind::Floodsub));
    leaf
}

impl Ours {
    /// Waits until the node knows the subscription of a peer.
    async fn knows(&self, peer: PeerId) {
        self.gossipsub_event("a subscription", |event| {
            matches!(event, Event::Subscribed { peer_id, .. } if *peer_id == peer).then_some(())
        })
        .await;
    }

    async fn protocol_of(&self, peer: PeerId) -> Option<PeerKind> {
        self.call(move |behaviours| {
            behaviours.gossipsub.peer_protocol().find(|(it, _)| **it == peer).map(|(_, kind)| *kind)
        })
        .await
    }

    /// How many times each message was received.
    fn received(&self) -> BTreeMap<Vec<u8>, usize> {
        let events = self.events();
        counted(events.iter().filter_map(|event| match event {
            ComposedEvent::Gossipsub(Event::Message { message, .. }) => Some(&message.data[..]),
            _ => None,
        }))
    }

    async fn mesh(&self) -> BTreeSet<PeerId> {
        self.call(|behaviours| behaviours.gossipsub.mesh_peers(&topic().hash()).copied().collect()).await
    }
}

impl Theirs {
    async fn knows(&self, peer: PeerId) {
        self.event("a subscription", |event| {
            matches!(event, official::Event::Subscribed { peer_id, .. } if *peer_id == peer).then_some(())
        })
        .await;
    }

    fn received(&self) -> BTreeMap<Vec<u8>, usize> {
        let events = self.events();
        counted(events.iter().filter_map(|event| match event {
            official::Event::Message { message, .. } => Some(&message.data[..]),
            _ => None,
        }))
    }
}

impl Floodsub {
    fn received(&self) -> BTreeMap<Vec<u8>, usize> {
        let events = self.events();
        counted(events.iter().filter_map(|event| match event {
            floodsub::Event::Message(message) => Some(&message.data[..]),
            _ => None,
        }))
    }
}

fn counted<'a>(messages: impl Iterator<Item = &'a [u8]>) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    messages.for_each(|message| *counts.entry(message.to_vec()).or_default() += 1);
    counts
}

/// The content of a message: a name, and as many bytes that some are large enough for IDONTWANT. The official floodsub reads
/// frames of up to 2,048 bytes.
fn content(publisher: &str, number: usize) -> String {
    format!("{publisher} {number} {}", "x".repeat(350 * number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_at_every_node_of_every_version_once() {
    let latest = ours(&[V1_2, V1_1, V1_0]).await;
    let v1_1 = ours(&[V1_1, V1_0]).await;
    let v1_0 = ours(&[V1_0]).await;
    let flood = ours(&[]).await;
    let theirs = theirs_with(|config| {
        config.support_floodsub();
    })
    .await;
    // A ring, and a chord.
    for (one, other) in
        [(&latest, &v1_1), (&v1_1, &v1_0), (&v1_0, &flood), (&flood, &latest), (&v1_0, &latest)]
    {
        one.dial(&other.address).await;
        one.knows(other.peer).await;
        other.knows(one.peer).await;
    }
    for node in [&flood, &v1_1] {
        node.dial(&theirs.address).await;
        node.knows(theirs.peer).await;
        theirs.knows(node.peer).await;
    }
    let leaves = [floodsub_at(&latest).await, floodsub_at(&v1_0).await];
    for (node, peer, kind) in [
        (&latest, v1_1.peer, PeerKind::Gossipsubv1_1),
        (&latest, v1_0.peer, PeerKind::Gossipsub),
        (&latest, flood.peer, PeerKind::Floodsub),
        (&flood, v1_0.peer, PeerKind::Floodsub),
        (&flood, theirs.peer, PeerKind::Floodsub),
    ] {
        assert_eq!(node.protocol_of(peer).await, Some(kind));
    }
    let us = flood.peer;
    let kind = theirs.call(move |gossipsub| {
        gossipsub.peer_protocol().find(|(peer, _)| **peer == us).map(|(_, kind)| format!("{kind:?}"))
    });
    assert_eq!(kind.await.as_deref(), Some("Floodsub"));
    latest.meshed_with(v1_1.peer).await;
    latest.meshed_with(v1_0.peer).await;
    v1_1.meshed_with(theirs.peer).await;

    let ours = [("latest", &latest), ("v1.1", &v1_1), ("v1.0", &v1_0), ("flood", &flood)];
    let mut published = Vec::new();
    for number in 0..5 {
        for (name, node) in ours {
            node.publish(&content(name, number)).await.unwrap();
            published.push(content(name, number).into_bytes());
        }
        theirs.send(&content("theirs", number)).await;
        published.push(content("theirs", number).into_bytes());
    }
    let of_others = |name: &str| -> BTreeMap<Vec<u8>, usize> {
        let others = published.iter().filter(|message| !message.starts_with(name.as_bytes()));
        others.map(|message| (message.clone(), 1)).collect()
    };
    // Every message of every other node, and then nothing more.
    for (name, node) in ours {
        for message in of_others(name).keys() {
            node.message(str::from_utf8(message).unwrap()).await;
        }
    }
    for message in of_others("theirs").keys() {
        theirs.message_from(str::from_utf8(message).unwrap()).await;
    }
    for leaf in &leaves {
        for message in of_others("nobody").keys() {
            let is_it = |event: &floodsub::Event| {
                matches!(event, floodsub::Event::Message(it) if it.data == message[..]).then_some(())
            };
            leaf.event("a message", is_it).await;
        }
    }
    tokio::time::sleep(3 * HEARTBEAT).await;
    for (name, node) in ours {
        assert_eq!(node.received(), of_others(name), "at {name}");
        let mesh = node.mesh().await;
        assert!(leaves.iter().all(|leaf| !mesh.contains(&leaf.peer)), "{mesh:?} of {name}");
    }
    assert!(flood.mesh().await.is_empty());
    assert_eq!(theirs.received(), of_others("theirs"));
    leaves.iter().for_each(|leaf| assert_eq!(leaf.received(), of_others("nobody")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_floodsub_is_not_supported_unless_that_is_configured() {
    let (node, flood) = (ours_with(&config()).await, ours(&[]).await);
    flood.dial(&node.address).await;
    let peer = flood.peer;
    node.gossipsub_event("it is not supported", |event| {
        matches!(event, Event::GossipsubNotSupported { peer_id } if *peer_id == peer).then_some(())
    })
    .await;
    assert_eq!(node.protocol_of(peer).await, Some(PeerKind::NotSupported));
}

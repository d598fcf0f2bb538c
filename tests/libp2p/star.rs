//! Peer exchange end to end: nodes that know only the address of one centre, which accepts nobody into its mesh and
//! recommends the others in its PRUNEs, connect among each other. When the centre has left, messages still reach all.

use std::time::Duration;

use actix_gossipsub::{
    AppOutputs, LimitsConfig, Network, PeerRecordOutcome, PxDialOutcome,
    libp2p::{AddressFilter, Libp2pNetwork, Node, TopicName, TransportConfig, gossipsub as own},
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, gossipsub, identify,
    identity::Keypair,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use tokio::sync::mpsc;

use crate::transport::support::{listen, other, specified_id};

const TOPIC: &str = "news";
/// The time limit of every wait.
const DEADLINE: Duration = Duration::from_secs(60);
/// The time between two looks at a state.
const POLL: Duration = Duration::from_millis(50);

/// Limits with a short heartbeat, and with a short backoff, after which a leaf asks the centre again.
fn limits(is_centre: bool) -> LimitsConfig<TopicName> {
    LimitsConfig::default().with(|limits| {
        limits.heartbeat_interval = Duration::from_millis(200);
        limits.prune_backoff = Duration::from_secs(1);
        limits.backoff_cleanup_ticks = 1;
        limits.accept_px_threshold = 0.0;
        if is_centre {
            limits.do_px = true;
            (limits.degree_low, limits.degree_optimal, limits.degree_high) = (0, 0, 0);
            (limits.degree_score, limits.degree_out) = (0, 0);
        }
    })
}

type Ours = (Node, AppOutputs<Libp2pNetwork>);

async fn ours(is_centre: bool, dial: Option<&Multiaddr>) -> Ours {
    let transport = TransportConfig::default().with(|config| {
        config.gossipsub.addresses = AddressFilter::GlobalAndLoopback;
        config.connection_threads = 0;
    });
    let builder = Node::builder(Keypair::generate_ed25519())
        .listen("/ip4/127.0.0.1/tcp/0")
        .topic(TOPIC)
        .limits(limits(is_centre))
        .transport(transport)
        .engine(|engine| engine.arbiters(1));
    let builder = match dial {
        Some(address) => builder.dial(address.clone()),
        None => builder,
    };
    builder.start().await.expect("the node starts")
}

/// Waits until `probe` is true.
async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !probe().await {
            tokio::time::sleep(POLL).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "not true within {DEADLINE:?}: {what}");
}

/// The peers in the mesh of a node, other than `except`.
async fn mesh(node: &Node, except: PeerId) -> Vec<PeerId> {
    let mesh = node.worker().mesh_of(&TOPIC.into()).await.unwrap().unwrap_or_default();
    mesh.into_iter().filter(|peer| *peer != except).collect()
}

fn dials(leaves: &[Ours], outcome: PxDialOutcome) -> u64 {
    leaves.iter().map(|(leaf, _)| leaf.network().transport_stats().px_dials(outcome)).sum()
}

/// Waits until the leaf has received these payloads, once each.
async fn received(app: &mut AppOutputs<Libp2pNetwork>, payloads: &[Vec<u8>]) {
    let mut all: Vec<Vec<u8>> = Vec::new();
    while all.len() < payloads.len() {
        let message = tokio::time::timeout(DEADLINE, app.recv()).await.expect("all messages arrive");
        all.push(message.expect("the node runs").message.data().to_vec());
    }
    all.sort();
    assert_eq!(all, payloads);
}

#[actix_rt::test]
async fn leaves_of_a_star_connect_among_each_other_by_signed_records_and_survive_their_centre() {
    const LEAVES: usize = 19;
    let (centre, _received) = ours(true, None).await;
    let mut leaves = Vec::new();
    for _ in 0..LEAVES {
        leaves.push(ours(false, Some(&centre.addresses()[0])).await);
    }
    until("each leaf has three leaves in its mesh", async || {
        let meshes = futures::future::join_all(leaves.iter().map(|(leaf, _)| mesh(leaf, centre.peer_id())));
        meshes.await.iter().all(|mesh| mesh.len() >= 3)
    })
    .await;
    // Nobody but the centre gave its address to a leaf: the leaves were reached by the records in its PRUNEs.
    assert!(dials(&leaves, PxDialOutcome::Connected) >= LEAVES as u64 - 1);
    assert_eq!(dials(&leaves, PxDialOutcome::BadRecord), 0);
    let stats = centre.network().transport_stats();
    assert!(stats.peer_records(PeerRecordOutcome::Stored) >= LEAVES as u64);
    centre.shutdown().await;

    let payloads: Vec<_> = (0..LEAVES as u8).map(|leaf| vec![leaf]).collect();
    for ((leaf, _), payload) in leaves.iter().zip(&payloads) {
        leaf.publish(TOPIC, payload.clone()).unwrap();
    }
    for (nth, (_, app)) in leaves.iter_mut().enumerate() {
        let mut of_others = payloads.clone();
        of_others.remove(nth);
        received(app, &of_others).await;
    }
    futures::future::join_all(leaves.iter().map(|(leaf, _)| leaf.shutdown())).await;
}

#[actix_rt::test]
async fn leaves_that_accept_no_px_stay_alone() {
    let (centre, _received) = ours(true, None).await;
    let address = &centre.addresses()[0];
    let transport = TransportConfig::default().with(|config| {
        config.gossipsub.addresses = AddressFilter::GlobalAndLoopback;
    });
    let leaf = || {
        Node::builder(Keypair::generate_ed25519())
            .listen("/ip4/127.0.0.1/tcp/0")
            .dial(address.clone())
            .topic(TOPIC)
            .limits(limits(false).with(|limits| limits.extensions.accept_px = false))
            .transport(transport.clone())
            .engine(|engine| engine.arbiters(1))
    };
    let leaves = [leaf().start().await.unwrap(), leaf().start().await.unwrap()];
    let pruned = |(node, _): &Ours| node.worker().stats().count_recv_prunes;
    // Each has asked the centre twice, the second time when the centre knew both.
    until("both leaves were pruned twice", async || leaves.iter().all(|leaf| pruned(leaf) >= 2)).await;
    for (leaf, _) in &leaves {
        assert!(mesh(leaf, centre.peer_id()).await.is_empty());
        let stats = leaf.network().transport_stats();
        assert_eq!(stats.px_dials(PxDialOutcome::Connected) + stats.px_dials(PxDialOutcome::NoAddress), 0);
    }
}

/// An official peer: gossipsub, and identify with a record in the form that rust-libp2p has for itself.
#[derive(NetworkBehaviour)]
struct Official {
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
}

fn official() -> Swarm<Official> {
    other(|key| {
        let config = gossipsub::ConfigBuilder::default()
            .heartbeat_initial_delay(Duration::from_millis(100))
            .heartbeat_interval(Duration::from_millis(200))
            .prune_backoff(Duration::from_secs(1))
            .message_id_fn(specified_id)
            .build()
            .unwrap();
        let signed = gossipsub::MessageAuthenticity::Signed(key.clone());
        let identify = identify::Config::new_with_signed_peer_record("/test/1".to_owned(), key);
        Official {
            gossipsub: gossipsub::Behaviour::new(signed, config).unwrap(),
            identify: identify::Behaviour::new(identify),
        }
    })
}

/// rust-libp2p sends no records in its PRUNEs, and dials no peer by a record. But its identify can give us one, by which
/// our leaves find its nodes.
#[actix_rt::test]
async fn official_leaves_of_a_star_are_found_by_ours() {
    const OFFICIAL: usize = 3;
    const OURS: usize = 4;
    let (centre, _received) = ours(true, None).await;
    let address = centre.addresses()[0].clone();
    let (sender, mut arrived) = mpsc::unbounded_channel();
    let mut peers = Vec::new();
    for _ in 0..OFFICIAL {
        let mut swarm = official();
        swarm.behaviour_mut().gossipsub.subscribe(&gossipsub::IdentTopic::new(TOPIC)).unwrap();
        listen(&mut swarm).await;
        swarm.dial(address.clone()).unwrap();
        let peer = *swarm.local_peer_id();
        peers.push(peer);
        let sender = sender.clone();
        tokio::spawn(async move {
            loop {
                if let SwarmEvent::Behaviour(OfficialEvent::Gossipsub(gossipsub::Event::Message {
                    message,
                    ..
                })) = swarm.select_next_some().await
                {
                    let _ = sender.send((peer, message.data));
                }
            }
        });
    }
    let mut leaves = Vec::new();
    for _ in 0..OURS {
        leaves.push(ours(false, Some(&address)).await);
    }
    until("each official peer is in the mesh of a leaf of ours", async || {
        let meshes = futures::future::join_all(leaves.iter().map(|(leaf, _)| mesh(leaf, centre.peer_id())));
        let meshes = meshes.await;
        peers.iter().all(|peer| meshes.iter().flatten().any(|member| member == peer))
            && meshes.iter().all(|mesh| !mesh.is_empty())
    })
    .await;
    centre.shutdown().await;
    leaves[0].0.publish(TOPIC, *b"to all").unwrap();
    let mut left = peers.clone();
    while !left.is_empty() {
        let next = tokio::time::timeout(DEADLINE, arrived.recv()).await.expect("all messages arrive");
        let (peer, data) = next.expect("the official peers run");
        assert_eq!(data, b"to all");
        left.retain(|other| *other != peer);
    }
    for (_, app) in &mut leaves[1..] {
        received(app, &[b"to all".to_vec()]).await;
    }
    futures::future::join_all(leaves.iter().map(|(leaf, _)| leaf.shutdown())).await;
}

/// An application with a swarm of its own: its identify gives it the records of rust-libp2p, which it hands over.
#[derive(NetworkBehaviour)]
struct Composed {
    gossipsub: own::Behaviour,
    identify: identify::Behaviour,
}

/// A centre in a swarm of an application, which runs until the test ends.
async fn composed_centre() -> Multiaddr {
    let mut swarm = other(|key| {
        let mut config = own::ConfigBuilder::default();
        config.limits(|config| *config = limits(true)).arbiters(1);
        let signed = own::MessageAuthenticity::Signed(key.clone());
        Composed {
            gossipsub: own::Behaviour::new(signed, config.build().unwrap()).unwrap(),
            identify: identify::Behaviour::new(identify::Config::new("/test/1".to_owned(), key.public())),
        }
    });
    swarm.behaviour_mut().gossipsub.subscribe(&own::IdentTopic::new(TOPIC)).unwrap();
    let address = listen(&mut swarm).await;
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(ComposedEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) = swarm.select_next_some().await
                && let Some(record) = info.signed_peer_record
            {
                let record = record.into_protobuf_encoding();
                let outcome = swarm.behaviour().gossipsub.add_peer_record(&peer_id, &record);
                assert_eq!(outcome, PeerRecordOutcome::Stored);
            }
        }
    });
    address
}

#[actix_rt::test]
async fn an_application_hands_over_the_records_that_its_identify_receives() {
    let address = composed_centre().await;
    let mut swarm = official();
    swarm.behaviour_mut().gossipsub.subscribe(&gossipsub::IdentTopic::new(TOPIC)).unwrap();
    listen(&mut swarm).await;
    swarm.dial(address.clone()).unwrap();
    let peer = *swarm.local_peer_id();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    let (leaf, _received) = ours(false, Some(&address)).await;
    until("the official peer is in the mesh of the leaf", async || {
        leaf.worker().mesh_of(&TOPIC.into()).await.unwrap().unwrap_or_default().contains(&peer)
    })
    .await;
    assert_eq!(leaf.network().transport_stats().px_dials(PxDialOutcome::Connected), 1);
    leaf.shutdown().await;
}

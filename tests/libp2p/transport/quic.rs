//! The ready-made swarm over QUIC.

use std::time::Duration;

use actix_gossipsub::libp2p::{BehaviourConfig, Event};
use actix_gossipsub::{P2pInput, P2pMessage};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder,
    gossipsub::{self, IdentTopic, MessageAuthenticity},
    identity::Keypair,
    swarm::SwarmEvent,
};

use super::{names::dial_and_publish, support::*, topic};

const LISTEN: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

#[actix_rt::test]
async fn nodes_exchange_messages_over_quic() {
    dial_and_publish(LISTEN, "/ip4/127.0.0.1/udp/{port}/quic-v1").await;
}

#[actix_rt::test]
async fn a_node_is_dialled_by_its_name_over_quic() {
    dial_and_publish(LISTEN, "/dns4/localhost/udp/{port}/quic-v1").await;
}

fn official() -> Swarm<gossipsub::Behaviour> {
    SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| {
            let config = gossipsub::ConfigBuilder::default()
                .heartbeat_initial_delay(Duration::from_millis(100))
                .heartbeat_interval(Duration::from_millis(200))
                .build()
                .unwrap();
            gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), config).unwrap()
        })
        .unwrap()
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// More messages than the window of a stream takes, and one in the other direction.
#[tokio::test]
async fn messages_go_both_ways_between_our_swarm_and_the_official_one_over_quic() {
    const SIZE: usize = 30_000;
    let (mut node, network) = ours(BehaviourConfig::default());
    let mut theirs = official();
    let them = *theirs.local_peer_id();
    let news = IdentTopic::new("news");
    theirs.behaviour_mut().subscribe(&news).unwrap();
    theirs.listen_on(LISTEN.parse().unwrap()).unwrap();
    let address: Multiaddr = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = theirs.select_next_some().await {
            break address;
        }
    };
    node.dial(address).unwrap();
    until(&mut node, &mut theirs, connected).await;
    send_message(&mut node, them, NetMessage::subscribe(topic()));
    for n in 0..20 {
        let message = network.message(topic(), vec![n; SIZE]).unwrap();
        send_message(&mut node, them, NetMessage::FullMessage(message.into()));
    }
    let mut delivered = Vec::new();
    both(
        &mut node,
        &mut theirs,
        |event| {
            eprintln!("ours {event:?}");
            None
        },
        |event| {
            eprintln!("theirs {event:.200?}");
            if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event {
                assert_eq!(message.data.len(), SIZE);
                delivered.push(message.data[0]);
                eprintln!("got {}", message.data[0]);
            }
            (delivered.len() == 20).then_some(())
        },
    )
    .await;
    assert_eq!(delivered, (0..20).collect::<Vec<_>>());

    theirs.behaviour_mut().publish(news, vec![7; SIZE]).unwrap();
    let received = |event: Event| {
        inputs(event).into_iter().find_map(|input| match input {
            P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } => Some(full),
            _ => None,
        })
    };
    let full = until(&mut node, &mut theirs, received).await;
    assert_eq!((full.message.data(), full.message.signature_error()), (&[7; SIZE][..], None));
}

//! These tests connect the transport to the official rust-libp2p gossipsub.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::libp2p::{BehaviourConfig, Event, Libp2pNetwork, SignaturePolicy, TransportConfig};
use actix_gossipsub::{FullMessage, P2pInput, P2pMessage};
use libp2p::{
    Swarm,
    gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode},
    identity::Keypair,
    swarm::SwarmEvent,
};

use super::{support::*, topic};

/// A swarm of the official gossipsub with the message ids of the specification.
fn official() -> Swarm<gossipsub::Behaviour> {
    other(|key| {
        let config = gossipsub::ConfigBuilder::default()
            .heartbeat_initial_delay(Duration::from_millis(100))
            .heartbeat_interval(Duration::from_millis(200))
            .message_id_fn(specified_id)
            .build()
            .unwrap();
        gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), config).unwrap()
    })
}

fn full_message(event: Event) -> Option<Arc<FullMessage<Net>>> {
    inputs(event).into_iter().find_map(|input| match input {
        P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } => Some(full),
        _ => None,
    })
}

#[tokio::test]
async fn subscriptions_messages_and_prunes_are_exchanged() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let mut theirs = official();
    let (us, them) = (*node.local_peer_id(), *theirs.local_peer_id());
    let news = IdentTopic::new("news");
    theirs.behaviour_mut().subscribe(&news).unwrap();
    let address = listen(&mut theirs).await;
    node.dial(address).unwrap();
    until(&mut node, &mut theirs, connected).await;

    // The official peer subscribes, our swarm subscribes, and the official peer sends GRAFT.
    let received = |message| P2pInput::InMessage { from_peer: them, message };
    let mut all = Vec::new();
    send_message(&mut node, them, NetMessage::subscribe(topic()));
    until(&mut node, &mut theirs, |event| {
        all.extend(inputs(event));
        all.contains(&received(NetMessage::Graft { topic: topic() })).then_some(())
    })
    .await;
    assert_eq!(all[0], received(NetMessage::subscribe(topic())));

    // A message from our swarm to the official peer.
    let ours = network.message(topic(), *b"from us").unwrap();
    send_message(&mut node, them, NetMessage::FullMessage(ours.clone().into()));
    let (id, delivered) = both(
        &mut node,
        &mut theirs,
        |_| None,
        |event| match event {
            SwarmEvent::Behaviour(gossipsub::Event::Message { message_id, message, .. }) => {
                Some((message_id, message))
            }
            _ => None,
        },
    )
    .await;
    assert_eq!((delivered.data.as_slice(), delivered.source), (&b"from us"[..], Some(us)));
    assert_eq!(id.0, ours.message_id.as_bytes());

    // A message from the official peer to our swarm.
    let id = theirs.behaviour_mut().publish(news.clone(), *b"from them").unwrap();
    let full = until(&mut node, &mut theirs, full_message).await;
    assert_eq!((full.message.data(), full.message.signature_error()), (&b"from them"[..], None));
    assert_eq!(full.message.source(), Some(&them));
    assert_eq!(full.message_id.as_bytes(), id.0);

    // The official peer leaves: it sends PRUNE with a backoff, and UNSUBSCRIBE.
    assert!(theirs.behaviour_mut().unsubscribe(&news));
    let mut all = Vec::new();
    until(&mut node, &mut theirs, |event| {
        all.extend(inputs(event));
        (all.len() >= 2).then_some(())
    })
    .await;
    assert!(all.contains(&received(NetMessage::Unsubscribe { topic: topic() })), "{all:?}");
    let pruned = |input: &Input| match input {
        P2pInput::InMessage { message: P2pMessage::Prune { backoff, .. }, .. } => backoff.as_secs() > 0,
        _ => false,
    };
    assert!(all.iter().any(pruned), "{all:?}");
}

#[tokio::test]
async fn frames_of_every_size_arrive() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let mut theirs = official();
    let them = *theirs.local_peer_id();
    theirs.behaviour_mut().subscribe(&IdentTopic::new("news")).unwrap();
    let address = listen(&mut theirs).await;
    node.dial(address).unwrap();
    until(&mut node, &mut theirs, connected).await;
    send_message(&mut node, them, NetMessage::subscribe(topic()));
    let sizes: Vec<usize> = (0..200).map(|n| n * 250).collect();
    for size in &sizes {
        let message = network.message(topic(), vec![7; *size]).unwrap();
        send_message(&mut node, them, NetMessage::FullMessage(message.into()));
    }
    let ids: Vec<_> = (0..2_000u32).map(|n| [&n.to_be_bytes()[..], &[0; 42]].concat().into()).collect();
    send_message(&mut node, them, NetMessage::IHave { topic: topic(), message_ids: ids });
    let message = network.message(topic(), *b"last").unwrap();
    send_message(&mut node, them, NetMessage::FullMessage(message.into()));
    let mut delivered = Vec::new();
    both(
        &mut node,
        &mut theirs,
        |_| None,
        |event| {
            if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event {
                delivered.push(message.data.len());
            }
            (delivered.len() == sizes.len() + 1).then_some(())
        },
    )
    .await;
    assert_eq!(delivered, [sizes, vec![4]].concat());
}

/// Messages have no signatures, and their content is their id.
#[tokio::test]
async fn anonymous_messages_go_both_ways() {
    let network =
        Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).message_id(|_, message| message.data().into());
    let network = network.build();
    let config = TransportConfig::default();
    let mut node =
        actix_gossipsub::libp2p::swarm(Keypair::generate_ed25519(), network.clone(), &config).unwrap();
    let mut theirs = other(|_| {
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(ValidationMode::Anonymous)
            .message_id_fn(|message| message.data.clone().into())
            .build()
            .unwrap();
        gossipsub::Behaviour::<gossipsub::IdentityTransform>::new(MessageAuthenticity::Anonymous, config)
            .unwrap()
    });
    let them = *theirs.local_peer_id();
    let news = IdentTopic::new("news");
    theirs.behaviour_mut().subscribe(&news).unwrap();
    let address = listen(&mut theirs).await;
    node.dial(address).unwrap();
    until(&mut node, &mut theirs, connected).await;
    send_message(&mut node, them, NetMessage::subscribe(topic()));
    let message = network.message(topic(), *b"from us").unwrap();
    send_message(&mut node, them, NetMessage::FullMessage(message.into()));
    let delivered = both(
        &mut node,
        &mut theirs,
        |_| None,
        |event| match event {
            SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) => Some(message),
            _ => None,
        },
    );
    let delivered = delivered.await;
    assert_eq!(
        (delivered.data.as_slice(), delivered.source, delivered.sequence_number),
        (&b"from us"[..], None, None)
    );

    theirs.behaviour_mut().publish(news, *b"from them").unwrap();
    let full = until(&mut node, &mut theirs, full_message).await;
    assert_eq!((full.message.data(), full.message.signature_error()), (&b"from them"[..], None));
    assert_eq!((full.message.source(), full.message_id.as_bytes()), (None, &b"from them"[..]));
}

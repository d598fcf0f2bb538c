//! Calls before the engine runs, and what is left to read when it has ended.

use std::{collections::BTreeSet, future::poll_fn, sync::Arc};

use actix_gossipsub::{
    P2pInput, P2pMessage,
    libp2p::{ConnectionLimits, gossipsub::*},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    identity::Keypair,
    swarm::{ConnectionId, NetworkBehaviour, ToSwarm},
};

use super::{behaviour, config, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_score_is_turned_on_after_subscriptions_and_explicit_peers() {
    let mut gossipsub = behaviour(&Keypair::generate_ed25519(), &config());
    let (peer, former, other) = (PeerId::random(), PeerId::random(), IdentTopic::new("other"));
    for (topic, is_new) in [(topic(), true), (topic(), false), (other.clone(), true)] {
        assert_eq!(gossipsub.subscribe(&topic).unwrap(), is_new);
    }
    assert!(gossipsub.unsubscribe(&other) && !gossipsub.unsubscribe(&other));
    gossipsub.add_explicit_peer(&peer).unwrap();
    gossipsub.add_explicit_peer(&former).unwrap();
    gossipsub.remove_explicit_peer(&former).unwrap();
    assert!(gossipsub.worker().is_none());
    assert_eq!(gossipsub.topics().cloned().collect::<Vec<_>>(), [topic().hash()]);
    gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default()).unwrap();

    gossipsub.publish(topic(), "the engine starts").unwrap();
    let worker = gossipsub.worker().unwrap();
    assert!(worker.is_subscribed(&topic().hash()) && !worker.is_subscribed(&other.hash()));
    assert_eq!(worker.direct_peers(), [peer]);
    assert_eq!(gossipsub.topics().cloned().collect::<Vec<_>>(), [topic().hash()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explicit_peer_of_the_configuration_is_removed_for_good() {
    let peer = PeerId::random();
    let mut config = config();
    config.transport(|transport| transport.direct = BTreeSet::from([peer]));
    for starts_before in [false, true] {
        let mut gossipsub = behaviour(&Keypair::generate_ed25519(), &config);
        if starts_before {
            gossipsub.publish(topic(), "the engine starts").unwrap();
            assert_eq!(gossipsub.worker().unwrap().direct_peers(), [peer]);
        }
        gossipsub.remove_explicit_peer(&peer).unwrap();
        let _ = gossipsub.publish(topic(), "the engine runs");
        assert!(gossipsub.worker().unwrap().direct_peers().is_empty());
        assert!(actix_gossipsub::Network::persistent_points(gossipsub.network()).is_empty());
    }
}

/// A swarm that is polled seldom has messages left when the engine ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_reports_that_are_not_read_yet_come_before_the_end_of_the_engine() {
    let config = config().validation_mode(ValidationMode::Anonymous).build().unwrap();
    let mut gossipsub = Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap();
    gossipsub.subscribe(&topic()).unwrap();
    let published = gossipsub.publish(topic(), "ours").unwrap();
    let worker = gossipsub.worker().unwrap().clone();
    let peer = PeerId::random();
    worker.p2p_input(P2pInput::connected(peer)).unwrap();
    for data in ["1", "2", "3"] {
        let message = gossipsub.network().message(topic().hash(), data).unwrap();
        worker.p2p_input(P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(message)))).unwrap();
    }
    worker.settle().await;
    worker.shutdown().await;
    let (mut messages, mut reports) = (Vec::new(), Vec::new());
    loop {
        match poll_fn(|cx| gossipsub.poll(cx)).await {
            ToSwarm::GenerateEvent(Event::Message { message, .. }) => messages.push(message.data),
            ToSwarm::GenerateEvent(Event::Published { message_id, .. }) => reports.push(message_id),
            ToSwarm::GenerateEvent(Event::EngineEnded { .. }) => break,
            _ => {}
        }
    }
    messages.sort();
    assert_eq!((messages, reports), (vec![vec![b'1'], vec![b'2'], vec![b'3']], vec![published]));
}

#[test]
fn trusted_peers_are_admitted_by_the_limits_of_the_behaviour() {
    let (trusted, other) = (PeerId::random(), PeerId::random());
    let mut config = config();
    config.transport(|transport| transport.trusted = BTreeSet::from([trusted]));
    let gossipsub = behaviour(&Keypair::generate_ed25519(), &config);
    let full = ConnectionLimits::unlimited().with(|limits| limits.system.connections = 0);
    let mut limits = gossipsub.limits_behaviour(full);
    let address: Multiaddr = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
    let mut is_admitted = |id: usize, peer| {
        let id = ConnectionId::new_unchecked(id);
        limits.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).is_ok()
            && limits
                .handle_established_outbound_connection(id, peer, &address, Endpoint::Dialer, PortUse::Reuse)
                .is_ok()
    };
    assert!(!is_admitted(1, other));
    assert!(is_admitted(2, trusted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_admitted_by_the_limits_as_long_as_it_is_an_explicit_one() {
    let [configured, added] = [(); 2].map(|()| PeerId::random());
    let mut config = config();
    config.transport(|transport| transport.direct = BTreeSet::from([configured]));
    let mut gossipsub = behaviour(&Keypair::generate_ed25519(), &config);
    let full = ConnectionLimits::unlimited().with(|limits| limits.system.connections = 0);
    let mut limits = gossipsub.limits_behaviour(full);
    let mut ids = (1..).map(ConnectionId::new_unchecked);
    let mut are_admitted = || {
        [configured, added].map(|peer| {
            let id = ids.next().unwrap();
            limits.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).is_ok()
        })
    };
    assert_eq!(are_admitted(), [true, false]);
    gossipsub.publish(topic(), "the engine starts").unwrap();
    assert_eq!(are_admitted(), [true, false]);
    gossipsub.add_explicit_peer(&added).unwrap();
    gossipsub.remove_explicit_peer(&configured).unwrap();
    assert_eq!(are_admitted(), [false, true]);
}

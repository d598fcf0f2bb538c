//! These tests run the transport over real sockets on loopback: with another transport of this crate, with misbehaving
//! peers, and with the official rust-libp2p gossipsub. Only `consequence`, `flood`, `names`, `quic`, `slow` and
//! `tickets` use a real engine; the other tests read the inputs and write the outputs of the engine themselves.

pub mod addresses;
mod backpressure;
mod burst;
mod closed_window;
mod colocation;
mod consequence;
mod counts;
mod dials;
mod flood;
mod idontwant;
mod limits;
mod misbehaviour;
mod names;
mod node;
mod official;
mod publisher;
#[cfg(feature = "quic")]
mod quic;
mod settings;
mod slow;
mod slow_again;
mod subscriptions;
pub mod support;
mod tickets;
#[cfg(feature = "snappy")]
mod transform;
mod work;

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::libp2p::{BehaviourConfig, TopicName};
use actix_gossipsub::{ConnectionInfo, P2pInput, P2pOutput};
use libp2p::{PeerId, swarm::SwarmEvent};
use support::*;

fn topic() -> TopicName {
    "news".into()
}

#[tokio::test]
async fn messages_arrive_in_order_of_lane_priority() {
    let (mut alice, network) = ours(BehaviourConfig::default());
    let trusted = BTreeSet::from([*alice.local_peer_id()]);
    let (mut bob, _) = ours(BehaviourConfig::default().with(|c| c.trusted = trusted));
    let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
    let address = listen(&mut bob).await;
    alice.dial(address.clone()).unwrap();

    let (at_alice, received) = meet(&mut alice, &mut bob, 1).await;
    let info = ConnectionInfo::outbound().remote_address(socket_address(&address));
    assert_eq!(at_alice, [P2pInput::NewConnection { peer: b, info }]);
    // The port from which a peer dials is assigned by the system.
    let [P2pInput::NewConnection { peer, info }] = &received[..] else { panic!("{received:?}") };
    let from = info.remote_address.expect("TCP has addresses");
    assert!(from.ip().is_loopback() && from.port() != 0, "{from}");
    assert_eq!((peer, info), (&a, &ConnectionInfo::inbound().trusted().remote_address(from)));

    let message = |n: usize| {
        NetMessage::FullMessage(network.message(topic(), vec![n as u8; 1_000 * n]).unwrap().into())
    };
    let ids: Vec<_> = (0..50u8).map(|n| vec![n; 46].into()).collect();
    let gossip = [
        NetMessage::IHave { topic: topic(), message_ids: ids.clone() },
        NetMessage::IWant { message_ids: ids },
    ];
    let messages: Vec<_> = (0..60).map(message).collect();
    let prune = NetMessage::Prune {
        topic: topic(),
        px: vec![a.into(), PeerId::random().into()],
        backoff: Duration::from_secs(60),
    };
    let begin = [NetMessage::subscribe(topic()), NetMessage::Graft { topic: topic() }];
    let end = [prune, NetMessage::Unsubscribe { topic: topic() }];
    let sent = [&begin[..], &gossip, &messages, &end].concat();
    let all = [&begin[..], &end, &messages, &gossip].concat();
    sent.iter().for_each(|message| send_message(&mut alice, b, message.clone()));

    let mut received = Vec::new();
    until(&mut bob, &mut alice, |event| {
        received.extend(inputs(event));
        (received.len() >= all.len()).then_some(())
    })
    .await;
    let expected: Vec<_> =
        all.into_iter().map(|message| P2pInput::InMessage { from_peer: a, message }).collect();
    assert_eq!(received, expected);

    alice.behaviour_mut().gossipsub.apply(P2pOutput::Disconnect { peer: b });
    let disconnection = until(&mut bob, &mut alice, |event| inputs(event).pop()).await;
    assert_eq!(disconnection, P2pInput::Disconnection { peer: a });
}

#[tokio::test]
async fn a_kicked_peer_is_refused_until_it_is_unblocked() {
    let (mut alice, _) = ours(BehaviourConfig::default());
    let (mut bob, _) = ours(BehaviourConfig::default());
    let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
    let address = listen(&mut alice).await;
    bob.dial(address.clone()).unwrap();
    meet(&mut alice, &mut bob, 1).await;
    alice.behaviour_mut().gossipsub.apply(P2pOutput::Kick { peer: b, duration: Duration::MAX });
    until(&mut bob, &mut alice, |event| {
        inputs(event).contains(&P2pInput::Disconnection { peer: a }).then_some(())
    })
    .await;
    assert_eq!(alice.behaviour().gossipsub.blocked().collect::<Vec<_>>(), [&b]);

    // Neither side can connect: alice refuses outbound and inbound connections.
    assert!(alice.dial(b).is_err());
    bob.dial(address.clone()).unwrap();
    let refused = both(
        &mut alice,
        &mut bob,
        |event| event.and_then(connected).map(|_| false),
        |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. })
                .then_some(true)
        },
    );
    assert!(refused.await);

    assert!(alice.behaviour_mut().gossipsub.unblock(&b));
    bob.dial(address).unwrap();
    until(&mut alice, &mut bob, connected).await;
}

#[tokio::test]
async fn two_connections_to_a_peer_are_reported_once() {
    let (mut alice, _) = ours(BehaviourConfig::default());
    let (mut bob, _) = ours(BehaviourConfig::default());
    let (a, b) = (*alice.local_peer_id(), *bob.local_peer_id());
    let (to_alice, to_bob) = (listen(&mut alice).await, listen(&mut bob).await);
    alice.dial(to_bob).unwrap();
    bob.dial(to_alice).unwrap();
    let (mut all, _) = meet(&mut alice, &mut bob, 2).await;
    send_message(&mut bob, a, NetMessage::subscribe(topic()));
    until(&mut alice, &mut bob, |event| {
        all.extend(inputs(event));
        (all.len() > 1).then_some(())
    })
    .await;
    assert!(
        matches!(all[..], [P2pInput::NewConnection { peer, .. }, P2pInput::InMessage { .. }] if peer == b)
    );
}

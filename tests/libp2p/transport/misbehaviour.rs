//! These tests connect peers that send garbage, reset streams or never read. The node and its other streams must keep
//! working.

use actix_gossipsub::libp2p::{
    BehaviourConfig, Event, FrameError, InboundError, Libp2pNetwork, QueueLimits, RpcError, SignaturePolicy,
    Slowness, TransportConfig, swarm,
};
use actix_gossipsub::{Network, P2pInput};
use libp2p::{PeerId, Swarm, identity::Keypair};

use super::{support::*, topic};

/// A swarm of this crate, connected to a raw peer.
async fn with_raw(config: BehaviourConfig, reads: Reads) -> (Ours, Swarm<Raw>, PeerId) {
    let (mut node, _) = ours(config);
    let mut raw = other(|_| Raw::new(reads));
    let address = listen(&mut node).await;
    let us = *node.local_peer_id();
    raw.dial(address).unwrap();
    until(&mut node, &mut raw, connected).await;
    (node, raw, us)
}

/// A frame with a subscription to `news`.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];

fn failure(event: Event) -> Option<InboundError> {
    match event {
        Event::InboundFailed { error, .. } => Some(error),
        _ => None,
    }
}

/// A frame with an anonymous message of `data` on `news`.
fn anonymous(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u8;
    [&[length + 10, 0x12, length + 8, 0x12, length], data, &[0x22, 4], b"news"].concat()
}

#[tokio::test]
async fn a_message_whose_id_panics_is_dropped_and_its_connection_stays_open() {
    let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).message_id(|_, message| {
        assert_ne!(message.data(), b"poison", "a panic that a test injects");
        message.data().into()
    });
    let network = network.build();
    let key = Keypair::generate_ed25519();
    let mut node = swarm(key, network.clone(), &TransportConfig::default()).unwrap();
    let mut raw = other(|_| Raw::new(Reads::All));
    let address = listen(&mut node).await;
    let us = *node.local_peer_id();
    raw.dial(address).unwrap();
    until(&mut node, &mut raw, connected).await;
    raw.behaviour_mut().write(us, [anonymous(b"poison"), anonymous(b"good")].concat(), 100);
    let received = until(&mut node, &mut raw, |event| inputs(event).pop()).await;
    let P2pInput::InMessage { message: NetMessage::FullMessage(full), .. } = received else {
        panic!("{received:?}")
    };
    assert_eq!(full.message.data(), b"good");
    assert_eq!(network.transport_stats().hook_panics, 1);
    assert!(node.is_connected(raw.local_peer_id()));
}

#[tokio::test]
async fn garbage_closes_the_stream_and_repeated_garbage_the_connection() {
    let config = BehaviourConfig::default().with(|c| c.max_bad_streams = 3);
    let (mut node, mut raw, us) = with_raw(config, Reads::All).await;
    let peer = *raw.local_peer_id();

    raw.behaviour_mut().write(us, [5, 1, 2, 3, 4, 5], 100);
    let error = until(&mut node, &mut raw, failure).await;
    assert!(matches!(error, InboundError::Rpc(RpcError::Malformed)), "{error}");

    // A frame of 2 MiB is refused when its length is read.
    raw.behaviour_mut().write(us, [0x80, 0x80, 0x80, 1], 100);
    let error = until(&mut node, &mut raw, failure).await;
    assert!(matches!(error, InboundError::Frame(FrameError::TooLong { length: 2_097_152, .. })), "{error}");

    // The connection is still open, and a new stream replaces the old one.
    raw.behaviour_mut().write(us, SUBSCRIBE, 100);
    let received = until(&mut node, &mut raw, |event| inputs(event).pop()).await;
    assert!(matches!(received, P2pInput::InMessage { .. }));

    raw.behaviour_mut().write(us, [0xff; 20], 100);
    let error = until(&mut node, &mut raw, failure).await;
    assert!(matches!(error, InboundError::Frame(_)), "{error}");
    let disconnection = until(&mut node, &mut raw, |event| inputs(event).pop()).await;
    assert_eq!(disconnection, P2pInput::Disconnection { peer });

    // The node accepts new connections, also of the same peer.
    let address = node.listeners().next().unwrap().clone();
    raw.dial(address).unwrap();
    until(&mut node, &mut raw, connected).await;
}

#[tokio::test]
async fn a_peer_that_resets_our_streams_is_disconnected_from_the_engine_only() {
    let (mut node, network) = ours(BehaviourConfig::default());
    let mut raw = other(|_| Raw::new(Reads::Resets));
    let address = listen(&mut node).await;
    raw.dial(address).unwrap();
    let peer = *raw.local_peer_id();
    let mut events = Vec::new();
    let mut sent = false;
    while !events.iter().any(|event| matches!(event, Event::OutboundFailed { .. })) {
        // A reset is detected only by a write.
        send_message(&mut node, peer, NetMessage::subscribe(topic()));
        let other = |event: Event| (!matches!(event, Event::Dropped { .. })).then_some(event);
        let next =
            tokio::time::timeout(std::time::Duration::from_millis(50), until(&mut node, &mut raw, other));
        events.extend(next.await.ok());
        sent |= events.len() > 2;
    }
    assert!(sent);
    let established = events.iter().filter(|event| matches!(event, Event::Established { .. })).count();
    assert_eq!(established, 1);
    let disconnection = until(&mut node, &mut raw, |event| inputs(event).pop()).await;
    assert_eq!(disconnection, P2pInput::Disconnection { peer });
    assert_eq!(network.transport_stats().reopened_streams, 3);
    assert!(node.is_connected(&peer));
}

#[tokio::test]
async fn a_peer_that_writes_on_our_streams_loses_them_one_after_another() {
    let (mut node, network) = ours(BehaviourConfig::default());
    // Nobody reads these bytes: yamux would have them in memory as long as the stream is open.
    let mut raw = other(|_| Raw::new(Reads::Replies(vec![0; 100_000])));
    let address = listen(&mut node).await;
    raw.dial(address).unwrap();
    until(&mut node, &mut raw, |event| matches!(event, Event::OutboundFailed { .. }).then_some(())).await;
    assert_eq!(network.transport_stats().bad_frames, 4);
}

#[tokio::test]
async fn the_queue_of_a_peer_that_does_not_read_is_bounded() {
    let queue =
        QueueLimits::default().with(|l| (l.max_items, l.max_bytes, l.stall_factor) = (20, 1 << 20, 5));
    let config =
        BehaviourConfig::default().with(|c| (c.queue, c.write_timeout) = (queue, std::time::Duration::MAX));
    let (mut node, mut raw, _) = with_raw(config, Reads::Nothing).await;
    let peer = *raw.local_peer_id();
    let network = node.behaviour().gossipsub.network().clone();
    let (mut dropped, mut sent) = (0, 0);
    while dropped == 0 {
        for _ in 0..10 {
            let message = network.message(topic(), vec![0; 50_000]).unwrap();
            send_message(&mut node, peer, NetMessage::FullMessage(message.into()));
            sent += 1;
        }
        let next = tokio::time::timeout(
            std::time::Duration::from_millis(20),
            until(&mut node, &mut raw, |event| match event {
                Event::Dropped { lanes, .. } => Some(lanes.total()),
                _ => None,
            }),
        );
        dropped = next.await.unwrap_or(0);
        assert!(sent < 10_000);
    }
    // Grafts of different topics are never dropped: when too many are queued, the peer is disconnected.
    for number in 0..200 {
        send_message(&mut node, peer, NetMessage::Graft { topic: format!("topic-{number}").into() });
    }
    let slowness = until(&mut node, &mut raw, |event| match event {
        Event::SlowPeer { slowness, .. } => Some(slowness),
        _ => None,
    });
    assert_eq!(slowness.await, Slowness::Overflow);
    let disconnection = until(&mut node, &mut raw, |event| inputs(event).pop()).await;
    assert_eq!(disconnection, P2pInput::Disconnection { peer });
}

#[tokio::test]
async fn a_peer_without_gossipsub_is_not_reported_to_the_engine() {
    let (mut node, _) = ours(BehaviourConfig::default());
    let mut dummy = other(|_| libp2p::swarm::dummy::Behaviour);
    let address = listen(&mut node).await;
    dummy.dial(address).unwrap();
    let first = until(&mut node, &mut dummy, Some).await;
    assert!(matches!(first, Event::Unsupported { .. }), "{first:?}");
}

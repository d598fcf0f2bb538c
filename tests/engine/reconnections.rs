//! These tests check peers that disconnect and reconnect while outputs for them are still queued.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{ConnectionInfo, P2pInput, P2pMessage, Page, Started, plain::PlainNetwork};

use crate::{recording::Recording, support::*};

const DROPPED: &str = "gossipsub_outputs_dropped_total{lane=gossip,reason=disconnected}";
const SENT: &str = "gossipsub_rpc_sent_total{type=ihave}";

/// An engine with queued IHAVEs to all peers outside the mesh.
async fn with_unread_gossip(peers: std::ops::Range<u64>) -> (Recording, Started<PlainNetwork>) {
    let limits = changed(|limits| limits.gossip_factor = 1.0);
    let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
    for peer in peers {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        engine.worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
    }
    engine.worker.settle().await;
    engine.worker.tick().await;
    engine.worker.app_input(publish("a", 1)).expect("the input is accepted");
    engine.worker.settle().await;
    while engine.p2p.try_recv().is_some() {}
    engine.worker.tick().await;
    engine.worker.settle().await;
    (recording, engine)
}

fn ihave_receivers(outputs: &[Output]) -> BTreeSet<u64> {
    let receiver = |output: &Output| match output {
        Output::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(*to_peer),
        _ => None,
    };
    let receivers: Vec<_> = outputs.iter().filter_map(receiver).collect();
    let distinct: BTreeSet<_> = receivers.iter().copied().collect();
    assert_eq!(receivers.len(), distinct.len(), "each peer receives one IHAVE");
    distinct
}

#[test]
fn gossip_to_disconnected_peers_is_skipped_on_read_and_counted() {
    run(async {
        let (recording, mut engine) = with_unread_gossip(1..61).await;
        let sent = recording.count(SENT);
        assert!(sent > 40, "{sent} of 60 peers are sent an IHAVE: all outside the mesh");
        for peer in (1..61).filter(|peer| peer % 3 != 0) {
            engine.worker.p2p_input(disconnect(peer)).expect("the input is accepted");
        }
        // They reconnect; outputs for the former connections are not sent on the new ones.
        for peer in (1..61).filter(|peer| peer % 3 != 0) {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let receivers = ihave_receivers(&outputs);
        assert!(!receivers.is_empty() && receivers.iter().all(|peer| peer % 3 == 0), "{receivers:?}");
        assert_eq!(receivers.len() as u64 + recording.count(DROPPED), sent);
        engine.worker.shutdown().await;
    });
}

#[test]
fn gossip_to_disconnected_peers_only_neither_ends_nor_stalls_the_stream() {
    run(async {
        let (recording, engine) = with_unread_gossip(1..31).await;
        let Started { worker, mut p2p, .. } = engine;
        let sent = recording.count(SENT);
        (1..31).for_each(|peer| worker.p2p_input(disconnect(peer)).expect("the input is accepted"));
        worker.settle().await;
        let reader = actix::spawn(async move {
            let mut outputs = Vec::new();
            while let Some(output) = p2p.recv().await {
                outputs.push(output);
            }
            outputs
        });
        let read = async {
            while recording.count(DROPPED) < sent {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("all outputs are read");
        worker.p2p_input(connect(99)).expect("the input is accepted");
        worker.settle().await;
        worker.shutdown().await;
        let outputs = reader.await.expect("no panic");
        assert!(ihave_receivers(&outputs).is_empty());
        assert_eq!(sent_to(&outputs, 99, "a").first(), Some(&"subscribe"));
        assert_eq!(recording.count(DROPPED), sent);
    });
}

#[test]
fn a_peer_that_reconnects_is_counted_once() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for _ in 0..1000 {
            for input in [connect(1), subscribe(1, "a"), graft(1, "a"), disconnect(1)] {
                engine.worker.p2p_input(input).expect("the input is accepted");
            }
        }
        for input in [connect(1), subscribe(1, "a"), graft(1, "a")] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        assert_eq!(
            (
                footprint.connections,
                footprint.peers_by_connection,
                footprint.subscriptions,
                footprint.subscribers
            ),
            (1, 1, 1, 1)
        );
        while engine.p2p.try_recv().is_some() {}
        engine.worker.app_input(publish("a", 1)).expect("the input is accepted");
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert_eq!(sent_to(&outputs, 1, "a"), ["message"]);
        engine.worker.p2p_input(disconnect(1)).expect("the input is accepted");
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        assert_eq!(
            (
                footprint.connections,
                footprint.peers_by_connection,
                footprint.subscriptions,
                footprint.subscribers
            ),
            (0, 0, 0, 0)
        );
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_peer_that_reconnects_as_another_kind_is_treated_as_that_kind() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for number in 1..40 {
            // Direct peers are never in a mesh, but each message is sent to them.
            let direct = number % 2 == 0;
            let info = if direct { ConnectionInfo::outbound().direct() } else { ConnectionInfo::inbound() };
            let connection = P2pInput::NewConnection { peer: 1, info };
            let inputs = [connection, subscribe(1, "a"), graft(1, "a")];
            for input in inputs.into_iter().take(if direct { 2 } else { 3 }) {
                engine.worker.p2p_input(input).expect("the input is accepted");
            }
            // In the other rounds, several disconnections are queued.
            if number % 4 < 2 {
                engine.worker.settle().await;
                let view = engine.worker.state().await.expect("the engine runs");
                assert_eq!(view.mesh["a"].is_empty(), direct, "{number}");
                while engine.p2p.try_recv().is_some() {}
                engine.worker.app_input(publish("a", number)).expect("the input is accepted");
                engine.worker.settle().await;
                let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
                assert_eq!(sent_to(&outputs, 1, "a"), ["message"], "{number}");
            }
            engine.worker.p2p_input(disconnect(1)).expect("the input is accepted");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn lists_are_sorted_by_topic_and_peer_in_any_order_of_arrival() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for peer in (1..=20).rev() {
            for input in [connect(peer), subscribe(peer, "a"), subscribe(peer, "b")] {
                engine.worker.p2p_input(input).expect("the input is accepted");
            }
        }
        engine.worker.settle().await;
        engine.worker.p2p_input(disconnect(7)).expect("the input is accepted");
        let present: Vec<_> = (1..=20).filter(|peer| *peer != 7).collect();
        for (joined_only, topics) in [(true, &["a"][..]), (false, &["a", "b"])] {
            let listing = engine.worker.subscribers(Page::all(), joined_only).await.expect("the engine runs");
            let expected = topics.iter().map(|topic| (topic.to_string(), present.clone()));
            assert_eq!(listing.items, expected.collect::<Vec<_>>());
        }
        engine.worker.shutdown().await;
    });
}

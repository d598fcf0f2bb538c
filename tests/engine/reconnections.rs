//! These tests check peers that disconnect and reconnect while outputs for them are still queued.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{ConnectionInfo, P2pInput, P2pMessage, Page, Started, plain::PlainNetwork};

use crate::{recording::Recording, support::*};

const DROPPED: &str = "gossipsub_outputs_dropped_total{lane=gossip,reason=disconnected}";
const SAID: &str = "gossipsub_rpc_sent_total{type=ihave}";

/// An engine of which all peers but the mesh wait to be offered a message.
async fn with_unread_gossip(peers: std::ops::Range<u64>) -> (Recording, Started<PlainNetwork>) {
    let limits = changed(|limits| limits.gossip_factor = 1.0);
    let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
    for peer in peers {
        engine.worker.p2p_input(connect(peer)).expect("taken");
        engine.worker.p2p_input(subscribe(peer, "a")).expect("taken");
    }
    engine.worker.settle().await;
    engine.worker.tick().await;
    engine.worker.app_input(publish("a", 1)).expect("taken");
    engine.worker.settle().await;
    while engine.p2p.try_recv().is_some() {}
    engine.worker.tick().await;
    engine.worker.settle().await;
    (recording, engine)
}

fn offered(outputs: &[Output]) -> BTreeSet<u64> {
    let offer = |output: &Output| match output {
        Output::OutMessage { to_peer, message: P2pMessage::IHave { .. } } => Some(*to_peer),
        _ => None,
    };
    let offered: Vec<_> = outputs.iter().filter_map(offer).collect();
    let distinct: BTreeSet<_> = offered.iter().copied().collect();
    assert_eq!(offered.len(), distinct.len(), "nobody is told twice");
    distinct
}

#[test]
fn gossip_to_who_is_gone_when_it_is_read_is_left_out_and_counted() {
    run(async {
        let (recording, mut engine) = with_unread_gossip(1..61).await;
        let said = recording.count(SAID);
        assert!(said > 40, "{said} of 60 are told: all but the mesh");
        for peer in (1..61).filter(|peer| peer % 3 != 0) {
            engine.worker.p2p_input(disconnect(peer)).expect("taken");
        }
        // They come back; what was for their last connections is not for these.
        for peer in (1..61).filter(|peer| peer % 3 != 0) {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(subscribe(peer, "a")).expect("taken");
        }
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let told = offered(&outputs);
        assert!(!told.is_empty() && told.iter().all(|peer| peer % 3 == 0), "{told:?}");
        assert_eq!(told.len() as u64 + recording.count(DROPPED), said);
        engine.worker.shutdown().await;
    });
}

#[test]
fn gossip_for_nobody_neither_ends_nor_stalls_the_stream() {
    run(async {
        let (recording, engine) = with_unread_gossip(1..31).await;
        let Started { worker, mut p2p, .. } = engine;
        let said = recording.count(SAID);
        (1..31).for_each(|peer| worker.p2p_input(disconnect(peer)).expect("taken"));
        worker.settle().await;
        let reader = actix::spawn(async move {
            let mut outputs = Vec::new();
            while let Some(output) = p2p.recv().await {
                outputs.push(output);
            }
            outputs
        });
        let read = async {
            while recording.count(DROPPED) < said {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("it is read");
        worker.p2p_input(connect(99)).expect("taken");
        worker.settle().await;
        worker.shutdown().await;
        let outputs = reader.await.expect("no panic");
        assert!(offered(&outputs).is_empty());
        assert_eq!(said_to(&outputs, 99, "a").first(), Some(&"subscribe"));
        assert_eq!(recording.count(DROPPED), said);
    });
}

#[test]
fn who_comes_back_is_there_once() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for _ in 0..1000 {
            for input in [connect(1), subscribe(1, "a"), graft(1, "a"), disconnect(1)] {
                engine.worker.p2p_input(input).expect("taken");
            }
        }
        for input in [connect(1), subscribe(1, "a"), graft(1, "a")] {
            engine.worker.p2p_input(input).expect("taken");
        }
        engine.worker.settle().await;
        let held = engine.worker.footprint().await.expect("it runs");
        assert_eq!(
            (held.connections, held.peers_by_connection, held.subscriptions, held.subscribers),
            (1, 1, 1, 1)
        );
        while engine.p2p.try_recv().is_some() {}
        engine.worker.app_input(publish("a", 1)).expect("taken");
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert_eq!(said_to(&outputs, 1, "a"), ["message"]);
        engine.worker.p2p_input(disconnect(1)).expect("taken");
        engine.worker.settle().await;
        let held = engine.worker.footprint().await.expect("it runs");
        assert_eq!(
            (held.connections, held.peers_by_connection, held.subscriptions, held.subscribers),
            (0, 0, 0, 0)
        );
        engine.worker.shutdown().await;
    });
}

#[test]
fn who_comes_back_as_another_kind_is_of_that_kind() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for number in 1..40 {
            // Direct peers are never in a mesh, and get each message all the same.
            let direct = number % 2 == 0;
            let info = if direct { ConnectionInfo::outbound().direct() } else { ConnectionInfo::inbound() };
            let connection = P2pInput::NewConnection { peer: 1, info };
            let greetings = [connection, subscribe(1, "a"), graft(1, "a")];
            for input in greetings.into_iter().take(if direct { 2 } else { 3 }) {
                engine.worker.p2p_input(input).expect("taken");
            }
            // At other times the ends of several connections are on their way.
            if number % 4 < 2 {
                engine.worker.settle().await;
                let view = engine.worker.state().await.expect("it runs");
                assert_eq!(view.mesh["a"].is_empty(), direct, "{number}");
                while engine.p2p.try_recv().is_some() {}
                engine.worker.app_input(publish("a", number)).expect("taken");
                engine.worker.settle().await;
                let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
                assert_eq!(said_to(&outputs, 1, "a"), ["message"], "{number}");
            }
            engine.worker.p2p_input(disconnect(1)).expect("taken");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn lists_are_in_the_order_of_names_whoever_came_first() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for peer in (1..=20).rev() {
            for input in [connect(peer), subscribe(peer, "a"), subscribe(peer, "b")] {
                engine.worker.p2p_input(input).expect("taken");
            }
        }
        engine.worker.settle().await;
        engine.worker.p2p_input(disconnect(7)).expect("taken");
        let present: Vec<_> = (1..=20).filter(|peer| *peer != 7).collect();
        for (joined_only, topics) in [(true, &["a"][..]), (false, &["a", "b"])] {
            let listing = engine.worker.subscribers(Page::all(), joined_only).await.expect("it runs");
            let expected = topics.iter().map(|topic| (topic.to_string(), present.clone()));
            assert_eq!(listing.items, expected.collect::<Vec<_>>());
        }
        engine.worker.shutdown().await;
    });
}

//! These tests check that a message sent through `PeerInputs` has the same effect as one sent through
//! `Worker::p2p_input`, also after a disconnection or a reconnection of the peer.

use actix_gossipsub::{P2pInput, P2pMessage, PeerInputs, Refused, Worker, plain::PlainNetwork};

use crate::support::*;

fn message_of(input: P2pInput<PlainNetwork>) -> P2pMessage<PlainNetwork> {
    match input {
        P2pInput::InMessage { message, .. } => message,
        other => panic!("not a message: {other:?}"),
    }
}

/// Sends the same inputs to two engines, to one with `Worker::p2p_input` and to the other with `PeerInputs`.
async fn compare(inputs: Vec<P2pInput<PlainNetwork>>) {
    let [by_worker, by_handle] = [(); 2].map(|()| start(manual(PlainNetwork::new(), limits()), &["a", "b"]));
    let handles: Vec<PeerInputs<_>> = (0..4).map(|peer| by_handle.worker.peer_inputs(peer)).collect();
    for input in inputs {
        by_worker.worker.p2p_input(input.clone()).expect("the input is accepted");
        match input {
            P2pInput::InMessage { from_peer, message } => handles[from_peer as usize].input(message),
            connection => by_handle.worker.p2p_input(connection),
        }
        .expect("the input is accepted");
        by_worker.worker.settle().await;
        by_handle.worker.settle().await;
    }
    let outputs = [by_worker, by_handle].map(|mut engine| {
        // The order of outputs of different topics is not specified.
        let mut p2p: Vec<_> =
            std::iter::from_fn(|| engine.p2p.try_recv()).map(|output| format!("{output:?}")).collect();
        p2p.sort_unstable();
        let app: Vec<_> = std::iter::from_fn(|| engine.app.try_recv()).collect();
        (p2p, format!("{app:?}"), engine.worker.stats())
    });
    assert_eq!(outputs[0].2.count_recv_valid_app_messages, 19);
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn a_handle_has_the_same_effect_as_the_worker() {
    run(async {
        let mut inputs = Vec::new();
        for peer in 0..4 {
            inputs.extend([connect(peer), subscribe(peer, "a"), subscribe(peer, "b"), graft(peer, "a")]);
        }
        inputs.extend((0..20).map(|number| message(number % 4, "a", number / 2)));
        // The handle outlives the connection for which it was created.
        inputs.extend([disconnect(1), message(1, "a", 100), connect(1), subscribe(1, "b"), graft(1, "b")]);
        inputs.extend((0..8).map(|number| message(number % 4, "b", number)));
        compare(inputs).await;
    });
}

#[test]
fn a_message_after_a_reconnection_counts_for_the_new_connection() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        let handle = engine.worker.peer_inputs(1);
        engine.worker.p2p_input(disconnect(1)).expect("the input is accepted");
        // The peer is disconnected: the subscription has no effect.
        handle.input(message_of(subscribe(1, "a"))).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(topic_count_of_peer_1(&engine.worker).await, None);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        handle.input(message_of(subscribe(1, "a"))).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(topic_count_of_peer_1(&engine.worker).await, Some(1));
        engine.worker.shutdown().await;
        assert_eq!(handle.input(message_of(subscribe(1, "b"))), Err(Refused::Stopped));
    });
}

/// The number of subscriptions of peer 1, if it is connected.
async fn topic_count_of_peer_1(worker: &Worker<PlainNetwork>) -> Option<usize> {
    let state = worker.state().await.expect("the engine runs");
    state.connections.get(&1).map(|connection| connection.topics.len())
}

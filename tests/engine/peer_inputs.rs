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

/// Gives the same inputs to two engines, one by the common door and one by the connection's.
async fn compare(inputs: Vec<P2pInput<PlainNetwork>>) {
    let [common, own] = [(); 2].map(|()| start(manual(PlainNetwork::new(), limits()), &["a", "b"]));
    let doors: Vec<PeerInputs<_>> = (0..4).map(|peer| own.worker.peer_inputs(peer)).collect();
    for input in inputs {
        common.worker.p2p_input(input.clone()).expect("taken");
        match input {
            P2pInput::InMessage { from_peer, message } => doors[from_peer as usize].input(message),
            connection => own.worker.p2p_input(connection),
        }
        .expect("taken");
        common.worker.settle().await;
        own.worker.settle().await;
    }
    let outputs = [common, own].map(|mut engine| {
        // Nothing is said of the order between two topics.
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
fn it_is_the_same_door() {
    run(async {
        let mut inputs = Vec::new();
        for peer in 0..4 {
            inputs.extend([connect(peer), subscribe(peer, "a"), subscribe(peer, "b"), graft(peer, "a")]);
        }
        inputs.extend((0..20).map(|number| message(number % 4, "a", number / 2)));
        // The handle outlives the connection that it was made for.
        inputs.extend([disconnect(1), message(1, "a", 100), connect(1), subscribe(1, "b"), graft(1, "b")]);
        inputs.extend((0..8).map(|number| message(number % 4, "b", number)));
        compare(inputs).await;
    });
}

#[test]
fn what_is_said_under_a_new_connection_is_counted_on_it() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        let door = engine.worker.peer_inputs(1);
        engine.worker.p2p_input(disconnect(1)).expect("taken");
        // Nobody is there: a subscription is no one's.
        door.input(message_of(subscribe(1, "a"))).expect("taken");
        engine.worker.settle().await;
        assert_eq!(topics_of_1(&engine.worker).await, None);
        engine.worker.p2p_input(connect(1)).expect("taken");
        door.input(message_of(subscribe(1, "a"))).expect("taken");
        engine.worker.settle().await;
        assert_eq!(topics_of_1(&engine.worker).await, Some(1));
        engine.worker.shutdown().await;
        assert_eq!(door.input(message_of(subscribe(1, "b"))), Err(Refused::Stopped));
    });
}

/// How many topics peer 1 subscribed to, if it is connected.
async fn topics_of_1(worker: &Worker<PlainNetwork>) -> Option<usize> {
    let state = worker.state().await.expect("it runs");
    state.connections.get(&1).map(|connection| connection.topics.len())
}

//! What is refused, and what is never lost.

use actix_gossipsub::{Refused, Worker, plain::PlainNetwork, protocol::Event};

use crate::support::*;

#[test]
fn too_many_inputs_are_refused_with_the_reason_and_reported_once() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| limits.bounds.max_input_items = 10);
        // On this very thread: nothing is handled while this test does not wait.
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual().observer(observer);
        let mut engine = start(builder, &["a"]);
        engine.worker.settle().await;
        let taken =
            (0..50).filter(|number| engine.worker.p2p_input(message(1, "a", *number)).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(engine.worker.p2p_input(message(1, "a", 99)), Err(Refused::TooManyInputs { waiting: 10 }));
        // Who comes and goes, and what the application wants, is taken all the same.
        engine.worker.p2p_input(connect(2)).expect("taken");
        engine.worker.p2p_input(disconnect(2)).expect("taken");
        engine.worker.app_input(publish("a", 100)).expect("taken");
        engine.worker.app_input(join("b")).expect("taken");
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 10);
        engine.worker.p2p_input(message(1, "a", 101)).expect("there is room again");
        let reported = events.lock().expect("not poisoned").clone();
        assert_eq!(reported, [Event::InputRefused { depth: 10 }]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn an_application_that_does_not_read_closes_the_door_and_loses_nothing() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let mut taken = 0;
        for number in 0..20 {
            taken += usize::from(engine.worker.p2p_input(message(1, "a", number)).is_ok());
            engine.worker.settle().await;
        }
        assert_eq!(taken, 5);
        let refused = engine.worker.p2p_input(message(1, "a", 99));
        assert_eq!(refused, Err(Refused::ApplicationBehind { waiting: 5 }));
        engine.worker.p2p_input(subscribe(1, "a")).expect("only messages are refused");
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 5);
        engine.worker.p2p_input(message(1, "a", 99)).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_that_does_not_read_loses_messages_and_no_control() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 50);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        for peer in 0..4 {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(graft(peer, "a")).expect("taken");
        }
        for number in 0..1000 {
            engine.worker.app_input(publish("a", number)).expect("taken");
            engine.worker.settle().await;
        }
        engine.worker.app_input(leave("a")).expect("taken");
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        for peer in 0..4 {
            let said = said_to(&outputs, peer, "a");
            assert!(said.iter().filter(|word| **word == "message").count() < 50);
            assert_eq!(said.first(), Some(&"subscribe"));
            assert!(said.ends_with(&["prune", "unsubscribe"]), "{said:?}");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_peer_subscribes_to_no_more_topics_than_it_may() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| limits.max_topics_per_peer = 3);
        let engine =
            start(manual(PlainNetwork::new(), limits).observer(observer), &["t0", "t1", "t2", "t3", "t4"]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        for round in 0..20 {
            // Over topics with and without an actor, on two threads.
            engine.worker.p2p_input(subscribe(1, &format!("t{}", round % 10))).expect("taken");
        }
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("it runs");
        assert_eq!(view.connections[&1].topics.len(), 3);
        for topic in &view.connections[&1].topics {
            engine.worker.p2p_input(unsubscribe(1, topic)).expect("taken");
        }
        engine.worker.settle().await;
        for topic in ["t7", "t3", "t9"] {
            engine.worker.p2p_input(subscribe(1, topic)).expect("taken");
        }
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("it runs");
        assert!(view.connections[&1].topics.iter().eq(["t3", "t7", "t9"]));
        let reported = events.lock().expect("not poisoned").clone();
        assert_eq!(reported, [Event::SubscribeTopicCapExceeded { peer: 1, max_topics: 3 }]);
        engine.worker.shutdown().await;
    });
}

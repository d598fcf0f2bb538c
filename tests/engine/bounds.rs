//! These tests check the bounds of the engine's queues: which inputs and outputs are refused or dropped at a bound, and
//! which are always delivered.

use actix_gossipsub::{P2pInput, P2pMessage, Refused, Worker, plain::PlainNetwork, protocol::Event};

use crate::support::*;

#[test]
fn inputs_above_the_limit_are_refused_with_the_reason_and_reported_once() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| limits.bounds.max_input_items = 10);
        // The engine runs on this thread: it handles inputs only while this test awaits.
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual().observer(observer);
        let mut engine = start(builder, &["a"]);
        engine.worker.settle().await;
        let accepted =
            (0..50).filter(|number| engine.worker.p2p_input(message(1, "a", *number)).is_ok()).count();
        assert_eq!(accepted, 10);
        assert_eq!(engine.worker.p2p_input(message(1, "a", 99)), Err(Refused::TooManyInputs { waiting: 10 }));
        // Connections, disconnections and inputs of the application are never refused.
        engine.worker.p2p_input(connect(2)).expect("the input is accepted");
        engine.worker.p2p_input(disconnect(2)).expect("the input is accepted");
        engine.worker.app_input(publish("a", 100)).expect("the input is accepted");
        engine.worker.app_input(join("b")).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 10);
        engine.worker.p2p_input(message(1, "a", 101)).expect("there is room again");
        let reported = events.lock().expect("the lock is not poisoned").clone();
        let refused = Event::InputRefused { depth: 10, reason: "too_many_inputs" };
        assert_eq!(reported, [refused, Event::PublishedToNoPeers { topic: "a".to_owned() }]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn messages_are_refused_while_the_application_does_not_read() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let mut accepted = 0;
        for number in 0..20 {
            accepted += usize::from(engine.worker.p2p_input(message(1, "a", number)).is_ok());
            engine.worker.settle().await;
        }
        assert_eq!(accepted, 5);
        let refused = engine.worker.p2p_input(message(1, "a", 99));
        assert_eq!(refused, Err(Refused::ApplicationBehind { waiting: 5 }));
        engine.worker.p2p_input(subscribe(1, "a")).expect("only messages are refused");
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 5);
        engine.worker.p2p_input(message(1, "a", 99)).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn messages_but_no_control_are_dropped_while_the_transport_does_not_read() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 50);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        for peer in 0..4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        for number in 0..1000 {
            engine.worker.app_input(publish("a", number)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        engine.worker.app_input(leave("a")).expect("the input is accepted");
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        for peer in 0..4 {
            let (messages, control): (Vec<_>, Vec<_>) =
                sent_to(&outputs, peer, "a").into_iter().partition(|kind| *kind == "message");
            assert!(messages.len() < 50);
            assert_eq!(control, ["subscribe", "prune", "unsubscribe"]);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn subscriptions_above_the_limit_of_a_peer_are_ignored() {
    run(async {
        let (events, observer) = recorder();
        let limits = changed(|limits| limits.max_topics_per_peer = 3);
        let engine =
            start(manual(PlainNetwork::new(), limits).observer(observer), &["t0", "t1", "t2", "t3", "t4"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        for round in 0..20 {
            // Some topics have an actor and some have none; the engine has two threads.
            engine
                .worker
                .p2p_input(subscribe(1, &format!("t{}", round % 10)))
                .expect("the input is accepted");
        }
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert_eq!(view.connections[&1].topics.len(), 3);
        for topic in &view.connections[&1].topics {
            engine.worker.p2p_input(unsubscribe(1, topic)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        for topic in ["t7", "t3", "t9"] {
            engine.worker.p2p_input(subscribe(1, topic)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert!(view.connections[&1].topics.iter().eq(["t3", "t7", "t9"]));
        let reported = events.lock().expect("the lock is not poisoned").clone();
        assert_eq!(reported, [Event::SubscribeTopicCapExceeded { peer: 1, max_topics: 3 }]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_flooding_peer_is_refused_while_others_have_room() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_input_items = 100);
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual();
        let mut engine = start(builder, &["a"]);
        for peer in 0..4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let flood = |worker: &Worker<PlainNetwork>, peer: u64, count| {
            let from = peer * 1000;
            (from..from + count)
                .map(|number| worker.p2p_input(message(peer, "a", number)))
                .collect::<Vec<_>>()
        };
        let flooded = flood(&engine.worker, 0, 500);
        // The fair share is a fifth of 100. A peer may exceed it up to half of the limit.
        assert_eq!(flooded.iter().filter(|accepted| accepted.is_ok()).count(), 50);
        assert!(matches!(flooded.last(), Some(Err(Refused::PeerOverShare { waiting: 50, .. }))));
        for peer in 1..=2 {
            assert_eq!(
                flood(&engine.worker, peer, 21).iter().filter(|accepted| accepted.is_ok()).count(),
                21
            );
        }
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 92);
        engine.worker.shutdown().await;
    });
}

#[test]
fn queued_bytes_are_bounded() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_input_bytes = 10_000);
        let engine = start(Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual(), &["a"]);
        drop(engine.app);
        engine.worker.settle().await;
        let large = |number| {
            let message = PlainNetwork::message("a", number, &"x".repeat(4000));
            P2pInput::message(1, P2pMessage::FullMessage(message.into()))
        };
        engine.worker.p2p_input(large(1)).expect("the input is accepted");
        engine.worker.p2p_input(large(2)).expect("the input is accepted");
        assert!(matches!(engine.worker.p2p_input(large(3)), Err(Refused::TooManyBytes { waiting: 8000.. })));
        engine.worker.settle().await;
        engine.worker.p2p_input(large(3)).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_can_wait_for_room() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_input_items = 10);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let mut refused = 0;
        for number in 0..1000 {
            while engine.worker.p2p_input(message(1, "a", number)).is_err() {
                refused += 1;
                engine.worker.p2p_input_ready(&message(1, "a", number)).await;
            }
        }
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 1000);
        assert!(refused > 0, "the test never reached the bound");
        engine.worker.shutdown().await;
        engine.worker.p2p_input_ready(&message(1, "a", 0)).await;
    });
}

/// Whether the task still waits for room after the engine has handled all inputs.
async fn still_waits(ready: &actix_rt::task::JoinHandle<()>, worker: &Worker<PlainNetwork>) -> bool {
    for _ in 0..20 {
        worker.settle().await;
        tokio::task::yield_now().await;
    }
    !ready.is_finished()
}

fn wait_for_room(worker: &Worker<PlainNetwork>) -> actix_rt::task::JoinHandle<()> {
    let worker = worker.clone();
    actix_rt::spawn(async move { worker.p2p_input_ready(&message(1, "a", 0)).await })
}

#[test]
fn a_transport_waits_while_the_application_reads_nothing() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        for number in 0..5 {
            engine.worker.p2p_input_ready(&message(1, "a", number)).await;
            engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        assert!(engine.worker.p2p_input(message(1, "a", 5)).is_err());
        let ready = wait_for_room(&engine.worker);
        assert!(still_waits(&ready, &engine.worker).await, "messages are refused");
        assert!(engine.app.try_recv().is_some());
        assert!(!still_waits(&ready, &engine.worker).await, "the task is woken when an output is read");
        engine.worker.p2p_input(message(1, "a", 5)).expect("there is room again");
        engine.worker.settle().await;
        // An asynchronous read wakes the task too.
        let ready = wait_for_room(&engine.worker);
        assert!(still_waits(&ready, &engine.worker).await);
        assert!(engine.app.recv().await.is_some());
        assert!(!still_waits(&ready, &engine.worker).await, "the task is woken when an output is read");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_waits_while_it_has_too_much_unread_control() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a", "b", "c"]);
        for peer in 1..=3 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        // Three topics are announced to all peers, and all topics to three peers.
        assert_eq!(engine.p2p.len(), 6);
        let refused = engine.worker.p2p_input(subscribe(1, "a"));
        assert_eq!(refused, Err(Refused::TransportBehind { waiting: 6 }));
        let ready = wait_for_room(&engine.worker);
        assert!(still_waits(&ready, &engine.worker).await, "all messages are refused");
        assert!(engine.p2p.recv().await.is_some());
        assert!(!still_waits(&ready, &engine.worker).await, "the task is woken when an output is read");
        engine.worker.p2p_input(subscribe(1, "a")).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_that_waits_for_room_is_woken_at_shutdown() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 1);
        let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        engine.worker.settle().await;
        let ready = wait_for_room(&engine.worker);
        assert!(still_waits(&ready, &engine.worker).await);
        engine.worker.shutdown().await;
        ready.await.expect("the wait ends with the engine");
    });
}

#[test]
fn outputs_are_read_and_dropped_by_lane_priority() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 12);
        let mut engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        // Nine messages are forwarded to peer 2. With three announcements they fill the queue.
        for number in 0..20 {
            while engine.app.try_recv().is_some() {}
            engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        assert_eq!(engine.p2p.len(), 12);
        // Two publications, to both peers, and control messages replace seven of the forwarded messages.
        for number in 100..102 {
            engine.worker.app_input(publish("a", number)).expect("the input is accepted");
        }
        engine.worker.app_input(leave("a")).expect("the input is accepted");
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let control = ["subscribe", "prune", "unsubscribe"];
        assert_eq!(sent_to(&outputs, 1, "a"), [&control[..], &["message"; 2]].concat());
        assert_eq!(sent_to(&outputs, 2, "a"), [&control[..], &["message"; 4]].concat());
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_large_input_waits_until_there_are_enough_bytes() {
    run(async {
        const LARGE: usize = 10_000;
        let limits = changed(|limits| limits.bounds.max_input_bytes = 2 * LARGE);
        let builder = Worker::builder(PlainNetwork::new(), limits).manual().arbiters(0);
        let engine = start(builder, &["a"]);
        // Messages that wait for the application would count too.
        drop(engine.app);
        engine.worker.settle().await;
        let content = "x".repeat(LARGE);
        let large = |number| {
            let full = PlainNetwork::message("a", number, &content);
            P2pInput::message(1, P2pMessage::FullMessage(full.into()))
        };
        engine.worker.p2p_input(large(1)).expect("the input is accepted");
        let mut ready = std::pin::pin!(engine.worker.p2p_input_ready(&large(2)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // The engine runs on this thread: it handles nothing yet.
        assert!(ready.as_mut().poll(&mut context).is_pending(), "there is room for a small input only");
        engine.worker.p2p_input(message(2, "a", 3)).expect("a small input is accepted");
        ready.await;
        engine.worker.p2p_input(large(2)).expect("there was room for this input");
        engine.worker.send_p2p_input(large(4)).await.expect("the engine runs");
        engine.worker.settle().await;
        engine.worker.shutdown().await;
        assert_eq!(engine.worker.send_p2p_input(large(5)).await, Err(Refused::Stopped));
    });
}

//! These tests check how the engine starts, runs on timers and shuts down.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    Clock, EngineStopped, ManualClock, Refused, Worker, WorkerBuilder,
    plain::PlainNetwork,
    protocol::{Footprint, RemainingBackoff},
};

use testkit::wait::until;

use crate::support::*;

/// Publishes on a topic with one mesh peer, receives from it, and shuts the engine down.
async fn exchange_messages(builder: WorkerBuilder<PlainNetwork>) {
    let mut engine = start(builder, &["a"]);
    for input in [connect(1), subscribe(1, "a"), graft(1, "a"), message(1, "a", 1)] {
        engine.worker.p2p_input(input).expect("the input is accepted");
    }
    let delivered = engine.app.recv().await.expect("the message of the peer");
    assert_eq!(delivered.message_id.number, 1);
    engine.worker.app_input(publish("a", 2)).expect("the input is accepted");
    engine.worker.shutdown().await;
    let mut sent = Vec::new();
    while let Some(output) = engine.p2p.recv().await {
        sent.extend(sent_to(&[output], 1, "a"));
    }
    sent.sort();
    assert_eq!(sent, ["message", "prune", "subscribe", "unsubscribe"]);
}

/// Outside an actix system the engine runs one of its own. It has timers there, here for a heartbeat.
#[test]
fn an_engine_runs_under_tokio_without_an_actix_system() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for arbiters in [0, 1, 3] {
        let exchange = exchange_messages(manual(PlainNetwork::new(), limits()).arbiters(arbiters));
        runtime.block_on(runtime.spawn(exchange)).expect("no panic");
    }
    runtime.block_on(async {
        let timed = changed(|limits| limits.heartbeat_interval = Duration::from_millis(1));
        let engine = start(Worker::builder(PlainNetwork::new(), timed), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.p2p_input(subscribe(1, "a")).expect("the input is accepted");
        let grafted = async || engine.worker.mesh_of(&"a".to_owned()).await == Ok(Some(vec![1]));
        let (limit, pause) = (Duration::from_secs(10), Duration::from_millis(1));
        until(limit, pause, async || grafted().await.then_some(()))
            .await
            .expect("a heartbeat grafts the peer");
        engine.worker.shutdown().await;
    });
}

/// The arbiters of one system can run an engine that is started outside of it.
#[test]
fn an_engine_runs_on_the_arbiters_of_another_threads_system() {
    run(async {
        let arbiter = actix::Arbiter::new();
        let handle = arbiter.handle();
        let builder = manual(PlainNetwork::new(), limits()).on_arbiters([handle]);
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(exchange_messages(builder));
        });
        thread.join().expect("no panic");
        arbiter.stop();
    });
}

#[test]
fn shutdown_leaves_all_topics_and_ends_both_streams() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a", "b"]);
        for peer in [1, 2] {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
        }
        engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        // A topic that is left before its SUBSCRIBE was sent to a peer is not announced to that peer at all.
        engine.worker.settle().await;
        engine.worker.shutdown().await;
        let mut outputs = Vec::new();
        while let Some(output) = engine.p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(sent_to(&outputs, 1, "a"), ["subscribe", "prune", "unsubscribe"]);
        assert_eq!(sent_to(&outputs, 2, "a"), ["subscribe", "unsubscribe"]);
        assert_eq!(sent_to(&outputs, 2, "b"), ["subscribe", "unsubscribe"]);
        let delivered = engine.app.recv().await.expect("a message accepted before the shutdown is delivered");
        assert_eq!(delivered.message_id.number, 1);
        assert!(engine.app.recv().await.is_none());
        assert_eq!(engine.worker.wait_for_end().await, Ok(()));
    });
}

#[test]
fn a_shutdown_for_a_restart_sends_nothing_to_the_peers() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for input in [connect(1), subscribe(1, "a"), graft(1, "a")] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        engine.worker.settle().await;
        engine.worker.shutdown_for_restart().await;
        let mut outputs = Vec::new();
        while let Some(output) = engine.p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(sent_to(&outputs, 1, "a"), ["subscribe"]);
        assert!(engine.app.recv().await.is_none());
        assert_eq!(engine.worker.wait_for_end().await, Ok(()));
    });
}

/// The backoffs of a leave go to the next process, which grafts nobody before they end.
#[test]
fn an_engine_takes_over_the_backoffs_of_a_former_one() {
    run(async {
        let interval = limits().heartbeat_interval;
        let clock = Arc::new(ManualClock::default());
        let builder = || manual(PlainNetwork::new(), limits()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let engine = start(builder(), &["a"]);
        for input in [connect(1), subscribe(1, "a"), graft(1, "a")] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let left = engine.worker.shutdown_with_backoffs().await.expect("the engine runs");
        let remaining = limits().unsubscribe_backoff;
        assert_eq!(left, [RemainingBackoff { topic: "a".to_owned(), peer: 1, remaining }]);
        assert_eq!(engine.worker.shutdown_with_backoffs().await, Err(EngineStopped));

        let mut engine = start(builder().initial_backoffs(left.clone()), &["a"]);
        assert_eq!(engine.worker.remaining_backoffs().await, Ok(left));
        for input in [connect(1), subscribe(1, "a")] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        let mut heartbeats = 0;
        while engine.worker.mesh_of(&"a".to_owned()).await == Ok(Some(Vec::new())) {
            assert!(heartbeats < 1_000, "the peer is not grafted");
            clock.advance(interval);
            engine.worker.tick().await;
            heartbeats += 1;
        }
        // The backoff ends at a heartbeat, and the next one grafts.
        assert_eq!(interval * heartbeats, remaining + interval);
        engine.worker.shutdown_for_restart().await;
        let mut outputs = Vec::new();
        while let Some(output) = engine.p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(sent_to(&outputs, 1, "a"), ["subscribe", "graft"]);
    });
}

#[test]
fn a_stopped_engine_refuses_inputs_and_queries() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.shutdown().await;
        engine.worker.shutdown().await;
        assert_eq!(engine.worker.p2p_input(connect(1)), Err(Refused::Stopped));
        assert_eq!(engine.worker.app_input(join("b")), Err(Refused::Stopped));
        assert_eq!(engine.worker.state().await.err(), Some(EngineStopped));
        assert_eq!(engine.worker.footprint().await, Err(EngineStopped));
    });
}

#[test]
fn two_engines_in_one_process_are_independent() {
    run(async {
        let one = start(manual(PlainNetwork::new(), limits()), &["a"]);
        let mut other = start(manual(PlainNetwork::new(), limits()), &["b"]);
        one.worker.p2p_input(connect(1)).expect("the input is accepted");
        one.worker.p2p_input(subscribe(1, "b")).expect("the input is accepted");
        one.worker.settle().await;
        one.worker.shutdown().await;
        assert!(!other.worker.is_subscribed(&"a".to_owned()));
        other.worker.p2p_input(message(1, "b", 1)).expect("the other engine still runs");
        assert_eq!(other.app.recv().await.expect("the other engine still runs").topic, "b");
        let view = other.worker.state().await.expect("the other engine still runs");
        assert!(view.connections.is_empty() && view.mesh.keys().eq(["b"]));
        other.worker.shutdown().await;
    });
}

#[test]
fn heartbeats_follow_the_clock() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().expect("a runtime")
    };
    actix::System::with_tokio_rt(runtime).block_on(async {
        let engine = start(Worker::builder(PlainNetwork::new(), limits()).arbiters(0), &["a"]);
        // Half an interval after the tenth heartbeat.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        engine.worker.settle().await;
        assert_eq!(engine.worker.state().await.expect("the engine runs").heartbeat_ticks, 10);
        engine.worker.shutdown().await;
    });
}

#[test]
fn all_state_expires_after_peers_and_topics_are_gone() {
    run(async {
        let clock = Arc::new(ManualClock::new());
        let builder = manual(PlainNetwork::new(), limits()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let engine = start(builder, &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        for topic in ["a", "b", "c"] {
            engine.worker.p2p_input(subscribe(1, topic)).expect("the input is accepted");
        }
        engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        engine.worker.p2p_input(graft(1, "c")).expect("the input is accepted");
        engine.worker.app_input(publish("b", 1)).expect("the input is accepted");
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        engine.worker.app_input(leave("a")).expect("the input is accepted");
        engine.worker.p2p_input(disconnect(1)).expect("the input is accepted");
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        assert_eq!((footprint.seen, footprint.backoffs, footprint.scores), (2, 2, 1));
        // Longer than the seen window, the backoffs and the retention of scores.
        for _ in 0..200 {
            clock.advance(Duration::from_secs(1));
            engine.worker.tick().await;
        }
        assert_eq!(engine.worker.footprint().await, Ok(Footprint::default()));
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_retired_topic_can_be_joined_again() {
    run(async {
        let limits = changed(|limits| limits.seen_history_length = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &[]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.p2p_input(subscribe(1, "a")).expect("the input is accepted");
        for round in 0..3 {
            engine.worker.app_input(join("a")).expect("the input is accepted");
            engine.worker.p2p_input(message(1, "a", round)).expect("the input is accepted");
            engine.worker.app_input(leave("a")).expect("the input is accepted");
            assert_eq!(
                engine
                    .app
                    .recv()
                    .await
                    .expect("the topic was joined when the message arrived")
                    .message_id
                    .number,
                round
            );
            for _ in 0..8 {
                engine.worker.tick().await;
            }
            let footprint = engine.worker.footprint().await.expect("the engine runs");
            assert_eq!((footprint.seen, footprint.subscriptions), (0, 1));
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_heartbeat_does_not_delay_a_shutdown() {
    run(async {
        for _ in 0..50 {
            let limits = changed(|limits| {
                limits.heartbeat_interval = Duration::from_millis(1);
                limits.bounds.shutdown_deadline = Duration::from_secs(3600);
            });
            let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(2);
            let engine = start(builder, &["a", "b", "c", "d"]);
            for number in 0..500 {
                engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            }
            let shutdown = tokio::time::timeout(Duration::from_secs(60), engine.worker.shutdown());
            shutdown.await.expect("the shutdown ends");
        }
    });
}

//! These tests check how the engine starts, runs on timers and shuts down.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    Clock, EngineStopped, ManualClock, Refused, StartError, Worker, plain::PlainNetwork, protocol::Footprint,
};

use crate::support::*;

#[test]
fn an_engine_needs_a_system() {
    let started = Worker::builder(PlainNetwork::new(), limits()).start([]);
    assert_eq!(started.err(), Some(StartError::NoSystem));
}

#[test]
fn shutdown_says_goodbye_and_ends_both_streams() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a", "b"]);
        for peer in [1, 2] {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(subscribe(peer, "a")).expect("taken");
        }
        engine.worker.p2p_input(graft(1, "a")).expect("taken");
        engine.worker.p2p_input(message(1, "a", 1)).expect("taken");
        // A peer that has not been told of a topic when it is left is not told of it any more.
        engine.worker.settle().await;
        engine.worker.shutdown().await;
        let mut outputs = Vec::new();
        while let Some(output) = engine.p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(said_to(&outputs, 1, "a"), ["subscribe", "prune", "unsubscribe"]);
        assert_eq!(said_to(&outputs, 2, "a"), ["subscribe", "unsubscribe"]);
        assert_eq!(said_to(&outputs, 2, "b"), ["subscribe", "unsubscribe"]);
        let delivered = engine.app.recv().await.expect("accepted before the end");
        assert_eq!(delivered.message_id.number, 1);
        assert!(engine.app.recv().await.is_none());
        assert_eq!(engine.worker.wait_for_end().await, Ok(()));
    });
}

#[test]
fn an_engine_that_ended_refuses_and_answers_so() {
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
fn two_engines_in_one_process_do_not_touch_each_other() {
    run(async {
        let one = start(manual(PlainNetwork::new(), limits()), &["a"]);
        let mut other = start(manual(PlainNetwork::new(), limits()), &["b"]);
        one.worker.p2p_input(connect(1)).expect("taken");
        one.worker.p2p_input(subscribe(1, "b")).expect("taken");
        one.worker.settle().await;
        one.worker.shutdown().await;
        assert!(!other.worker.is_subscribed(&"a".to_owned()));
        other.worker.p2p_input(message(1, "b", 1)).expect("it still runs");
        assert_eq!(other.app.recv().await.expect("it still runs").topic, "b");
        let view = other.worker.state().await.expect("it still runs");
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
        // Between the tenth and the eleventh.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        engine.worker.settle().await;
        assert_eq!(engine.worker.state().await.expect("it runs").heartbeat_ticks, 10);
        engine.worker.shutdown().await;
    });
}

#[test]
fn what_nobody_needs_any_more_is_forgotten() {
    run(async {
        let clock = Arc::new(ManualClock::new());
        let builder = manual(PlainNetwork::new(), limits()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let engine = start(builder, &["a"]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        for topic in ["a", "b", "c"] {
            engine.worker.p2p_input(subscribe(1, topic)).expect("taken");
        }
        engine.worker.p2p_input(graft(1, "a")).expect("taken");
        engine.worker.p2p_input(graft(1, "c")).expect("taken");
        engine.worker.app_input(publish("b", 1)).expect("taken");
        engine.worker.p2p_input(message(1, "a", 1)).expect("taken");
        engine.worker.app_input(leave("a")).expect("taken");
        engine.worker.p2p_input(disconnect(1)).expect("taken");
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("it runs");
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
fn a_topic_that_retired_comes_back() {
    run(async {
        let limits = changed(|limits| limits.seen_history_length = 5);
        let mut engine = start(manual(PlainNetwork::new(), limits), &[]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        engine.worker.p2p_input(subscribe(1, "a")).expect("taken");
        for round in 0..3 {
            engine.worker.app_input(join("a")).expect("taken");
            engine.worker.p2p_input(message(1, "a", round)).expect("taken");
            engine.worker.app_input(leave("a")).expect("taken");
            assert_eq!(engine.app.recv().await.expect("joined at the time").message_id.number, round);
            for _ in 0..8 {
                engine.worker.tick().await;
            }
            let footprint = engine.worker.footprint().await.expect("it runs");
            assert_eq!((footprint.seen, footprint.subscribers), (0, 1));
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_heartbeat_does_not_hold_up_a_shutdown() {
    run(async {
        for _ in 0..50 {
            let limits = changed(|limits| {
                limits.heartbeat_interval = Duration::from_millis(1);
                limits.bounds.shutdown_deadline = Duration::from_secs(3600);
            });
            let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(2);
            let engine = start(builder, &["a", "b", "c", "d"]);
            for number in 0..500 {
                engine.worker.p2p_input(message(1, "a", number)).expect("taken");
            }
            let shutdown = tokio::time::timeout(Duration::from_secs(60), engine.worker.shutdown());
            shutdown.await.expect("nothing is left that nobody handles");
        }
    });
}

//! These tests check every way in which an engine can end: by a shutdown, also a cancelled one, with its actix system, with
//! an arbiter, and when all its handles are dropped. The streams end, inputs are refused, and the memory is freed.

use std::{
    sync::{Arc, Weak, mpsc},
    time::Duration,
};

use actix::{Arbiter, System};
use actix_gossipsub::{EngineError, Refused, Started, Validity, Worker, WorkerBuilder, plain::PlainNetwork};
use testkit::wait::until;

use crate::support::*;

/// A network whose memory is freed together with the engine that owns it.
pub fn observed_network() -> (PlainNetwork, Weak<()>) {
    let owned = Arc::new(());
    let freed = Arc::downgrade(&owned);
    let validator = move |_: &_| {
        let _owned = &owned;
        Validity::Valid
    };
    (PlainNetwork::with_validator(validator), freed)
}

/// An engine with timers. Its heartbeat is short, so that an actor that outlives the engine shows.
pub fn with_timers(network: PlainNetwork) -> WorkerBuilder<PlainNetwork> {
    let limits = changed(|limits| {
        limits.heartbeat_interval = Duration::from_millis(5);
        limits.bounds.shutdown_deadline = Duration::from_secs(3600);
    });
    Worker::builder(network, limits)
}

pub async fn is_freed(memory: Weak<()>) {
    let freed = async || (memory.strong_count() == 0).then_some(());
    let freed = until(Duration::from_secs(10), Duration::from_millis(1), freed).await;
    assert_eq!(freed, Some(()), "an actor or a task still has the engine's state");
}

#[test]
fn the_heartbeat_ends_with_an_engine_on_the_callers_arbiters() {
    let (events, observer) = recorder();
    let observer = Arc::new(observer);
    run(async {
        let arbiter = Arbiter::new();
        for borrowed in [vec![], vec![arbiter.handle()]] {
            let (network, memory) = observed_network();
            let observer = Arc::clone(&observer);
            let builder = with_timers(network).on_arbiters(borrowed);
            let engine = start(builder.observer(move |event| observer(event)), &["a"]);
            engine.worker.shutdown().await;
            events.lock().expect("the lock is not poisoned").clear();
            drop(engine);
            is_freed(memory).await;
            assert_eq!(*events.lock().expect("the lock is not poisoned"), [], "events after the end");
        }
        arbiter.stop();
    });
}

/// A network whose validations never end, so that a shutdown waits for its deadline.
fn never_validated() -> PlainNetwork {
    PlainNetwork::with_async_validator(|_| std::future::pending())
}

#[test]
fn a_cancelled_shutdown_still_ends_the_engine() {
    run(async {
        for arbiters in [0, 2] {
            let limits = changed(|limits| limits.bounds.shutdown_deadline = Duration::from_millis(50));
            let builder = Worker::builder(never_validated(), limits).manual().arbiters(arbiters);
            let mut engine = start(builder, &["a"]);
            engine.worker.p2p_input(message(1, "a", 1)).expect("accepted");
            tokio::select! {
                biased;
                () = engine.worker.shutdown() => panic!("the validation does not end"),
                () = std::future::ready(()) => {}
            }
            let again = async {
                tokio::join!(engine.worker.shutdown(), engine.worker.shutdown());
                while engine.p2p.recv().await.is_some() {}
                assert!(engine.app.recv().await.is_none());
                engine.worker.wait_for_end().await
            };
            let end = tokio::time::timeout(Duration::from_secs(10), again).await;
            assert_eq!(end.expect("a shutdown ends"), Ok(()));
        }
    });
}

#[test]
fn a_cancelled_shutdown_leaves_all_topics_and_frees_the_engine() {
    run(async {
        let (network, memory) = observed_network();
        let mut engine = start(with_timers(network).arbiters(1), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("accepted");
        engine.worker.settle().await;
        tokio::select! {
            biased;
            () = engine.worker.shutdown() => panic!("it is polled once only"),
            () = std::future::ready(()) => {}
        }
        let mut outputs = Vec::new();
        while let Some(output) = engine.p2p.recv().await {
            outputs.push(output);
        }
        assert_eq!(sent_to(&outputs, 1, "a"), ["subscribe", "unsubscribe"]);
        drop(engine);
        is_freed(memory).await;
    });
}

/// Checks that an engine whose arbiters are gone has ended, from a thread without actix.
fn has_ended_with_its_arbiter(mut engine: Started<PlainNetwork>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let ended = async {
        assert_eq!(engine.worker.wait_for_end().await, Err(EngineError::ArbiterStopped));
        assert!(engine.worker.is_ended());
        assert_eq!(engine.worker.p2p_input(connect(1)), Err(Refused::Stopped));
        while engine.p2p.recv().await.is_some() {}
        while engine.app.recv().await.is_some() {}
        engine.worker.settle().await;
        engine.worker.shutdown().await;
    };
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), ended).await });
    ended.expect("nothing waits for actors that are gone");
}

#[test]
fn an_actix_system_that_stops_ends_its_engines() {
    for arbiters in [0, 1, 3] {
        let (started, engine) = mpsc::channel();
        let system = std::thread::spawn(move || {
            let system = System::new();
            system.block_on(async move {
                let engine = start(with_timers(PlainNetwork::new()).arbiters(arbiters), &["a", "b"]);
                engine.worker.settle().await;
                started.send(engine).expect("the test waits");
                System::current().stop();
            });
            system.run().expect("no error");
        });
        let engine = engine.recv().expect("it starts");
        has_ended_with_its_arbiter(engine);
        system.join().expect("no panic");
    }
}

#[test]
fn a_borrowed_arbiter_that_stops_ends_the_engine() {
    run(async {
        for stopped in [0, 1] {
            let arbiters = [Arbiter::new(), Arbiter::new()];
            let builder = with_timers(PlainNetwork::new()).on_arbiters(arbiters.iter().map(Arbiter::handle));
            let engine = start(builder, &["a", "b", "c"]);
            engine.worker.p2p_input(message(1, "a", 1)).expect("accepted");
            arbiters[stopped].stop();
            tokio::task::spawn_blocking(|| has_ended_with_its_arbiter(engine)).await.expect("no panic");
            arbiters.iter().for_each(|arbiter| {
                let _ = arbiter.stop();
            });
        }
    });
}

#[test]
fn an_engine_on_a_stopped_arbiter_ends_at_once() {
    run(async {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.stop();
        arbiter.join().expect("no panic");
        let engine = start(with_timers(PlainNetwork::new()).on_arbiters([handle]), &["a"]);
        tokio::task::spawn_blocking(|| has_ended_with_its_arbiter(engine)).await.expect("no panic");
    });
}

#[test]
fn an_engine_without_handles_and_streams_ends() {
    run(async {
        for arbiters in [0, 2] {
            let (network, memory) = observed_network();
            let engine = start(with_timers(network).arbiters(arbiters), &["a"]);
            let Started { worker, p2p, app } = engine;
            let (clone, inputs) = (worker.clone(), worker.peer_inputs(1));
            drop((worker, p2p, app));
            clone.settle().await;
            drop(clone);
            assert!(memory.strong_count() > 0, "an input of a peer may still come");
            drop(inputs);
            is_freed(memory).await;
        }
    });
}

#[test]
fn a_validation_in_progress_does_not_outlive_the_engine() {
    run(async {
        let owned = Arc::new(());
        let memory = Arc::downgrade(&owned);
        let validator = move |_: &_| {
            let owned = Arc::clone(&owned);
            async move {
                std::future::pending::<()>().await;
                drop(owned);
                Validity::Valid
            }
        };
        let limits = changed(|limits| {
            limits.bounds.validation_timeout = Duration::from_secs(3600);
            limits.bounds.shutdown_deadline = Duration::from_millis(10);
        });
        let builder = Worker::builder(PlainNetwork::with_async_validator(validator), limits).arbiters(0);
        let engine = start(builder, &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("accepted");
        engine.worker.shutdown().await;
        drop(engine);
        is_freed(memory).await;
    });
}

//! This test checks that an engine stops all its threads at shutdown and with its actix system or arbiter, and that the
//! caller's arbiters keep running. It counts the threads of a process that it starts for this purpose.

use std::{env, process::Command, thread, time::Duration};

use actix::{Arbiter, System};
use actix_gossipsub::{
    EngineError, Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker, plain::PlainNetwork,
};
use testkit::wait::until;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// Waits until this process has `expected` threads: the thread that joins the others may end a little later.
async fn wait_for_threads(expected: usize) {
    let (limit, pause) = (Duration::from_secs(10), Duration::from_millis(1));
    until(limit, pause, async || (threads() == expected).then_some(())).await;
    assert_eq!(threads(), expected);
}

fn limits() -> Limits<String> {
    Limits::try_from(LimitsConfig::default()).expect("valid")
}

fn send(engine: &Started<PlainNetwork>, number: u64) {
    let message = PlainNetwork::message(&format!("t{}", number % 50), number, "content");
    let input = P2pInput::message(1, P2pMessage::FullMessage(message.into()));
    engine.worker.p2p_input(input).expect("the input is accepted");
}

fn topics() -> impl Iterator<Item = String> {
    (0..50).map(|number| format!("t{number}"))
}

async fn shutdown_joins_every_thread() {
    let before = threads();
    for _ in 0..3 {
        let builder = Worker::builder(PlainNetwork::new(), limits()).arbiters(4);
        let engine = builder.start(topics()).expect("a system");
        assert!(threads() >= before + 4);
        (0..500).for_each(|number| send(&engine, number));
        engine.worker.shutdown().await;
        wait_for_threads(before).await;
    }
}

async fn an_engine_without_handles_ends_its_threads() {
    let before = threads();
    for _ in 0..3 {
        let builder = Worker::builder(PlainNetwork::new(), limits()).arbiters(4);
        let engine = builder.start(topics()).expect("a system");
        (0..500).for_each(|number| send(&engine, number));
        drop(engine);
        wait_for_threads(before).await;
    }
}

async fn arbiters_of_the_caller_are_used_and_keep_running() {
    let before = threads();
    let arbiters = [Arbiter::new(), Arbiter::new()];
    let builder =
        Worker::builder(PlainNetwork::new(), limits()).on_arbiters(arbiters.iter().map(Arbiter::handle));
    let mut engine = builder.start(topics()).expect("a system");
    assert_eq!(threads(), before + 2);
    engine.worker.p2p_input(P2pInput::connected(1)).expect("the input is accepted");
    for number in 0..100 {
        send(&engine, number);
    }
    for _ in 0..100 {
        assert!(engine.app.recv().await.is_some());
    }
    engine.worker.shutdown().await;
    assert!(engine.app.recv().await.is_none());
    for arbiter in arbiters {
        let (done, runs) = tokio::sync::oneshot::channel();
        arbiter.spawn(async move { done.send(()).expect("the test waits") });
        runs.await.expect("the arbiter still runs");
        arbiter.stop();
        arbiter.join().expect("no panic");
    }
    wait_for_threads(before).await;
}

async fn an_engine_whose_arbiter_stops_leaves_no_thread() {
    let before = threads();
    for stopped in [0, 1] {
        let arbiters = [Arbiter::new(), Arbiter::new()];
        let builder =
            Worker::builder(PlainNetwork::new(), limits()).on_arbiters(arbiters.iter().map(Arbiter::handle));
        let engine = builder.start(topics()).expect("a system");
        (0..100).for_each(|number| send(&engine, number));
        arbiters[stopped].stop();
        assert_eq!(engine.worker.wait_for_end().await, Err(EngineError::ArbiterStopped));
        wait_for_threads(before + 1).await;
        arbiters[1 - stopped].stop();
        wait_for_threads(before).await;
    }
}

/// The engine's own threads end with the system in which it was started, though its handles are still there.
async fn an_engine_whose_system_stops_ends_its_threads() {
    let before = threads();
    for arbiters in [0, 1, 4] {
        let system = thread::spawn(move || {
            let system = System::new();
            let engine = system.block_on(async {
                let builder = Worker::builder(PlainNetwork::new(), limits()).arbiters(arbiters);
                let engine = builder.start(topics()).expect("a system");
                assert!(threads() >= before + 1 + arbiters);
                (0..100).for_each(|number| send(&engine, number));
                System::current().stop();
                engine
            });
            system.run().expect("no error");
            engine
        });
        let engine = system.join().expect("no panic");
        assert_eq!(engine.worker.wait_for_end().await, Err(EngineError::ArbiterStopped));
        wait_for_threads(before).await;
    }
}

/// A swarm has threads of its own, which end when it is dropped inside a runtime, with its connections open.
#[cfg(feature = "libp2p-node")]
async fn a_node_ends_the_threads_of_its_connections() {
    use actix_gossipsub::libp2p::{Keypair, Node, TransportConfig};

    let node = || {
        let transport = TransportConfig::default().with(|c| c.connection_threads = 3);
        let builder = Node::builder(Keypair::generate_ed25519()).transport(transport).topic("t");
        builder.engine(|engine| engine.arbiters(0)).listen("/ip4/127.0.0.1/tcp/0")
    };
    // The timers of libp2p have a thread that stays.
    let expected = threads() + 1;
    for round in 0..3 {
        let (alice, _alice_outputs) = node().start().await.expect("a node");
        let bob = node().dial(alice.addresses()[0].clone());
        let (bob, _bob_outputs) = bob.start().await.expect("a node");
        alice.wait_for_mesh("t", 1).await.expect("it runs");
        assert_eq!(threads(), expected + 6);
        bob.shutdown().await;
        if round < 2 {
            alice.shutdown().await;
        } else {
            // The last handle: the swarm is dropped by its task.
            let worker = alice.worker().clone();
            drop(alice);
            worker.shutdown().await;
        }
        wait_for_threads(expected).await;
    }
}

/// The environment variable of the process that counts. It runs no other test, so all its threads belong to this one.
const COUNTING: &str = "ACTIX_GOSSIPSUB_COUNTS_THREADS";

#[test]
fn threads_are_counted() {
    if env::var_os(COUNTING).is_none() {
        let _alone = crate::lock_process();
        let mut command = Command::new(env::current_exe().expect("a path"));
        command.args(["--exact", "threads::threads_are_counted"]).env(COUNTING, "1");
        let output = command.output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        shutdown_joins_every_thread().await;
        an_engine_without_handles_ends_its_threads().await;
        an_engine_whose_system_stops_ends_its_threads().await;
    });
    System::new().block_on(async {
        shutdown_joins_every_thread().await;
        an_engine_without_handles_ends_its_threads().await;
        arbiters_of_the_caller_are_used_and_keep_running().await;
        an_engine_whose_arbiter_stops_leaves_no_thread().await;
        #[cfg(feature = "libp2p-node")]
        a_node_ends_the_threads_of_its_connections().await;
    });
}

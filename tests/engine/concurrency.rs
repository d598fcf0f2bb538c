//! These tests send inputs from many threads at once and check that the final state is consistent for every
//! interleaving.

use std::thread;

use actix_gossipsub::{P2pInput, P2pMessage, Worker, plain::PlainNetwork, protocol::View};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::support::*;

const PEERS_PER_THREAD: u64 = 4;
const TOPICS: u32 = 6;

/// One transport thread: its peers send random valid inputs.
fn transport(worker: &Worker<PlainNetwork>, thread: u64, inputs: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(thread);
    for _ in 0..inputs {
        let peer = thread * PEERS_PER_THREAD + rng.random_range(0..PEERS_PER_THREAD);
        let topic = format!("t{}", rng.random_range(0..TOPICS));
        let input = match rng.random_range(0..10) {
            0 => connect(peer),
            1 => disconnect(peer),
            2 => unsubscribe(peer, &topic),
            3 | 4 => subscribe(peer, &topic),
            5 | 6 => graft(peer, &topic),
            7 => P2pInput::message(
                peer,
                P2pMessage::Prune { topic, px: vec![], backoff: std::time::Duration::ZERO },
            ),
            _ => message(peer, &topic, rng.random_range(0..1000)),
        };
        // A refused input is sent again, as a transport does.
        while worker.p2p_input(input.clone()).is_err() {
            thread::yield_now();
        }
    }
}

/// The application joins, leaves and publishes at random.
fn application(worker: &Worker<PlainNetwork>, inputs: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    for number in 0..inputs as u64 {
        let topic = format!("t{}", rng.random_range(0..TOPICS));
        let input = match rng.random_range(0..4) {
            0 => join(&topic),
            1 => leave(&topic),
            _ => publish(&topic, 10_000 + number),
        };
        while worker.app_input(input.clone()).is_err() {
            thread::yield_now();
        }
    }
}

fn check(view: &View<PlainNetwork>) {
    for (topic, mesh) in &view.mesh {
        assert!(!view.fanout.contains_key(topic));
        for peer in mesh {
            assert!(view.connections[peer].topics.contains(topic), "{peer} in the mesh of {topic}");
            assert!(view.scores[peer].topics[topic].mesh.is_some(), "{peer} scored in the mesh of {topic}");
        }
    }
    for fanout in view.fanout.values() {
        assert!(fanout.peers.iter().all(|peer| view.connections.contains_key(peer)));
    }
    for (peer, score) in &view.scores {
        assert_eq!(score.expires.is_none(), view.connections.contains_key(peer));
        for (topic, counters) in &score.topics {
            let in_mesh = view.mesh.get(topic).is_some_and(|mesh| mesh.contains(peer));
            assert_eq!(counters.mesh.is_some(), in_mesh, "{peer} on {topic}");
        }
    }
}

#[test]
fn the_state_is_consistent_after_any_interleaving() {
    run(async {
        for round in 0..5 {
            let engine = start(manual(PlainNetwork::new(), limits()).seed(round), &[]);
            let (mut p2p, mut app) = (engine.p2p, engine.app);
            let worker = engine.worker.clone();
            let mut threads: Vec<_> = (0..3)
                .map(|number| {
                    let worker = worker.clone();
                    thread::spawn(move || transport(&worker, number, 2000))
                })
                .collect();
            let app_worker = worker.clone();
            threads.push(thread::spawn(move || application(&app_worker, 1000)));
            while threads.iter().any(|thread| !thread.is_finished()) {
                worker.tick().await;
                while p2p.try_recv().is_some() || app.try_recv().is_some() {}
                tokio::task::yield_now().await;
            }
            for thread in threads {
                thread.join().expect("no panic");
            }
            worker.settle().await;
            check(&worker.state().await.expect("the engine runs"));
            let footprint = worker.footprint().await.expect("the engine runs");
            assert_eq!(footprint.subscriptions, footprint.subscribers);
            worker.settle().await;
            assert_eq!(worker.input_queue_length(), 0);
            let connected = worker.state().await.expect("the engine runs").connections;
            assert_eq!(worker.stats().count_connections as usize, connected.len());
            worker.shutdown().await;
        }
    });
}

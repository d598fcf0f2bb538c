//! These tests send queries under load and over thousands of topics. The engine must keep delivering messages
//! meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use actix_gossipsub::{P2pInput, P2pMessage, Started, plain::PlainNetwork};
use serde_json::Value;

use super::support::{Server, limits, manual, run, until};

const TOPICS: usize = 5_000;

/// Every page of a list.
async fn all(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut query) = (Vec::new(), String::new());
    loop {
        let answer = server.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        items.extend(answer.json().as_array().expect("a list").clone());
        match answer.next() {
            Some(next) => query = next,
            None => return items,
        }
    }
}

#[test]
fn thousands_of_topics_are_listed_under_load() {
    run(async {
        let names: Vec<_> = (0..TOPICS).map(|n| format!("t{n:05}")).collect();
        let limits = limits(|config| config.max_topics_per_peer = TOPICS);
        let Started { worker, mut p2p, mut app } = manual(limits).start(names.iter().cloned()).unwrap();
        let (delivered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let counter = Arc::clone(&delivered);
        actix::spawn(async move { while p2p.recv().await.is_some() {} });
        actix::spawn(async move {
            while app.recv().await.is_some() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        for peer in 0..4 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            // A peer's share of the queue depends on the number of connected peers.
            worker.settle().await;
            for topic in &names {
                let subscribe = P2pMessage::subscribe(topic.clone());
                worker.send_p2p_input(P2pInput::message(peer, subscribe)).await.unwrap();
            }
            worker.settle().await;
        }
        worker.tick().await;
        let (feeding, feeder, topics) = (Arc::clone(&stop), worker.clone(), names.clone());
        let feed = std::thread::spawn(move || {
            let mut taken = 0_u64;
            for number in 0_u64.. {
                if feeding.load(Ordering::Relaxed) {
                    break;
                }
                let topic = &topics[number as usize % TOPICS];
                let message = Arc::new(PlainNetwork::message(topic, number, "content"));
                // A refused message is not sent again.
                taken += u64::from(
                    feeder.p2p_input(P2pInput::message(number % 4, P2pMessage::FullMessage(message))).is_ok(),
                );
                if number % 64 == 0 {
                    std::thread::yield_now();
                }
            }
            taken
        });
        until(|| async { delivered.load(Ordering::Relaxed) > 100 }).await;
        let server = Server::of(&worker);
        for round in 0..3 {
            let before = delivered.load(Ordering::Relaxed);
            let meshes = all(&server, "/p2p/gossipsub/mesh").await;
            assert_eq!(meshes.len(), TOPICS, "round {round}");
            assert!(meshes.iter().zip(&names).all(|(mesh, name)| mesh["topic"] == *name));
            assert!(meshes.iter().all(|mesh| mesh["peers"].as_array().unwrap().len() == 4));
            for path in ["connections", "message_cache", "scores/1", "events", "queues"] {
                server.json(&format!("/p2p/gossipsub/{path}")).await;
            }
            // The engine keeps delivering.
            until(|| async { delivered.load(Ordering::Relaxed) > before }).await;
        }
        stop.store(true, Ordering::Relaxed);
        let taken = feed.join().unwrap();
        worker.settle().await;
        until(|| async { delivered.load(Ordering::Relaxed) == taken }).await;
        assert_eq!(worker.stats().count_recv_valid_app_messages, taken);
        server.end().await;
    });
}

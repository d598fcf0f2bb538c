//! These tests check that each health check changes with the state that it measures.

use actix_gossipsub::{AppInput, P2pInput};
use serde_json::Value;

use super::support::{Server, limits, manual, message, run, start_alone, subscribed, until};

fn check(health: &Value, name: &str) -> String {
    let checks = health["checks"].as_array().unwrap();
    let found =
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {health}"));
    found["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_topic_without_peers_degrades() {
    run(async {
        let small_meshes = limits(|limits| {
            (limits.degree_low, limits.degree_out) = (1, 0);
        });
        let worker = start_alone(manual(small_meshes), &["a", "b"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        subscribed(&worker, 1, "a");
        worker.tick().await;
        let server = Server::of(&worker);
        let answer = server.get("/health").await;
        assert_eq!(answer.status, 200, "a degraded engine works");
        assert_eq!(
            (check(&answer.json(), "topics").as_str(), &answer.json()["status"]),
            ("ko", &"degraded".into())
        );
        subscribed(&worker, 1, "b");
        worker.settle().await;
        worker.tick().await;
        let health = server.json("/health").await;
        assert_eq!((check(&health, "topics").as_str(), &health["status"]), ("ok", &"up".into()));
        worker.p2p_input(P2pInput::Disconnection { peer: 1 }).unwrap();
        worker.settle().await;
        worker.tick().await;
        assert_eq!(check(&server.json("/health").await, "topics"), "ko");
        for topic in ["a", "b"] {
            worker.app_input(AppInput::Leave(topic.to_owned())).unwrap();
        }
        worker.settle().await;
        worker.tick().await;
        assert_eq!(check(&server.json("/health").await, "topics"), "ok");
        server.end().await;
    });
}

#[test]
fn an_unread_stream_degrades() {
    run(async {
        let limits = limits(|config| config.bounds.max_output_items = 4);
        let started = manual(limits).start(["a".to_owned()]).unwrap();
        let (worker, mut app) = (started.worker, started.app);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        let server = Server::of(&worker);
        assert_eq!(check(&server.json("/health").await, "app_stream"), "ok");
        for number in 0..4 {
            message(&worker, 1, "a", number);
            worker.settle().await;
        }
        let health = server.json("/health").await;
        assert_eq!((check(&health, "app_stream"), check(&health, "inputs")), ("ko".into(), "ok".into()));
        let refused = worker.p2p_input(P2pInput::message(
            1,
            actix_gossipsub::P2pMessage::FullMessage(std::sync::Arc::new(
                actix_gossipsub::plain::PlainNetwork::message("a", 9, ""),
            )),
        ));
        assert!(refused.is_err());
        assert_eq!(check(&server.json("/health").await, "inputs"), "ko");
        app.recv().await.unwrap();
        assert_eq!(check(&server.json("/health").await, "app_stream"), "ok");
        server.end().await;
    });
}

#[test]
fn a_mesh_below_d_low_degrades() {
    run(async {
        let worker =
            start_alone(manual(limits(|limits| (limits.degree_low, limits.degree_out) = (2, 1))), &["a"]);
        let server = Server::of(&worker);
        for (peer, status) in [(1, "degraded"), (2, "up")] {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            subscribed(&worker, peer, "a");
            worker.tick().await;
            let health = server.json("/health").await;
            assert_eq!(health["status"], status, "a mesh of {peer}, D_low 2: {health}");
        }
        server.end().await;
    });
}

#[test]
fn an_ended_engine_is_down() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &[]);
        let server = Server::of(&worker);
        assert_eq!(server.json("/health").await["status"], "up");
        assert_eq!(server.json("/ready").await["ready"], true);
        worker.shutdown().await;
        let answer = server.get("/health").await;
        assert_eq!(answer.status, 503);
        assert_eq!(
            (check(&answer.json(), "engine").as_str(), &answer.json()["status"]),
            ("down", &"down".into())
        );
        let answer = server.get("/ready").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["ready"]), (503, &false.into()));
        server.end().await;
    });
}

/// A clock that jumps ahead looks like missing heartbeats.
#[test]
fn a_missing_heartbeat_is_reported() {
    use actix_gossipsub::{ManualClock, Worker, plain::PlainNetwork};
    use std::{sync::Arc, time::Duration};
    run(async {
        let clock = Arc::new(ManualClock::new());
        let limits = limits(|config| config.heartbeat_interval = Duration::from_secs(3600));
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(1).clock(clock.clone());
        let worker = start_alone(builder, &[]);
        let server = Server::of(&worker);
        assert_eq!(check(&server.json("/health").await, "heartbeat"), "ok");
        clock.advance(Duration::from_secs(3600 * 4));
        assert_eq!(check(&server.json("/health").await, "heartbeat"), "ko");
        // It works, and gets no work until its heartbeat is on time.
        let answer = server.get("/ready").await;
        assert_eq!((answer.status.as_u16(), check(&answer.json(), "heartbeat")), (503, "ko".into()));
        clock.advance(Duration::from_secs(3600 * 40));
        let answer = server.get("/health").await;
        assert_eq!((answer.status.as_u16(), check(&answer.json(), "heartbeat")), (503, "down".into()));
        server.end().await;
    });
}

#[test]
fn real_heartbeats_are_seen() {
    use std::time::Duration;
    run(async {
        let limits = limits(|config| config.heartbeat_interval = Duration::from_millis(10));
        let builder = actix_gossipsub::Worker::builder(actix_gossipsub::plain::PlainNetwork::new(), limits);
        let worker = start_alone(builder.arbiters(1), &[]);
        until(|| async { worker.last_heartbeat().tick > 2 }).await;
        let server = Server::of(&worker);
        assert_eq!(check(&server.json("/health").await, "heartbeat"), "ok");
        worker.shutdown().await;
        server.end().await;
    });
}

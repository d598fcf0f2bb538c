//! These tests check that each endpoint of the admin scope takes effect and is absent from the read-only scope.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use actix_gossipsub::{
    P2pInput,
    http::{self, Transport, TransportFuture},
    plain::PlainNetwork,
};
use actix_web::web;
use serde_json::json;

use super::support::{Engine, Server, guard, limits, manual, run, start_alone};

/// A transport that connects at once. It never answers about 99.
#[derive(Clone)]
pub struct TestTransport {
    pub worker: Engine,
    requests: Arc<Mutex<Vec<String>>>,
    pub banned: Arc<Mutex<BTreeSet<u64>>>,
}

impl TestTransport {
    pub fn new(worker: &Engine) -> Self {
        Self { worker: worker.clone(), requests: Arc::default(), banned: Arc::default() }
    }
}

/// The peer and point about which the transport does not answer.
const SILENT: u64 = 99;

impl Transport<PlainNetwork> for TestTransport {
    fn connect(&self, point: u64) -> TransportFuture {
        if point == SILENT {
            return Box::pin(std::future::pending());
        }
        self.requests.lock().unwrap().push(format!("connect {point}"));
        let outcome = if point == 0 { Err("there is no point 0".to_owned()) } else { Ok(()) };
        if outcome.is_ok() {
            self.worker.p2p_input(P2pInput::connected(point)).unwrap();
        }
        Box::pin(std::future::ready(outcome))
    }

    fn disconnect(&self, peer: u64) -> TransportFuture {
        if peer == SILENT {
            return Box::pin(std::future::pending());
        }
        self.requests.lock().unwrap().push(format!("disconnect {peer}"));
        self.worker.p2p_input(P2pInput::Disconnection { peer }).unwrap();
        Box::pin(std::future::ready(Ok(())))
    }

    fn ban(&self, peer: u64) -> TransportFuture {
        if peer == SILENT {
            return Box::pin(std::future::pending());
        }
        self.requests.lock().unwrap().push(format!("ban {peer}"));
        self.banned.lock().unwrap().insert(peer);
        self.worker.p2p_input(P2pInput::Disconnection { peer }).unwrap();
        Box::pin(std::future::ready(Ok(())))
    }

    fn unban(&self, peer: u64) -> TransportFuture<bool> {
        if peer == SILENT {
            return Box::pin(std::future::pending());
        }
        let banned = self.banned.lock().unwrap().remove(&peer);
        Box::pin(std::future::ready(Ok(banned)))
    }
}

#[test]
fn each_endpoint_takes_effect() {
    run(async {
        let worker = start_alone(manual(limits(|config| config.score.app_specific_weight = 2.0)), &["a"]);
        let transport = TestTransport::new(&worker);
        let (requests, banned) = (Arc::clone(&transport.requests), Arc::clone(&transport.banned));
        let server = Server::serving(move || {
            let admin = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            web::scope("").service(admin).service(http::scope_without_metrics(transport.worker.clone()))
        });
        let send = async |method: &str, path: &str, body| {
            server.send(method, &format!("/admin/p2p/{path}"), body).await.status.as_u16()
        };
        assert_eq!(send("POST", "connect", Some(json!({ "point": 7 }))).await, 200);
        assert_eq!(send("POST", "connect", Some(json!({ "point": 0 }))).await, 409);
        assert_eq!(send("POST", "connect", Some(json!({ "point": "x" }))).await, 400);
        assert_eq!(send("POST", "connect", Some(json!({}))).await, 400);
        worker.settle().await;
        let score = async || server.json("/p2p/gossipsub/scores/7").await["score"].as_f64().unwrap();
        assert_eq!(send("PATCH", "peers/by-id/7", Some(json!({ "acl": "trust" }))).await, 200);
        worker.settle().await;
        assert!(score().await > 0.0);
        assert_eq!(send("PATCH", "peers/by-id/7", Some(json!({ "acl": "open" }))).await, 200);
        worker.settle().await;
        assert_eq!(score().await, 0.0);
        assert_eq!(send("PATCH", "peers/by-id/7", Some(json!({ "acl": "ban" }))).await, 200);
        worker.settle().await;
        assert_eq!(score().await, -1e12, "the score is retained");
        assert_eq!(server.json("/p2p/gossipsub/connections").await, json!([]));
        assert_eq!(send("PATCH", "peers/by-id/8", Some(json!({ "acl": "ban" }))).await, 404);
        assert_eq!(send("PATCH", "peers/by-id/8", Some(json!({ "acl": "open" }))).await, 404);
        // A ban can be lifted when no score is retained any more.
        banned.lock().unwrap().insert(9);
        assert_eq!(send("PATCH", "peers/by-id/9", Some(json!({ "acl": "open" }))).await, 200);
        assert_eq!(*banned.lock().unwrap(), BTreeSet::from([7]));
        assert_eq!(send("PATCH", "peers/by-id/7", Some(json!({ "acl": "like" }))).await, 400);
        assert_eq!(send("DELETE", "peers/disconnect/7", None).await, 404);
        assert_eq!(*requests.lock().unwrap(), ["connect 7", "connect 0", "ban 7"]);

        assert_eq!(send("POST", "gossipsub/topics", Some(json!({ "topic": "b" }))).await, 200);
        assert_eq!(server.json("/p2p/gossipsub/topics").await, json!(["a", "b"]));
        assert_eq!(send("DELETE", "gossipsub/topics/a", None).await, 200);
        assert_eq!(server.json("/p2p/gossipsub/topics").await, json!(["b"]));
        assert_eq!(send("DELETE", "gossipsub/topics/a", None).await, 404);
        assert_eq!(send("GET", "gossipsub/topics", None).await, 405);
        assert_eq!(send("GET", "gossipsub", None).await, 404);
        server.end().await;
    });
}

#[test]
fn a_ban_without_weight_is_refused() {
    run(async {
        let worker = start_alone(manual(limits(|config| config.score.app_specific_weight = 0.0)), &["a"]);
        let transport = TestTransport::new(&worker);
        let server =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        worker.p2p_input(P2pInput::connected(7)).unwrap();
        worker.settle().await;
        let answer = server.send("PATCH", "/admin/p2p/peers/by-id/7", Some(json!({ "acl": "ban" }))).await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        server.end().await;
    });
}

#[test]
fn the_read_only_scope_serves_no_admin_endpoint() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let server = Server::of(&worker);
        for (method, path) in [
            ("POST", "/admin/p2p/connect"),
            ("POST", "/p2p/connect"),
            ("DELETE", "/p2p/peers/disconnect/1"),
            ("PATCH", "/p2p/peers/by-id/1"),
            ("DELETE", "/p2p/gossipsub/topics/a"),
        ] {
            let answer = server.send(method, path, Some(json!({}))).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
        let answer = server.send("POST", "/p2p/gossipsub/topics", Some(json!({ "topic": "b" }))).await;
        assert_eq!(answer.status, 405);
        assert!(!worker.is_subscribed(&"b".to_owned()));
        server.end().await;
    });
}

#[test]
fn settings_of_a_running_engine_are_changed() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a/b"]);
        let transport = TestTransport::new(&worker);
        let server =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        let send = async |method: &str, path: &str, body| {
            server.send(method, &format!("/admin/p2p/{path}"), body).await
        };
        worker.p2p_input(P2pInput::connected(7)).unwrap();
        assert_eq!(send("PUT", "peers/direct/7", Some(json!({ "direct": true }))).await.status, 200);
        worker.settle().await;
        assert!(worker.connection_of(&7).await.unwrap().unwrap().direct);
        assert_eq!(send("GET", "peers/direct", None).await.json(), json!([7]));
        assert_eq!(send("PUT", "peers/direct/7", Some(json!({ "direct": false }))).await.status, 200);
        worker.settle().await;
        assert!(!worker.connection_of(&7).await.unwrap().unwrap().direct);
        assert_eq!(send("GET", "peers/direct", None).await.json(), json!([]));

        for (body, status) in
            [(json!({ "seconds": 60 }), 200), (json!({ "seconds": 0 }), 200), (json!({}), 400)]
        {
            assert_eq!(send("PUT", "peers/blocked/7", Some(body)).await.status, status);
        }

        let path = "gossipsub/topics/a%2Fb/score";
        let score = json!({ "weight": 0.5, "parameters": { "time_in_mesh_weight": 3.0 } });
        let answer = send("PUT", path, Some(score.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let (parameters, weight) = worker.topic_score(&"a/b".to_owned());
        assert_eq!((parameters.time_in_mesh_weight, weight), (3.0, 0.5));
        let answer = send("PUT", path, Some(json!({ "weight": -1.0, "parameters": {} }))).await;
        assert_eq!(answer.status, 409);
        let violation = "score.topics.weights.\"a/b\" = -1.0: must be a finite number, at least 0";
        assert!(answer.json()["message"].as_str().unwrap().contains(violation), "{}", answer.text);
        assert_eq!(worker.topic_score(&"a/b".to_owned()).1, 0.5);

        worker.shutdown().await;
        assert_eq!(send("PUT", "peers/direct/7", Some(json!({ "direct": true }))).await.status, 503);
        assert_eq!(send("PUT", path, Some(score)).await.status, 503);
        server.end().await;
    });
}

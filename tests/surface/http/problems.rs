//! These tests check that each error response has its status and its JSON body.

use actix_gossipsub::{P2pInput, http};
use serde_json::json;

use super::{
    admin::TestTransport,
    support::{Server, TOKEN, guard, limits, manual, run, start_alone},
};

#[test]
fn errors_have_a_status_and_a_message() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        worker.settle().await;
        let server = Server::of(&worker);
        let cases = [
            ("/p2p/gossipsub/scores/2", 404, "not_found"),
            ("/p2p/gossipsub/scores/x", 400, "bad_request"),
            ("/p2p/gossipsub/scores/-1", 400, "bad_request"),
            ("/p2p/gossipsub/explain/2", 404, "not_found"),
            ("/p2p/gossipsub/explain/1?topic=unknown", 404, "not_found"),
            ("/p2p/gossipsub/mesh?topic=unknown", 404, "not_found"),
            ("/p2p/gossipsub/mesh?limit=0", 400, "bad_request"),
            ("/p2p/gossipsub/mesh?limit=10001", 400, "bad_request"),
            ("/p2p/gossipsub/mesh?limit=-1", 400, "bad_request"),
            ("/p2p/gossipsub/mesh?limit=many", 400, "bad_request"),
            ("/p2p/gossipsub/mesh?limt=1", 400, "bad_request"),
            ("/p2p/gossipsub/mesh?all", 400, "bad_request"),
            ("/p2p/gossipsub/topics/peers?all=perhaps", 400, "bad_request"),
            ("/p2p/gossipsub/connections?after=x", 400, "bad_request"),
            ("/p2p/gossipsub/events?since=x", 400, "bad_request"),
            ("/p2p/gossipsub/events?limit=0", 400, "bad_request"),
            ("/p2p/gossipsub", 404, "not_found"),
            ("/nothing", 404, "not_found"),
        ];
        for (path, status, error) in cases {
            let answer = server.get(path).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
            let problem = answer.json();
            assert_eq!(problem["error"], error, "{path}");
            assert!(
                problem["message"].as_str().is_some_and(|message| message.len() > 10),
                "{path}: {problem}"
            );
            assert_eq!(problem.as_object().unwrap().len(), 2);
        }
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            for path in ["/health", "/p2p/gossipsub/mesh", "/p2p/connect"] {
                let answer = server.send(method, path, Some(json!({}))).await;
                let expected = if path == "/p2p/connect" { 404 } else { 405 };
                assert_eq!(answer.status.as_u16(), expected, "{method} {path}");
            }
        }
        server.end().await;
    });
}

#[test]
fn hostile_identifiers_stay_identifiers() {
    run(async {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}\u{0}/../%2e%2e";
        let worker = start_alone(manual(limits(|_| {})), &[hostile]);
        worker.settle().await;
        let server = Server::of(&worker);
        assert_eq!(server.json("/p2p/gossipsub/topics").await, json!([hostile]));
        let encoded: String = hostile.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mesh = server.json(&format!("/p2p/gossipsub/mesh?topic={encoded}")).await;
        assert_eq!(mesh, json!([{ "topic": hostile, "peers": [] }]));
        for path in
            [encoded.as_str(), "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "{}", "null", &"9".repeat(4_000)]
        {
            let answer = server.get(&format!("/p2p/gossipsub/scores/{path}")).await;
            assert!([400, 404].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
            assert!(answer.json()["error"].is_string());
        }
        server.end().await;
    });
}

#[test]
fn an_application_serves_metrics_and_identity_only_if_it_has_them() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let with = Server::of(&worker);
        let answer = with.get("/metrics").await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "# nothing\n"));
        assert!(answer.kind.starts_with("text/plain; version=0.0.4"), "{}", answer.kind);
        let served = worker.clone();
        let without = Server::serving(move || http::scope_without_metrics(served.clone()));
        assert_eq!(without.get("/metrics").await.status, 404);
        assert_eq!(with.json("/p2p/identity").await["peer_id"], "1");
        assert_eq!(without.json("/p2p/identity").await, json!({ "peer_id": null, "addresses": [] }));
        let nothing = json!({ "address": null, "agent": null, "protocol": null, "blocked_until": null });
        assert_eq!(without.json("/p2p/peers/5").await, nothing);
        assert_eq!(with.json("/p2p/peers/5").await["address"], "/dns4/5.example/tcp/4001");
        let answer = with.get("/p2p/peers/99").await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].clone()), (503, json!("transport")));
        assert_eq!(without.get("/p2p/peers/x").await.status, 400);
        // Mounted below a path prefix of the application.
        let served = worker.clone();
        let below = Server::serving(move || {
            actix_web::web::scope("/x").service(http::scope_without_metrics(served.clone()))
        });
        assert_eq!(below.json("/x/p2p/gossipsub/topics").await, json!(["a"]));
        for server in [with, without, below] {
            server.end().await;
        }
    });
}

#[test]
fn a_stopped_engine_responds_with_503() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let server = Server::of(&worker);
        worker.shutdown().await;
        for path in
            ["topics", "mesh", "scores", "scores/1", "connections", "stats", "queues", "footprint", "events"]
        {
            let answer = server.get(&format!("/p2p/gossipsub/{path}")).await;
            assert_eq!(answer.status.as_u16(), 503, "{path}");
            assert_eq!(answer.json()["error"], "stopped");
        }
        server.end().await;
    });
}

/// A request does not wait longer than two seconds for a supervisor that the application blocks.
#[test]
fn a_blocked_engine_responds_with_503() {
    use std::sync::mpsc;
    run(async {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = std::sync::Mutex::new(blocked);
        let builder = manual(limits(|_| {})).observer(move |event| {
            if matches!(event, actix_gossipsub::protocol::Event::SlowPeer { .. }) {
                // Returns when the test drops the sender, or fails.
                let _ = blocked.lock().unwrap().recv();
            }
        });
        let worker = start_alone(builder, &["a"]);
        worker.settle().await;
        worker.report_slow_peer(&1);
        let server = Server::of(&worker);
        for path in ["/p2p/gossipsub/mesh", "/health"] {
            let answer = server.get(path).await;
            assert_eq!(answer.status.as_u16(), 503, "{path}");
            assert!(answer.text.contains("did not answer"), "{}", answer.text);
        }
        drop(release);
        worker.settle().await;
        assert_eq!(server.get("/p2p/gossipsub/mesh").await.status, 200);
        server.end().await;
    });
}

/// An error of a value names field, value and rule, in words that are not those of the parser.
#[test]
fn errors_of_values_name_field_value_and_rule() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let transport = TestTransport::new(&worker);
        let server = Server::serving(move || {
            let admin = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            actix_web::web::scope("")
                .service(admin)
                .service(http::scope_without_metrics(transport.worker.clone()))
        });
        let whole = "must be a whole number from 0 to 18446744073709551615";
        let form = "must be in the form in which this API writes it";
        let queries = [
            ("mesh?limit=0", "limit = 0: must be from 1 to 10000".to_owned()),
            ("mesh?limit=many", format!("limit = \"many\": {whole}")),
            ("mesh?limit=", format!("limit = \"\": {whole}")),
            ("mesh?limit=%2B1", format!("limit = \"+1\": {whole}")),
            ("mesh?limit=1&limit=2", "limit: is given more than once".to_owned()),
            ("mesh?limt=1", "limt: is not known; known are `limit`, `after`, `topic`".to_owned()),
            ("topics/peers?all=perhaps", "all = \"perhaps\": must be true, false or empty".to_owned()),
            ("connections?topics=", "topics = \"\": must be true or false".to_owned()),
            ("connections?after=x", format!("peer = \"x\": {form}")),
            ("scores/x", format!("peer = \"x\": {form}")),
            ("events?since=-1", format!("since = \"-1\": {whole}")),
        ];
        for (path, message) in queries {
            let answer = server.get(&format!("/p2p/gossipsub/{path}")).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (400, &json!(message)), "{path}");
        }
        for path in
            ["topics/peers?all", "topics/peers?all=", "topics/peers?all=true", "topics/peers?all=false"]
        {
            assert_eq!(server.get(&format!("/p2p/gossipsub/{path}")).await.status, 200, "{path}");
        }
        let bodies = [
            ("POST", "connect", "{}", "point: is missing".to_owned()),
            ("POST", "connect", "[1]", "[1]: must be an object".to_owned()),
            ("POST", "connect", "{\"point\":\"\"}", "point = \"\": must not be empty".to_owned()),
            ("POST", "connect", "{\"point\":\"x\"}", format!("point = \"x\": {form}")),
            (
                "POST",
                "connect",
                "{\"point\":",
                "the body must be JSON, which it is not at line 1, column 9".to_owned(),
            ),
            ("POST", "gossipsub/topics", "{\"topic\":\"\"}", "topic = \"\": must not be empty".to_owned()),
            ("POST", "gossipsub/topics", "{\"topic\":1}", format!("topic = 1: {form}")),
            (
                "PATCH",
                "peers/by-id/1",
                "{\"acl\":\"like\"}",
                "acl = \"like\": must be one of `ban`, `trust`, `open`".to_owned(),
            ),
            (
                "PATCH",
                "peers/by-id/1",
                "{\"acl\":1}",
                "acl = 1: must be one of `ban`, `trust`, `open`".to_owned(),
            ),
            ("PUT", "peers/blocked/1", "{\"seconds\":-1}", format!("seconds = -1: {whole}")),
            ("PUT", "peers/direct/1", "{\"direct\":1}", "direct = 1: must be true or false".to_owned()),
            (
                "PUT",
                "gossipsub/topics/a/score",
                "{\"weight\":1,\"parameters\":{\"time_in_mesh_cap\":\"x\"}}",
                "parameters.time_in_mesh_cap = \"x\": must be a number".to_owned(),
            ),
            (
                "PUT",
                "gossipsub/topics/a/score",
                "{\"weight\":1,\"parameters\":{\"time_in_mesh_quantum\":1}}",
                "parameters.time_in_mesh_quantum = 1: must be a duration".to_owned(),
            ),
        ];
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        for (method, path, body, message) in bodies {
            let path = format!("/admin/p2p/{path}");
            let answer = server.send_bytes(method, &path, &headers, body.into()).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["message"]),
                (400, &json!(message)),
                "{path} {body}"
            );
        }
        // An integer of JSON Schema.
        let path = "/admin/p2p/peers/blocked/1";
        assert_eq!(server.send_bytes("PUT", path, &headers, b"{\"seconds\":7.0}".to_vec()).await.status, 200);
        let path = "/admin/p2p/connect";
        let answer = server.send_bytes("POST", path, &headers[1..], b"{\"point\":1}".to_vec()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (415, &json!("unsupported_media_type"))
        );
        let answer = server.send_bytes("POST", path, &headers, vec![b' '; 20_000]).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (413, &json!("too_large")));
        server.end().await;
    });
}

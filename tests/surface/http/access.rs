//! These tests check who gets answers: host names, pages of other origins, and the token of the admin scope.

use actix_gossipsub::http::{self, AdminGuard, Hosts};
use actix_web::{dev::RequestHead, web};
use serde_json::json;

use super::{
    admin::TestTransport,
    support::{Engine, Server, TOKEN, guard, limits, manual, run, start_alone},
};

fn both_scopes(worker: &Engine, hosts: Option<Hosts>, guard: AdminGuard) -> Server {
    let transport = TestTransport::new(worker);
    Server::serving(move || {
        let admin = http::admin_scope(transport.worker.clone(), transport.clone(), guard.clone());
        let scope = http::scope_without_metrics(transport.worker.clone());
        let (admin, scope) = match hosts.clone() {
            Some(hosts) => (http::answer_to(admin, hosts.clone()), http::answer_to(scope, hosts)),
            None => (admin, scope),
        };
        web::scope("").service(admin).service(scope)
    })
}

async fn status(server: &Server, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = server.send_bytes("GET", path, headers, Vec::new()).await;
    let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), error)
}

#[test]
fn both_scopes_refuse_foreign_hosts_and_origins_by_default() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let server = both_scopes(&worker, None, guard());
        let address = server.address.to_string();
        let (own, other) = (format!("http://{address}"), "http://example.org".to_owned());
        let token = format!("Bearer {TOKEN}");
        let token = ("authorization", token.as_str());
        for path in ["/p2p/gossipsub/topics", "/admin/p2p/peers/direct", "/nothing", "/admin/nothing"] {
            let found = if path.ends_with("nothing") { (404, "not_found") } else { (200, "") };
            let found = (found.0, found.1.to_owned());
            assert_eq!(status(&server, path, &[token]).await, found, "{path}");
            assert_eq!(status(&server, path, &[token, ("host", "localhost:1")]).await, found);
            assert_eq!(status(&server, path, &[token, ("origin", &own)]).await, found);
            let refused = (421, "unknown_host".to_owned());
            assert_eq!(status(&server, path, &[token, ("host", "example.org")]).await, refused);
            let foreign = (403, "foreign_origin".to_owned());
            assert_eq!(status(&server, path, &[token, ("origin", &other)]).await, foreign);
            assert_eq!(status(&server, path, &[token, ("origin", "null")]).await, foreign);
            // A page whose own name resolves to this server.
            let rebound = [token, ("host", "example.org"), ("origin", "http://example.org")];
            assert_eq!(status(&server, path, &rebound).await, refused);
        }
        server.end().await;

        let named = both_scopes(&worker, Some(Hosts::named(["example.org"])), guard());
        for path in ["/p2p/gossipsub/topics", "/admin/p2p/peers/direct"] {
            let headers = [token, ("host", "example.org:80"), ("origin", "http://example.org:80")];
            assert_eq!(status(&named, path, &headers).await.0, 200);
            assert_eq!(status(&named, path, &[token, ("host", "other.example.org")]).await.0, 421);
        }
        named.end().await;
    });
}

#[test]
fn the_admin_scope_needs_the_token() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let server = both_scopes(&worker, None, guard());
        let body = json!({ "topic": "b" }).to_string().into_bytes();
        let mut wrong = TOKEN.to_owned();
        wrong.replace_range(31.., "0");
        let refused = [
            None,
            Some(String::new()),
            Some(TOKEN.to_owned()),
            Some(format!("Basic {TOKEN}")),
            Some("Bearer".to_owned()),
            Some(format!("Bearer {wrong}")),
            Some(format!("Bearer {TOKEN}0")),
            Some(format!("Bearer {}", &TOKEN[1..])),
        ];
        for authorization in &refused {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
            for (method, path) in [
                ("POST", "/admin/p2p/gossipsub/topics"),
                ("GET", "/admin/p2p/gossipsub/stream"),
                ("GET", "/admin/openapi.json"),
                ("OPTIONS", "/admin/p2p/connect"),
                ("GET", "/admin/nothing"),
            ] {
                let answer = server.send_bytes(method, path, &headers, body.clone()).await;
                assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"gossipsub\"");
                assert_eq!(answer.json()["error"], "unauthorized");
            }
        }
        assert!(!worker.is_subscribed(&"b".to_owned()));
        for scheme in ["Bearer", "bearer"] {
            let authorization = format!("{scheme} {TOKEN}");
            let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
            let path = "/admin/p2p/gossipsub/topics";
            assert_eq!(server.send_bytes("POST", path, &headers, body.clone()).await.status, 200);
        }
        assert!(worker.is_subscribed(&"b".to_owned()));
        // The read-only scope needs none.
        assert_eq!(server.get("/p2p/gossipsub/topics").await.status, 200);
        server.end().await;
    });
}

#[test]
fn an_application_may_bring_its_own_guard() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let permits = |head: &RequestHead| head.headers().contains_key("x-operator");
        let server = both_scopes(&worker, None, AdminGuard::custom(permits));
        assert_eq!(status(&server, "/admin/p2p/peers/direct", &[]).await.0, 401);
        assert_eq!(status(&server, "/admin/p2p/peers/direct", &[("x-operator", "1")]).await.0, 200);
        server.end().await;
    });
}

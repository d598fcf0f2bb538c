//! These tests check the methods of each path: HEAD answers as GET without a body, OPTIONS and 405 name the methods.

use serde_json::Value;

use super::{
    admin::TestTransport,
    messages::Texts,
    support::{Server, guard, limits, manual, network, run, start_alone},
};
use actix_gossipsub::{
    P2pInput,
    http::{self, Messages},
    plain::PlainNetwork,
};

/// Each path of a document with its methods, with a peer and a topic in place of their names.
fn paths(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let methods =
        |item: &Value| item.as_object().expect("methods").keys().map(|name| name.to_uppercase()).collect();
    paths.map(|(path, item)| (path.replace("{peer}", "2").replace("{topic}", "a"), methods(item))).collect()
}

fn sorted(list: &str) -> Vec<String> {
    let mut methods: Vec<_> = list.split(", ").map(str::to_owned).collect();
    methods.sort();
    methods
}

async fn check(server: &Server, document: &Value) {
    for (path, mut methods) in paths(document) {
        methods.push("OPTIONS".to_owned());
        methods.sort();
        let options = server.send("OPTIONS", &path, None).await;
        assert_eq!((options.status.as_u16(), options.text.as_str()), (204, ""), "{path}");
        assert_eq!(sorted(options.header("allow")), methods, "{path}");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"] {
            if methods.iter().any(|one| one == method) {
                continue;
            }
            let answer = server.send(method, &path, None).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(sorted(answer.header("allow")), methods, "{method} {path}");
            assert_eq!(answer.json()["error"], "method_not_allowed");
        }
    }
}

#[test]
fn every_path_names_its_methods() {
    run(async {
        let workers = network(2, &["a"], &limits(|_| {})).await;
        let server = Server::of(&workers[0]);
        check(&server, &http::document::<PlainNetwork>()).await;
        server.end().await;

        let transport = TestTransport::new(&workers[0]);
        let admin =
            Server::serving(move || http::admin_scope(transport.worker.clone(), transport.clone(), guard()));
        check(&admin, &http::admin_document::<PlainNetwork>()).await;
        admin.end().await;
    });
}

/// Compares HEAD with GET. Returns the number of paths whose lengths were compared.
async fn compare_head(server: &Server, document: &Value) -> usize {
    let mut compared = 0;
    for (path, methods) in paths(document) {
        assert_eq!(methods.contains(&"GET".to_owned()), methods.contains(&"HEAD".to_owned()), "{path}");
        if !methods.contains(&"GET".to_owned()) {
            continue;
        }
        let head = server.send("HEAD", &path, None).await;
        // The stream does not end.
        if path.ends_with("/stream") {
            assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""), "{path}");
            assert_eq!(head.kind, "text/event-stream");
            continue;
        }
        let get = server.get(&path).await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.kind, get.kind, "{path}");
        // Times and ages differ from one answer to the next.
        let is_changing = ["/health", "/p2p/gossipsub/stats"].contains(&path.as_str());
        if !is_changing {
            assert_eq!(head.header("content-length"), get.text.len().to_string(), "{path}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn head_answers_as_get_without_a_body() {
    run(async {
        let workers = network(2, &["a"], &limits(|_| {})).await;
        let server = Server::of(&workers[0]);
        let compared = compare_head(&server, &http::document::<PlainNetwork>()).await;
        assert!(compared > 15, "{compared}");
        assert_eq!(server.send("HEAD", "/p2p/gossipsub/scores/9", None).await.status, 404);
        server.end().await;

        let (transport, messages) = (TestTransport::new(&workers[0]), Messages::new(Texts::default()));
        let admin = Server::serving(move || {
            let scope = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            http::serve_messages(scope, messages.clone())
        });
        assert_eq!(compare_head(&admin, &http::admin_document::<PlainNetwork>()).await, 2);
        admin.end().await;
    });
}

#[test]
fn a_score_has_the_topics_of_its_peer() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        worker.p2p_input(P2pInput::connected(1)).unwrap();
        for topic in ["a", "elsewhere"] {
            super::support::subscribed(&worker, 1, topic);
        }
        worker.settle().await;
        let server = Server::of(&worker);
        let score = server.json("/p2p/gossipsub/scores/1").await;
        assert_eq!(score["connection"]["topics"], serde_json::json!(["a", "elsewhere"]));
        server.end().await;
    });
}

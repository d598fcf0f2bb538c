//! These tests check that every documented path responds over HTTP as its OpenAPI entry specifies, and that every
//! served path is documented.

use std::collections::BTreeSet;

use actix_gossipsub::{
    P2pInput, P2pMessage,
    http::{self, Messages},
    plain::PlainNetwork,
};
use actix_web::{
    introspection::IntrospectionTree,
    web::{self, Data},
};
use serde_json::{Value, json};

use super::{
    admin::TestTransport,
    messages::Texts,
    schema::{assert_valid, is_valid},
    support::{
        Server, graft, guard, limits, manual, message, network, publish, quiet, receive, run, start_alone,
    },
};

#[test]
fn every_documented_path_responds_as_documented() {
    run(async {
        let limits = limits(|config| config.score.app_specific_weight = 1.0);
        let workers = network(4, &["a", "b"], &limits).await;
        let first = &workers[0];
        // Every list gets an item: a fanout, a backoff, a cached message, rejections and penalties.
        for worker in &workers {
            worker.tick().await;
        }
        quiet(&workers).await;
        publish(&workers[1], "a", 1);
        first.set_unreachable_point(9);
        receive(&workers[1], 1, P2pMessage::subscribe("elsewhere".to_owned()));
        first.p2p_input(P2pInput::connected(77)).unwrap();
        receive(first, 77, P2pMessage::subscribe("elsewhere".to_owned()));
        graft(first, 77, "elsewhere");
        graft(first, 77, "a");
        receive(
            first,
            77,
            P2pMessage::Prune {
                topic: "a".to_owned(),
                px: vec![],
                backoff: std::time::Duration::from_secs(60),
            },
        );
        graft(first, 77, "a");
        message(first, 77, "a", 1);
        quiet(&workers).await;
        publish(first, "elsewhere", 1);
        quiet(&workers).await;

        let server = Server::of(first);
        let document = server.json("/openapi.json").await;
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() >= 20, "{}", paths.len());
        let mut empty = BTreeSet::new();
        for (path, item) in paths {
            let concrete = path.replace("{peer}", "77");
            let answer = server.get(&concrete).await;
            let operation = &item["get"];
            let documented = &operation["responses"][answer.status.as_str()]["content"];
            let (kind, content) = documented.as_object().expect(path).iter().next().expect("a kind");
            assert!(answer.kind.starts_with(kind.as_str()), "{path}: {} {kind}", answer.kind);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            if kind == "application/json" {
                let json = answer.json();
                assert_valid(&document, &content["schema"], &json, path);
                if json == json!([]) {
                    empty.insert(path.clone());
                }
            }
        }
        // An empty list would not check the schema of its items.
        assert_eq!(empty, BTreeSet::new());
        server.end().await;
    });
}

#[test]
fn problems_are_documented_too() {
    run(async {
        let workers = network(1, &["a"], &limits(|_| {})).await;
        let server = Server::of(&workers[0]);
        let document = server.json("/openapi.json").await;
        let cases = [
            ("/p2p/gossipsub/scores/{peer}", "5", "404"),
            ("/p2p/gossipsub/scores/{peer}", "x", "400"),
            ("/p2p/gossipsub/explain/{peer}", "5", "404"),
            ("/p2p/gossipsub/mesh", "?limit=0", "400"),
            ("/p2p/gossipsub/mesh", "?topic=z", "404"),
        ];
        for (path, with, status) in cases {
            let target =
                if path.contains("{peer}") { path.replace("{peer}", with) } else { format!("{path}{with}") };
            let answer = server.get(&target).await;
            assert_eq!(answer.status.as_str(), status, "{target}");
            let responses = &document["paths"][path]["get"]["responses"];
            let schema = &responses[status]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{path} {status}");
            assert_valid(&document, schema, &answer.json(), path);
        }
        workers[0].shutdown().await;
        for (path, item) in document["paths"].as_object().expect("paths") {
            let answer = server.get(&path.replace("{peer}", "7")).await;
            let documented = &item["get"]["responses"]["503"];
            assert_eq!(documented.is_object(), answer.status == 503, "{path}: {}", answer.status);
            if documented.is_object() {
                let schema = &documented["content"]["application/json"]["schema"];
                assert_valid(&document, schema, &answer.json(), path);
            }
        }
        server.end().await;
    });
}

/// The operations of a document: method and path.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

/// The routes that actix-web reports, and the operations of the two documents, are the same.
#[test]
fn every_served_path_is_documented() {
    run(async {
        let worker = start_alone(manual(limits(|_| {})), &["a"]);
        let transport = TestTransport::new(&worker);
        let server = Server::serving(move || {
            let routes = async |tree: Data<IntrospectionTree>| tree.report_as_json();
            web::scope("")
                .route("/routes", web::get().to(routes))
                .service(http::admin_scope(worker.clone(), transport.clone(), guard()))
                .service(http::scope_without_metrics(worker.clone()))
        });
        let routes: Value = serde_json::from_str(&server.get("/routes").await.text).expect("JSON");
        let routes = routes.as_array().expect("a list").iter();
        let routes = routes.filter(|route| route["resource_type"] == "resource").flat_map(|route| {
            let path = route["full_path"].as_str().expect("a path").to_owned();
            let methods = route["methods"].as_array().expect("methods").iter();
            methods.map(move |method| (method.as_str().expect("a method").to_owned(), path.clone()))
        });
        let mut served: BTreeSet<_> = routes.collect();
        assert!(served.remove(&("GET".to_owned(), "/routes".to_owned())), "the test's own route");
        let documents = [server.json("/openapi.json").await, admin_document()];
        let documented: BTreeSet<_> = documents.iter().flat_map(operations).collect();
        assert_eq!(served, documented);
        assert!(served.len() >= 28, "{served:?}");
        server.end().await;
    });
}

#[test]
fn administrative_responses_are_as_documented() {
    run(async {
        let worker = start_alone(manual(limits(|config| config.score.app_specific_weight = 1.0)), &["a"]);
        let transport = TestTransport::new(&worker);
        let messages = Messages::new(Texts::default());
        let server = Server::serving(move || {
            let scope = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            http::serve_messages(scope, messages.clone())
        });
        let document = admin_document();
        let mut answered = BTreeSet::new();
        let score = "/admin/p2p/gossipsub/topics/{topic}/score";
        let parameters = "/admin/p2p/gossipsub/parameters";
        let publish = "/admin/p2p/gossipsub/topics/{topic}/messages";
        for (method, path, argument, body, status) in [
            ("POST", "/admin/p2p/connect", "", Some(json!({ "point": 7 })), "200"),
            ("POST", "/admin/p2p/connect", "", Some(json!({ "point": "x" })), "400"),
            ("POST", "/admin/p2p/connect", "", Some(json!({ "point": 0 })), "409"),
            ("PATCH", "/admin/p2p/peers/by-id/{peer}", "7", Some(json!({ "acl": "trust" })), "200"),
            ("PATCH", "/admin/p2p/peers/by-id/{peer}", "7", Some(json!({ "acl": "like" })), "400"),
            ("PATCH", "/admin/p2p/peers/by-id/{peer}", "8", Some(json!({ "acl": "ban" })), "404"),
            ("DELETE", "/admin/p2p/peers/disconnect/{peer}", "7", None, "200"),
            ("DELETE", "/admin/p2p/peers/disconnect/{peer}", "x", None, "400"),
            ("DELETE", "/admin/p2p/peers/disconnect/{peer}", "8", None, "404"),
            ("POST", "/admin/p2p/gossipsub/topics", "", Some(json!({ "topic": "b" })), "200"),
            ("POST", "/admin/p2p/gossipsub/topics", "", Some(json!({ "topic": 1 })), "400"),
            ("DELETE", "/admin/p2p/gossipsub/topics/{topic}", "b", None, "200"),
            ("DELETE", "/admin/p2p/gossipsub/topics/{topic}", "c", None, "404"),
            ("PUT", "/admin/p2p/peers/direct/{peer}", "7", Some(json!({ "direct": true })), "200"),
            ("PUT", "/admin/p2p/peers/direct/{peer}", "7", Some(json!({ "direct": 1 })), "400"),
            ("GET", "/admin/p2p/peers/direct", "", None, "200"),
            ("PUT", "/admin/p2p/peers/blocked/{peer}", "7", Some(json!({ "seconds": 1 })), "200"),
            ("PUT", "/admin/p2p/peers/blocked/{peer}", "7", Some(json!({ "seconds": -1 })), "400"),
            ("PUT", score, "a", Some(json!({ "weight": 1.0, "parameters": {} })), "200"),
            ("PUT", score, "a", Some(json!({ "weight": 1.0 })), "400"),
            ("PUT", score, "a", Some(json!({ "weight": -1.0, "parameters": {} })), "409"),
            ("PATCH", parameters, "", Some(json!({ "degree_lazy": 7 })), "200"),
            ("PATCH", parameters, "", Some(json!({ "degree_lazy": -1 })), "400"),
            ("PATCH", parameters, "", Some(json!({ "degree_low": 100 })), "409"),
            ("POST", publish, "a", Some(json!({ "data": "x" })), "409"),
            ("POST", publish, "a", Some(json!({ "data": 1 })), "400"),
            ("POST", publish, "a?min_peers=0", Some(json!({ "hex": "78" })), "202"),
            ("POST", publish, "a?min_peers=0", Some(json!({ "data": "x".repeat(9_000) })), "413"),
            ("GET", "/admin/openapi.json", "", None, "200"),
        ] {
            let (argument, query) = argument.split_once('?').unwrap_or((argument, ""));
            let concrete = path.replace("{peer}", argument).replace("{topic}", argument);
            let answer = server.send(method, &format!("{concrete}?{query}"), body).await;
            assert_eq!(answer.status.as_str(), status, "{method} {path} {argument}: {}", answer.text);
            let operation = &document["paths"][path][method.to_lowercase()];
            let schema = &operation["responses"][status]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{method} {path} {status}");
            assert_valid(&document, schema, &answer.json(), path);
            answered.insert((method.to_owned(), path.to_owned()));
            worker.settle().await;
        }
        // HEAD has a test of its own, and so has the stream, which does not end.
        let mut operations = operations(&document);
        operations.retain(|(method, path)| method != "HEAD" && !path.ends_with("/stream"));
        assert_eq!(answered, operations);
        server.end().await;
    });
}

/// Names are unique, every parameter of an identifier has its type, and the examples of a served document are of its engine.
#[test]
fn operations_have_names_and_examples_that_work() {
    run(async {
        let workers = network(2, &["a"], &limits(|_| {})).await;
        let server = Server::of(&workers[0]);
        let served = server.json("/openapi.json").await;
        for document in [&served, &admin_document()] {
            let names: Vec<_> = document["paths"]
                .as_object()
                .expect("paths")
                .values()
                .flat_map(|item| item.as_object().expect("methods").values())
                .map(|operation| operation["operationId"].as_str().expect("a name"))
                .collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        }
        let score = &served["paths"]["/p2p/gossipsub/scores/{peer}"]["get"];
        assert_eq!(score["operationId"], "get_score");
        let peer = &score["parameters"][0];
        assert_eq!((&peer["schema"]["type"], &peer["example"]), (&json!("integer"), &json!(2)));
        let mut tried = 0;
        for (path, item) in served["paths"].as_object().expect("paths") {
            let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
            let mut target = path.clone();
            let mut query = Vec::new();
            for parameter in &parameters {
                let (name, example) = (parameter["name"].as_str().expect("a name"), &parameter["example"]);
                let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                match (example.is_null(), parameter["in"] == "path") {
                    (true, _) => {}
                    (false, true) => target = target.replace(&format!("{{{name}}}"), &text),
                    (false, false) => query.push(format!("{name}={text}")),
                }
            }
            if !query.is_empty() || target != *path {
                let target = format!("{target}?{}", query.join("&"));
                assert_eq!(server.get(&target).await.status, 200, "{target}");
                tried += 1;
            }
        }
        assert!(tried >= 3, "{tried}");
        server.end().await;
    });
}

pub fn admin_document() -> Value {
    http::admin_document::<PlainNetwork>()
}

/// A schema that accepts every body would document nothing.
#[test]
fn the_schemas_are_strict() {
    let document = http::document::<PlainNetwork>();
    let schema = json!({ "$ref": "#/components/schemas/PeerScore" });
    assert_valid(&document, &schema, &json!({ "peer": 7, "score": 0.5 }), "a valid value");
    for invalid in
        [json!({ "peer": 7 }), json!({ "peer": 7, "score": "0" }), json!({ "peer": 7, "score": 0, "x": 1 })]
    {
        assert!(!is_valid(&document, &schema, &invalid), "{invalid}");
    }
}

//! Every path of the document, asked for over HTTP, answers what the document says.

use std::collections::BTreeSet;

use actix_gossipsub::{P2pInput, P2pMessage};
use serde_json::{Value, json};

use crate::support::{Server, graft, limits, message, network, publish, quiet, run, said};

#[test]
fn every_documented_path_answers_as_documented() {
    run(async {
        let limits = limits(|config| config.score.app_specific_weight = 1.0);
        let workers = network(4, &["a", "b"], &limits).await;
        let first = &workers[0];
        // Something of everything: a fanout, a backoff, a message in the history, refusals, penalties.
        for worker in &workers {
            worker.tick().await;
        }
        quiet(&workers).await;
        publish(&workers[1], "a", 1);
        first.set_unreachable_point(9);
        said(&workers[1], 1, P2pMessage::subscribe("elsewhere".to_owned()));
        first.p2p_input(P2pInput::connected(77)).unwrap();
        said(first, 77, P2pMessage::subscribe("elsewhere".to_owned()));
        graft(first, 77, "elsewhere");
        graft(first, 77, "a");
        said(
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
            let asked = path.replace("{peer}", "77");
            let answer = server.ask(&asked).await;
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
        // A list without items says nothing of the items.
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
        let asked = [
            ("/p2p/gossipsub/scores/{peer}", "5", "404"),
            ("/p2p/gossipsub/scores/{peer}", "x", "400"),
            ("/p2p/gossipsub/explain/{peer}", "5", "404"),
            ("/p2p/gossipsub/mesh", "?limit=0", "400"),
            ("/p2p/gossipsub/mesh", "?topic=z", "404"),
        ];
        for (path, with, status) in asked {
            let at =
                if path.contains("{peer}") { path.replace("{peer}", with) } else { format!("{path}{with}") };
            let answer = server.ask(&at).await;
            assert_eq!(answer.status.as_str(), status, "{at}");
            let responses = &document["paths"][path]["get"]["responses"];
            let schema = &responses[status]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{path} {status}");
            assert_valid(&document, schema, &answer.json(), path);
        }
        workers[0].shutdown().await;
        for (path, item) in document["paths"].as_object().expect("paths") {
            let answer = server.ask(&path.replace("{peer}", "7")).await;
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

/// A document that lets everything pass would be no document.
#[test]
fn the_schemas_are_strict() {
    let document = serde_json::to_value(actix_gossipsub::http::document()).expect("JSON");
    let schema = json!({ "$ref": "#/components/schemas/PeerScore" });
    assert_valid(&document, &schema, &json!({ "peer": 7, "score": 0.5 }), "as it is");
    for wrong in
        [json!({ "peer": 7 }), json!({ "peer": 7, "score": "0" }), json!({ "peer": 7, "score": 0, "x": 1 })]
    {
        assert!(!is_valid(&document, &schema, &wrong), "{wrong}");
    }
}

fn with_components(document: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    whole
}

fn is_valid(document: &Value, schema: &Value, answer: &Value) -> bool {
    jsonschema::validator_for(&with_components(document, schema)).expect("a schema").is_valid(answer)
}

fn assert_valid(document: &Value, schema: &Value, answer: &Value, path: &str) {
    let validator = jsonschema::validator_for(&with_components(document, schema)).expect("a schema");
    let wrong: Vec<_> =
        validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{path}: {wrong:?}\n{answer}");
}

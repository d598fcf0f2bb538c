//! These tests compare what the server accepts, in queries and bodies, with the schemas of the documents.

use std::collections::BTreeSet;

use actix_gossipsub::{
    P2pInput,
    http::{self, Messages},
    plain::PlainNetwork,
};
use actix_web::web;
use serde_json::{Value, json};

use super::{
    admin::TestTransport,
    document::admin_document,
    messages::Texts,
    schema::is_valid,
    support::{Server, TOKEN, guard, limits, manual, run, start_alone},
};

/// A server of both scopes, with peer 77.
async fn serve() -> Server {
    let worker = start_alone(manual(limits(|config| config.score.app_specific_weight = 1.0)), &["a"]);
    worker.p2p_input(P2pInput::connected(77)).unwrap();
    worker.settle().await;
    let transport = TestTransport::new(&worker);
    let messages = Messages::new(Texts::default());
    Server::serving(move || {
        let admin = http::admin_scope(worker.clone(), transport.clone(), guard());
        web::scope("")
            .service(http::serve_messages(admin, messages.clone()))
            .service(http::scope_without_metrics(worker.clone()))
    })
}

/// The path of an operation with values of its parameters.
fn concrete(path: &str) -> String {
    path.replace("{peer}", "77").replace("{topic}", "a")
}

/// The values that a text of a query may mean.
fn meanings(text: &str) -> Vec<Value> {
    let other =
        serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    std::iter::once(json!(text)).chain(other).collect()
}

/// A body with which an operation that has one succeeds.
fn body(operation: &Value) -> Option<Value> {
    operation.get("requestBody").map(|_| json!({ "data": "x" }))
}

#[test]
fn a_query_is_refused_if_its_schema_refuses_it() {
    run(async {
        let server = serve().await;
        let mut checked = BTreeSet::new();
        for document in [http::document::<PlainNetwork>(), admin_document()] {
            let paths = document["paths"].as_object().expect("paths").iter();
            let operations = paths.flat_map(|(path, item)| {
                item.as_object().expect("methods").iter().map(move |(method, one)| (path, method, one))
            });
            for (path, method, operation) in operations {
                let is_endless = method == "get" && path.ends_with("/stream");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    if parameter["in"] != "query" {
                        continue;
                    }
                    let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
                    for text in ["", "true", "TRUE", "0", "7", "-1", "1.5", "1001", "10001", "x"] {
                        let accepts = meanings(text).iter().any(|value| is_valid(&document, schema, value));
                        // The format of a text is not in its schema, and a stream that is accepted does not end.
                        if accepts && (is_endless || schema.get("format").is_some()) {
                            continue;
                        }
                        let target = format!("{}?{name}={text}", concrete(path));
                        let answer = server.send(&method.to_uppercase(), &target, body(operation)).await;
                        let is_refused = answer.status == 400;
                        assert_eq!(is_refused, !accepts, "{method} {target}: {} {schema}", answer.text);
                        if is_refused {
                            checked.insert(format!("{method} {path} {name}"));
                        }
                    }
                }
            }
        }
        for expected in [
            "get /p2p/gossipsub/topics/status problems",
            "head /p2p/gossipsub/topics/peers all",
            "get /p2p/gossipsub/connections topics",
            "post /admin/p2p/gossipsub/topics/{topic}/messages min_peers",
            "post /admin/p2p/gossipsub/topics/{topic}/messages unjoined",
            "get /admin/p2p/gossipsub/stream messages",
            "head /admin/p2p/gossipsub/stream events",
        ] {
            assert!(checked.contains(expected), "{expected} is not among {checked:?}");
        }
        server.end().await;
    });
}

/// The bodies to try on each operation of the admin document that has one.
const BODIES: &[(&str, &str, &[&str])] = &[
    (
        "post",
        "/admin/p2p/connect",
        &[
            r#"{"point":7}"#,
            r#"{"point":7.0}"#,
            r#"{"point":7.5}"#,
            r#"{"point":0}"#,
            r#"{"point":-1}"#,
            r#"{"point":18446744073709551615}"#,
            r#"{"point":18446744073709551616}"#,
            r#"{"point":"7"}"#,
            r#"{"point":null}"#,
            r#"{"point":7,"x":1}"#,
            "{}",
            "[]",
            "null",
        ],
    ),
    (
        "patch",
        "/admin/p2p/peers/by-id/{peer}",
        &[
            r#"{"acl":"trust"}"#,
            r#"{"acl":"open"}"#,
            r#"{"acl":"ban"}"#,
            r#"{"acl":"Ban"}"#,
            r#"{"acl":1}"#,
            r#"{"acl":null}"#,
            "{}",
        ],
    ),
    (
        "post",
        "/admin/p2p/gossipsub/topics",
        &[
            r#"{"topic":"b"}"#,
            r#"{"topic":""}"#,
            r#"{"topic":1}"#,
            r#"{"topic":null}"#,
            r#"{"topic":"b","x":1}"#,
            "{}",
            r#""b""#,
        ],
    ),
    (
        "put",
        "/admin/p2p/peers/direct/{peer}",
        &[
            r#"{"direct":true}"#,
            r#"{"direct":false}"#,
            r#"{"direct":1}"#,
            r#"{"direct":"true"}"#,
            r#"{"direct":null}"#,
            "{}",
        ],
    ),
    (
        "put",
        "/admin/p2p/peers/blocked/{peer}",
        &[
            r#"{"seconds":1}"#,
            r#"{"seconds":7.0}"#,
            r#"{"seconds":1.5}"#,
            r#"{"seconds":-1}"#,
            r#"{"seconds":18446744073709551615}"#,
            r#"{"seconds":18446744073709551616}"#,
            r#"{"seconds":"1"}"#,
            r#"{"seconds":0}"#,
            "{}",
        ],
    ),
    (
        "put",
        "/admin/p2p/gossipsub/topics/{topic}/score",
        &[
            r#"{"weight":1.0,"parameters":{}}"#,
            r#"{"weight":1,"parameters":{"time_in_mesh_weight":1}}"#,
            r#"{"weight":1,"parameters":{"time_in_mesh_quantum":"1s"}}"#,
            r#"{"weight":1,"parameters":{"time_in_mesh_quantum":1}}"#,
            r#"{"weight":1,"parameters":{"time_in_mesh_weight":"1"}}"#,
            r#"{"weight":1,"parameters":{"unknown":1}}"#,
            r#"{"weight":1,"parameters":null}"#,
            r#"{"weight":-1,"parameters":{}}"#,
            r#"{"weight":"1","parameters":{}}"#,
            r#"{"weight":1}"#,
            r#"{"parameters":{}}"#,
        ],
    ),
    (
        "patch",
        "/admin/p2p/gossipsub/parameters",
        &[
            "{}",
            r#"{"degree_lazy":7}"#,
            r#"{"degree_lazy":7.0}"#,
            r#"{"degree_lazy":7.5}"#,
            r#"{"degree_lazy":-1}"#,
            r#"{"degree_lazy":"7"}"#,
            r#"{"degree_lazy":null}"#,
            r#"{"publish_threshold":-1000000}"#,
            r#"{"graylist_threshold":"none"}"#,
            r#"{"graylist_threshold":"some"}"#,
            r#"{"topics":{"named":{"a":{"degree_low":null},"b":null}}}"#,
            r#"{"topics":{"named":{"a":{"degree_low":"x"}}}}"#,
            r#"{"topics":{"named":[]}}"#,
            r#"{"score":{"topics":{"kind":"single"}}}"#,
            r#"{"score":{"topics":{"kind":"other"}}}"#,
            r#"{"score":{"topics":{}}}"#,
            r#"{"unknown":1}"#,
            "[]",
            "null",
        ],
    ),
    (
        "post",
        "/admin/p2p/gossipsub/topics/{topic}/messages",
        &[
            r#"{"data":"x"}"#,
            r#"{"data":""}"#,
            r#"{"data":1}"#,
            r#"{"data":null}"#,
            r#"{"base64":""}"#,
            r#"{"base64":"A"}"#,
            r#"{"base64":"AA"}"#,
            r#"{"base64":"AA="}"#,
            r#"{"base64":"AA=="}"#,
            r#"{"base64":"AA==="}"#,
            r#"{"base64":"AAA"}"#,
            r#"{"base64":"AAA="}"#,
            r#"{"base64":"AAA=="}"#,
            r#"{"base64":"AAAA"}"#,
            r#"{"base64":"AAAA="}"#,
            r#"{"base64":"AAAA=="}"#,
            r#"{"base64":"A==="}"#,
            r#"{"base64":"=="}"#,
            r#"{"base64":"AA==AA=="}"#,
            r#"{"base64":"AB=="}"#,
            r#"{"base64":"AA-_"}"#,
            r#"{"base64":"AA\n=="}"#,
            r#"{"base64":"AA==\n"}"#,
            r#"{"hex":""}"#,
            r#"{"hex":"0aF0"}"#,
            r#"{"hex":"0"}"#,
            r#"{"hex":"0g"}"#,
            r#"{"hex":"00\n"}"#,
            r#"{"data":"x","hex":"00"}"#,
            r#"{"text":"x"}"#,
            "{}",
            r#""data""#,
            "[]",
        ],
    ),
];

#[test]
fn a_body_is_refused_if_its_schema_refuses_it() {
    run(async {
        let server = serve().await;
        let document = admin_document();
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
        for (method, path, bodies) in BODIES {
            let schema =
                &document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{method} {path} has no body");
            let mut refused = 0;
            for body in *bodies {
                let accepts = is_valid(&document, schema, &serde_json::from_str(body).expect("JSON"));
                let (method, path) = (method.to_uppercase(), concrete(path));
                let answer = server.send_bytes(&method, &path, &headers, body.as_bytes().to_vec()).await;
                let is_refused = answer.status == 400;
                assert_eq!(is_refused, !accepts, "{method} {path} {body}: {} {}", answer.status, answer.text);
                refused += usize::from(is_refused);
            }
            assert!(refused > 0 && refused < bodies.len(), "{method} {path}: {refused}");
        }
        // Each body of the document is in the table.
        let paths = document["paths"].as_object().expect("paths").iter();
        let with_body = paths.flat_map(|(path, item)| {
            let operations = item.as_object().expect("methods").iter();
            let with_body = operations.filter(|(_, operation)| operation.get("requestBody").is_some());
            with_body.map(move |(method, _)| (method.as_str(), path.as_str()))
        });
        let tried: BTreeSet<_> = BODIES.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(with_body.collect::<BTreeSet<_>>(), tried);
        server.end().await;
    });
}

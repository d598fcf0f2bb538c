//! These tests change the parameters of running engines over HTTP.

use actix_gossipsub::{P2pInput, http, limits::TopicScores, plain::PlainNetwork};
use actix_web::web;
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::{
    admin::TestTransport,
    support::{Answer, Engine, Server, guard, limits, manual, run, start_alone, subscribed},
};

/// A server of an engine that has joined `a`.
fn serve() -> (Engine, Server) {
    let worker = start_alone(manual(limits(|_| {})), &["a"]);
    let transport = TestTransport::new(&worker);
    let scope = move || {
        let admin = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
        web::scope("").service(admin).service(http::scope_without_metrics(transport.worker.clone()))
    };
    (worker, Server::serving(scope))
}

async fn patch(server: &Server, change: &Value) -> Answer {
    server.send("PATCH", "/admin/p2p/gossipsub/parameters", Some(change.clone())).await
}

#[test]
fn meshes_adapt_to_new_degrees_at_the_next_heartbeat() {
    run(async {
        let (worker, server) = serve();
        for peer in 1..=20 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            subscribed(&worker, peer, "a");
        }
        let mesh = async || {
            worker.settle().await;
            worker.tick().await;
            worker.state().await.unwrap().mesh["a"].len()
        };
        assert_eq!(mesh().await, 6);
        let answer =
            patch(&server, &json!({ "degree_low": 9, "degree_optimal": 9, "degree_high": 10 })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let in_force = answer.json();
        assert_eq!((&in_force["degree_optimal"], &in_force["degree_lazy"]), (&json!(9), &json!(6)));
        assert_eq!(mesh().await, 9);

        let most = u64::MAX;
        let change = json!({
            "degree_low": most, "degree_optimal": most, "degree_high": most, "degree_score": most / 2,
            "degree_lazy": most, "opportunistic_graft_peers": most, "gossip_factor": 1e300,
        });
        let answer = patch(&server, &change).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(mesh().await, 20);
        for path in ["footprint", "topics/status", "mesh", "parameters"] {
            assert_eq!(server.get(&format!("/p2p/gossipsub/{path}")).await.status, 200, "{path}");
        }
        server.end().await;
    });
}

#[test]
fn limits_of_topics_thresholds_and_patterns_change_while_all_others_stay() {
    run(async {
        let (worker, server) = serve();
        let before = worker.limits();
        let pattern = json!({ "pattern": "a*", "weight": 0.5, "parameters": { "time_in_mesh_weight": 3.0 } });
        let change = json!({
            "max_message_size": 1_000_000,
            "idontwant_message_size": 2_000,
            "gossip_threshold": -50,
            "graylist_threshold": -5_000.0,
            "retain_duration": "2h",
            "topics": {
                "named": { "a": { "sent_first": true, "max_message_size": 100 } },
                "patterns": [{ "pattern": "b*", "limits": { "degree_high": 20 } }],
            },
            "score": { "ip_colocation_whitelist": ["192.0.2.0/24"], "topics": { "kind": "family", "patterns": [pattern] } },
        });
        let answer = patch(&server, &change).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let (a, b) = ["a", "b1"].map(|topic| worker.topic_parameters(&topic.to_owned())).into();
        assert_eq!((a.sent_first, a.max_message_size, a.idontwant_message_size), (true, 100, 2_000));
        assert_eq!((b.sent_first, b.max_message_size, b.degrees.degree_high), (false, 1_000_000, 20));
        let (parameters, weight) = worker.topic_score(&"a".to_owned());
        assert_eq!((parameters.time_in_mesh_weight, weight), (3.0, 0.5));
        let limits = worker.limits();
        assert_eq!((limits.gossip_threshold, limits.extensions.graylist_threshold), (-50.0, Some(-5_000.0)));
        assert_eq!(limits.publish_threshold, before.publish_threshold);

        // What is in force is a change that changes nothing, and so is a change without fields.
        for same in [json!({}), answer.json()] {
            assert_eq!(patch(&server, &same).await.json(), answer.json());
        }
        assert_eq!(*worker.limits(), *limits);
        let none =
            json!({ "graylist_threshold": "none", "topics": { "named": { "a": null }, "patterns": [] } });
        assert_eq!(patch(&server, &none).await.status, 200);
        let limits = worker.limits();
        assert_eq!(limits.extensions.graylist_threshold, None);
        assert_eq!(limits.topics, before.topics);
        assert!(matches!(limits.score.topics, TopicScores::Family(_)));
        server.end().await;
    });
}

#[test]
fn a_change_with_a_bad_value_changes_nothing() {
    run(async {
        let (worker, server) = serve();
        let before = worker.limits();
        let whole = "must be a whole number from 0 to 18446744073709551615";
        let named = |entry: Value| json!({ "topics": { "named": { "b": entry } } });
        for (change, status, message) in [
            (json!([]), 400, "[]: must be an object".to_owned()),
            (json!({ "degree_low": -1 }), 400, format!("degree_low = -1: {whole}")),
            (json!({ "degree_low": null }), 400, format!("degree_low = null: {whole}")),
            (json!({ "ban_duration": "soon" }), 400, "ban_duration = \"soon\": ".to_owned()),
            (json!({ "heartbeat_interval": "1s" }), 400, "heartbeat_interval: is not known".to_owned()),
            (named(json!({ "degree_low": 1.5 })), 400, format!("topics.named.b.degree_low = 1.5: {whole}")),
            (
                named(json!({ "sent_first": 1 })),
                400,
                "topics.named.b.sent_first = 1: must be true or false".to_owned(),
            ),
            (json!({ "score": { "topics": {} } }), 400, "score.topics.kind: is missing".to_owned()),
            (
                json!({ "degree_low": 100 }),
                409,
                "degree_low = 100: must be at most degree_optimal (6)".to_owned(),
            ),
            (
                json!({ "validation_timeout": "0s" }),
                409,
                "validation_timeout = 0ns: must be greater than 0".to_owned(),
            ),
            (
                named(json!({ "degree_high": 1 })),
                409,
                "topics.named.\"b\".degree_high = 1: must be at least degree_optimal (6)".to_owned(),
            ),
            (
                json!({ "score": { "topics": { "kind": "family", "weights": { "a": -1.0 } } } }),
                409,
                "score.topics.weights.\"a\" = -1.0: must be a finite number, at least 0".to_owned(),
            ),
        ] {
            let mut with_another = change.clone();
            if let Some(fields) = with_another.as_object_mut() {
                fields.insert("degree_lazy".to_owned(), json!(1));
            }
            for change in [change, with_another] {
                let answer = patch(&server, &change).await;
                assert_eq!(answer.status.as_u16(), status, "{change}: {}", answer.text);
                assert!(
                    answer.json()["message"].as_str().unwrap().contains(&message),
                    "{change}: {}",
                    answer.text
                );
            }
        }
        assert_eq!(*worker.limits(), *before);
        worker.shutdown().await;
        assert_eq!(patch(&server, &json!({ "degree_lazy": 1 })).await.status, 503);
        server.end().await;
    });
}

#[test]
fn of_changes_at_the_same_time_none_is_lost() {
    run(async {
        let (worker, server) = serve();
        let changes = (0..32).map(|topic: usize| {
            let change =
                json!({ "topics": { "named": { format!("t{topic}"): { "max_message_size": topic } } } });
            let server = &server;
            async move { patch(server, &change).await.status }
        });
        assert!(join_all(changes).await.into_iter().all(|status| status == 200));
        let sizes = (0..32).map(|topic| worker.topic_parameters(&format!("t{topic}")).max_message_size);
        assert!(sizes.eq(0..32));
        server.end().await;
    });
}

/// What is in force may have more entries than fit into the body of other requests.
#[test]
fn a_change_may_have_hundreds_of_entries() {
    run(async {
        let (worker, server) = serve();
        let entry =
            |number| json!({ "pattern": format!("/subnet/{number}/*"), "weight": 0.5, "parameters": {} });
        let patterns: Vec<_> = (0..300).map(entry).collect();
        let change = json!({ "score": { "topics": { "kind": "family", "patterns": patterns } } });
        assert!(change.to_string().len() > 16 << 10);
        let answer = patch(&server, &change).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(worker.topic_score(&"/subnet/299/a".to_owned()).1, 0.5);
        assert_eq!(patch(&server, &answer.json()).await.status, 200);
        let large = json!({ "x": "x".repeat(1 << 20) });
        assert_eq!(patch(&server, &large).await.status, 413);
        server.end().await;
    });
}

/// Values of every type that occurs.
fn any_values() -> Vec<Value> {
    let numbers = [json!(0), json!(-1), json!(1.5), json!(7.0), json!(u64::MAX), json!(1e20), json!(-1e300)];
    let texts =
        ["", "none", "1m 30s", "0s", "1", "192.0.2.0/24", "::1", "single", "family", "a"].map(Value::from);
    let others = [
        Value::Null,
        json!(true),
        json!([]),
        json!({}),
        json!([1]),
        json!({ "a": 1 }),
        json!({ "kind": "x" }),
    ];
    [&numbers[..], &texts, &others].concat()
}

/// The smallest value that a schema of a required field accepts.
fn smallest(schema: &Value) -> Value {
    match (&schema["enum"][0], schema["type"].as_str()) {
        (Value::Null, Some("object")) => required(schema).into(),
        (Value::Null, Some("number")) => json!(0.0),
        (Value::Null, _) => json!("x"),
        (only, _) => only.clone(),
    }
}

fn required(schema: &Value) -> Map<String, Value> {
    let names = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    names.map(|name| (name.to_owned(), smallest(&schema["properties"][name]))).collect()
}

/// Values for a schema and for all that is in it, right and wrong ones.
fn values_of(schema: &Value) -> Vec<Value> {
    let mut values = any_values();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        values.extend(values_of(property).into_iter().map(|value| {
            let mut fields = required(schema);
            fields.insert(name.clone(), value);
            fields.into()
        }));
    }
    let each = |schema: &Value| if schema.is_object() { values_of(schema) } else { Vec::new() };
    values.extend(each(&schema["additionalProperties"]).into_iter().map(|value| json!({ "a": value })));
    values.extend(each(&schema["items"]).into_iter().map(|value| json!([value])));
    let parts =
        ["anyOf", "oneOf"].into_iter().flat_map(|parts| schema[parts].as_array().into_iter().flatten());
    values.extend(parts.flat_map(values_of));
    values
}

/// What the schema refuses is answered with 400, and nothing else is.
#[test]
fn the_schema_accepts_what_the_endpoint_accepts() {
    let document = http::admin_document::<PlainNetwork>();
    let schemas = &document["components"]["schemas"];
    let schema = &schemas["RuntimeParameters"];
    let is_subnet = |text: &str| text.parse::<actix_gossipsub::limits::Subnet>().is_ok();
    let validator = jsonschema::options()
        .with_format("humantime", |text| ["1m 30s", "0s"].contains(&text))
        .with_format("subnet", is_subnet)
        .should_validate_formats(true)
        .build(schema)
        .expect("a schema");
    let response =
        json!({ "$ref": "#/components/schemas/ParametersInForce", "components": document["components"] });
    let response = jsonschema::validator_for(&response).expect("a schema");
    run(async {
        let (_, server) = serve();
        let mut counts = std::collections::BTreeMap::<u16, usize>::new();
        for change in values_of(schema) {
            let answer = patch(&server, &change).await;
            let status = answer.status.as_u16();
            assert_eq!(status != 400, validator.is_valid(&change), "{change}: {status} {}", answer.text);
            assert!(status != 200 || response.is_valid(&answer.json()), "{change}: {}", answer.text);
            *counts.entry(status).or_default() += 1;
        }
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [200, 400, 409], "{counts:?}");
        assert!(counts.values().all(|count| *count > 100), "{counts:?}");
        server.end().await;
    });
}

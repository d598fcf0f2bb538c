//! These tests check that the documents list the values that are sent.

use std::collections::BTreeSet;

use actix_gossipsub::{
    FullMessage, Started, Worker,
    http::{self, Messages},
    plain::PlainNetwork,
    protocol::{
        EventKind, GraftOutcome, GraftReason, LeaveReason, PeerDecision, Penalty, ScoreAction, Threshold,
    },
};
use serde_json::{Value, json};

use super::{
    admin::TestTransport,
    document::admin_document,
    messages::Texts,
    schema::is_valid,
    support::{Server, guard, limits, run},
};

/// Asserts that these are the values of a field of a schema.
fn assert_values<'a>(field: &Value, values: impl IntoIterator<Item = &'a str>) {
    let listed = field["enum"].as_array().unwrap_or_else(|| panic!("no list of values: {field}")).iter();
    let listed: BTreeSet<_> = listed.map(|value| value.as_str().expect("a text")).collect();
    assert_eq!(listed, values.into_iter().collect());
    assert!(field["description"].is_string(), "{field}");
}

/// One kind for each name.
fn kinds() -> Vec<EventKind> {
    use PeerDecision::*;
    let decisions = [
        Connected,
        Disconnected,
        Graft(GraftOutcome::BackedOff),
        Grafted(GraftReason::Join),
        Pruned(LeaveReason::Leave),
        PxRefused,
        SubscribeRefused,
        SubscribeFiltered,
        IHaveRefused("reason"),
        IWantRefused("reason"),
        IDontWantRefused("reason"),
        Penalised(Penalty::SlowPeer),
        ActedOnScore(ScoreAction::Graylist),
        ActedOnScore(ScoreAction::LeaveGraylist),
        ActedOnScore(ScoreAction::Disconnect),
        ActedOnScore(ScoreAction::Ban),
    ];
    let others = [
        EventKind::Joined,
        EventKind::Left,
        EventKind::Published,
        EventKind::Delivered,
        EventKind::Duplicate,
        EventKind::Rejected("reason"),
    ];
    decisions.map(EventKind::Decided).into_iter().chain(others).collect()
}

#[test]
fn the_names_of_thresholds_and_events_are_listed() {
    let document = http::document::<PlainNetwork>();
    let property =
        |schema: &str, name: &str| document["components"]["schemas"][schema]["properties"][name].clone();
    let thresholds = Threshold::ALL.map(Threshold::name);
    assert_values(&property("ThresholdStatus", "name"), thresholds);
    let mut below = property("PeerSummary", "below")["items"].clone();
    below["description"] = json!("that of the list");
    assert_values(&below, thresholds);
    let kinds = kinds();
    for schema in ["Event", "EventCount"] {
        assert_values(&property(schema, "type"), kinds.iter().map(|kind| kind.name()));
    }
}

/// The description of the stream names the schema of each event.
#[test]
fn the_schemas_of_the_stream_are_in_the_document() {
    let document = admin_document();
    let stream = &document["paths"]["/admin/p2p/gossipsub/stream"]["get"]["description"];
    let text = stream.as_str().expect("a description");
    let names: Vec<_> =
        text.split("(`").skip(1).map(|rest| rest.split_once("`)").expect("a name").0).collect();
    assert_eq!(names, ["StreamedMessage", "Event", "EngineNotice", "Missed"]);
    for name in names {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(schema["type"], "object", "{name}");
        // What it refers to is there.
        assert!(!is_valid(&document, &json!({ "$ref": format!("#/components/schemas/{name}") }), &json!(1)));
    }
}

/// A parameter is left out and never null.
#[test]
fn no_parameter_is_null() {
    for document in [http::document::<PlainNetwork>(), admin_document()] {
        let paths = document["paths"].as_object().expect("paths").values();
        let operations = paths.flat_map(|item| item.as_object().expect("methods").values());
        for parameter in operations.flat_map(|one| one["parameters"].as_array().into_iter().flatten()) {
            assert!(parameter["schema"]["type"].is_string(), "{parameter}");
        }
    }
}

/// The description of a refused publication has each error that it may have.
#[test]
fn a_message_that_has_expired_is_outdated_as_documented() {
    run(async {
        let network = PlainNetwork::new()
            .expiring(|message: &FullMessage<PlainNetwork>, now| (message.message == "late").then_some(now));
        let builder = Worker::builder(network, limits(|_| {})).manual().arbiters(1).seed(1);
        let Started { worker, mut p2p, mut app } = builder.start(["a".to_owned()]).expect("it starts");
        actix::spawn(async move { while p2p.recv().await.is_some() {} });
        actix::spawn(async move { while app.recv().await.is_some() {} });
        let (transport, messages) = (TestTransport::new(&worker), Messages::new(Texts::default()));
        let server = Server::serving(move || {
            let scope = http::admin_scope(transport.worker.clone(), transport.clone(), guard());
            http::serve_messages(scope, messages.clone())
        });
        let path = "/admin/p2p/gossipsub/topics/a/messages?min_peers=0";
        let answer = server.send("POST", path, Some(json!({ "data": "late" }))).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (409, &json!("outdated")));
        let operation = &admin_document()["paths"]["/admin/p2p/gossipsub/topics/{topic}/messages"]["post"];
        let description = operation["responses"]["409"]["description"].as_str().expect("a description");
        for error in ["not_joined", "no_peers", "duplicate", "outdated", "conflict"] {
            assert!(description.contains(&format!("`{error}`")), "{error}: {description}");
        }
        server.end().await;
    });
}

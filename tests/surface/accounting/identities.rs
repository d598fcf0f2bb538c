//! This module asserts the equations between metrics that must be true after any sequence of events, for one engine and
//! for a whole network.

use std::fmt;

use actix_gossipsub::{
    Network, Worker,
    metrics::OTHER,
    protocol::{Input, Stats, View},
};

use super::scrape::Scrape;

impl Scrape {
    fn all(&self, name: &str) -> f64 {
        self.sum(name, &[])
    }

    /// The inputs of one kind with one of these outcomes, or with any outcome if the list is empty.
    pub fn inputs(&self, input: Input, outcomes: &[&str]) -> f64 {
        let outcomes = if outcomes.is_empty() { input.outcomes() } else { outcomes };
        let of = |outcome: &&str| {
            self.sum("gossipsub_inputs_total", &[("input", input.name()), ("outcome", outcome)])
        };
        outcomes.iter().map(of).sum()
    }
}

/// A topic whose label is its name.
pub trait Name: fmt::Display + for<'a> From<&'a str> {}

impl<T: fmt::Display + for<'a> From<&'a str>> Name for T {}

/// The verdicts on messages: the outcome and the validity of each.
const VERDICTS: [(&str, &str); 4] =
    [("routed", "valid"), ("invalid", "invalid"), ("outdated", "outdated"), ("unknown", "unknown")];

/// Received messages = duplicates + messages on topics that are not joined + messages dropped or waiting for a verdict +
/// synchronous verdicts. The verdicts of all inputs equal the verdicts by topic, and the routed messages equal the
/// delivered ones.
pub fn messages(scrape: &Scrape) {
    let received = scrape.all("gossipsub_messages_received_total");
    let receive = |outcomes: &[&str]| scrape.inputs(Input::ReceiveMessage, outcomes);
    let duplicate = scrape.all("gossipsub_messages_duplicate_total");
    assert_eq!(duplicate, receive(&["duplicate"]));
    let dropped = receive(&["not_joined", "throttled"]);
    let waiting = receive(&["batched", "validating"]);
    let validated_at_once = receive(&["routed", "invalid", "outdated", "unknown"]);
    assert_eq!(received, duplicate + dropped + waiting + validated_at_once);
    assert_eq!(received, scrape.sum("gossipsub_rpc_received_total", &[("type", "message")]));
    for (outcome, validity) in VERDICTS {
        let inputs = [Input::ReceiveMessage, Input::RetryMessage, Input::ValidationResult];
        let given: f64 = inputs.iter().map(|input| scrape.inputs(*input, &[outcome])).sum();
        let validated = scrape.sum("gossipsub_messages_validated_total", &[("validity", validity)]);
        assert_eq!(validated, given, "{validity}");
    }
    let delivered = scrape.all("gossipsub_messages_delivered_total");
    assert_eq!(delivered, scrape.sum("gossipsub_messages_validated_total", &[("validity", "valid")]));
    let published = scrape.all("gossipsub_messages_published_total");
    assert_eq!(published, scrape.inputs(Input::Publish, &["published"]));
    let sent = scrape.sum("gossipsub_rpc_sent_total", &[("type", "message")]);
    assert_eq!(scrape.all("gossipsub_messages_sent_total"), sent);
}

/// Every admitted message reached a state machine.
pub fn inputs(scrape: &Scrape) {
    let pairs = [
        ("subscribe", Input::Subscribe),
        ("unsubscribe", Input::Unsubscribe),
        ("graft", Input::Graft),
        ("prune", Input::Prune),
        ("ihave", Input::IHave),
        ("message", Input::ReceiveMessage),
        ("idontwant", Input::IDontWant),
    ];
    for (kind, input) in pairs {
        let received = scrape.sum("gossipsub_rpc_received_total", &[("type", kind)]);
        assert_eq!(received, scrape.inputs(input, &[]), "{kind}");
    }
}

/// Every requested id was answered, unless the score of the peer was too low. Every tracked promise was fulfilled, broken
/// or cancelled, or is still open.
pub fn gossip(scrape: &Scrape) {
    let requested =
        scrape.sum("gossipsub_message_ids_total", &[("type", "iwant"), ("direction", "received")]);
    let answered = scrape.all("gossipsub_iwant_responses_total");
    if scrape.inputs(Input::IWant, &["low_score"]) == 0.0 {
        assert_eq!(requested, answered);
    } else {
        assert!(requested > answered);
    }
    let sent = scrape.sum("gossipsub_messages_sent_total", &[("path", "iwant")]);
    assert_eq!(sent, scrape.sum("gossipsub_iwant_responses_total", &[("response", "message")]));
    let promises = |event| scrape.sum("gossipsub_iwant_promises_total", &[("event", event)]);
    let open = scrape.sum("gossipsub_cache_entries", &[("cache", "promises")]);
    assert_eq!(
        promises("started"),
        promises("fulfilled") + promises("broken") + promises("cancelled") + open
    );
    assert_eq!(promises("fulfilled"), scrape.all("gossipsub_iwant_promise_duration_seconds_count"));
}

/// Each violation was penalised once.
pub fn penalties(scrape: &Scrape) {
    let penalties = |reason| scrape.sum("gossipsub_score_penalties_total", &[("reason", reason)]);
    assert_eq!(penalties("graft_backoff"), scrape.inputs(Input::Graft, &["backed_off"]));
    assert_eq!(
        penalties("broken_promise"),
        scrape.sum("gossipsub_iwant_promises_total", &[("event", "broken")])
    );
    // A message with a later verdict may have several senders.
    let at_once =
        scrape.inputs(Input::ReceiveMessage, &["invalid"]) + scrape.inputs(Input::IHave, &["invalid_id"]);
    let later = scrape.inputs(Input::ValidationResult, &["invalid"])
        + scrape.inputs(Input::RetryMessage, &["invalid"]);
    let given = penalties("invalid_message");
    assert!(
        if later > 0.0 { given >= at_once + later } else { given == at_once },
        "{given} for {at_once}, {later}"
    );
}

/// For each topic: grafted peers - pruned peers = peers in the mesh, as in the state. The metrics must be those of a
/// heartbeat without later inputs.
pub fn meshes<N: Network>(scrape: &Scrape, state: &View<N>)
where
    N::Topic: Name,
{
    let topics = scrape.values("gossipsub_mesh_peers", "topic");
    assert!(
        state.mesh.keys().all(|topic| topics.contains(&topic.to_string())),
        "each topic has a label in these tests"
    );
    for topic in &topics {
        let of = [("topic", topic.as_str())];
        let peers = scrape.sum("gossipsub_mesh_peers", &of);
        let (grafted, pruned) = ("gossipsub_mesh_grafted_total", "gossipsub_mesh_pruned_total");
        assert_eq!(scrape.sum(grafted, &of) - scrape.sum(pruned, &of), peers, "{topic}");
        let name = N::Topic::from(topic.as_str());
        let mesh = state.mesh.get(&name);
        assert_eq!(peers, mesh.map_or(0, |mesh| mesh.len()) as f64, "{topic}");
        assert_eq!(scrape.sum("gossipsub_topic_subscribed", &of), f64::from(u8::from(mesh.is_some())));
        let outbound = |peer: &&N::Peer| state.connections[*peer].outbound;
        let outbound = mesh.into_iter().flatten().filter(outbound).count();
        assert_eq!(scrape.sum("gossipsub_mesh_outbound_peers", &of), outbound as f64, "{topic}");
        let subscribers = state.connections.values().filter(|connection| connection.topics.contains(&name));
        if mesh.is_some() {
            assert_eq!(scrape.sum("gossipsub_topic_peers", &of), subscribers.count() as f64, "{topic}");
        } else {
            assert!(*topic == OTHER || peers == 0.0, "{topic}");
        }
    }
    assert_eq!(scrape.all("gossipsub_topics"), state.mesh.len() as f64);
}

/// The numbers of peers and the scores equal the state. The metrics must be those of a heartbeat without later inputs.
pub fn peers<N: Network>(scrape: &Scrape, state: &View<N>) {
    let connections = scrape.all("gossipsub_connections");
    assert_eq!(connections, state.connections.len() as f64);
    assert_eq!(connections, scrape.all("gossipsub_peers_by_score"));
    let scores = state.connections.keys().map(|peer| state.scores[peer].score);
    let (least, greatest) =
        scores.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), score| {
            (least.min(score), greatest.max(score))
        });
    if connections > 0.0 {
        assert_eq!(scrape.sum("gossipsub_peer_score", &[("stat", "min")]), least);
        assert_eq!(scrape.sum("gossipsub_peer_score", &[("stat", "max")]), greatest);
        let mean: f64 = ["p1", "p2", "p3", "p3b", "p4", "p5", "p7"]
            .map(|component| {
                scrape.sum("gossipsub_score_component", &[("component", component), ("stat", "mean")])
            })
            .iter()
            .sum();
        let expected = scores.clone().sum::<f64>() / connections;
        assert!((mean - expected).abs() < 1e-9 * expected.abs().max(1.0), "{mean} is not {expected}");
    }
    let negative = scores.filter(|score| *score < 0.0).count();
    let bands = ["below_graylist", "below_publish", "below_gossip", "negative"];
    let reported = bands.map(|band| scrape.sum("gossipsub_peers_by_score", &[("band", band)]));
    assert_eq!(reported.iter().sum::<f64>(), negative as f64);
}

/// The sixteen statistics equal the metrics. These tests have no bootstrap peers, for which they would differ.
pub fn stats(scrape: &Scrape, stats: &Stats) {
    let sent = |kind| scrape.sum("gossipsub_rpc_sent_total", &[("type", kind)]);
    let validated = |validity| scrape.sum("gossipsub_messages_validated_total", &[("validity", validity)]);
    let reported = [
        scrape.all("gossipsub_topics"),
        scrape.all("gossipsub_connections"),
        scrape.sum("gossipsub_connections", &[("kind", "bootstrap")]),
        sent("message"),
        sent("graft"),
        sent("prune"),
        sent("ihave"),
        sent("iwant"),
        validated("valid"),
        validated("invalid"),
        validated("unknown"),
        validated("outdated"),
        scrape.inputs(Input::Graft, &["grafted", "mesh_full"]),
        scrape.inputs(Input::Prune, &["px_ignored", "no_px", "px"]),
        scrape.sum("gossipsub_message_ids_total", &[("type", "iwant"), ("direction", "sent")]),
        scrape.sum("gossipsub_iwant_responses_total", &[("response", "message")]),
    ];
    let Stats {
        count_topics,
        count_connections,
        count_bootstrap_connections,
        count_sent_app_messages,
        count_sent_grafts,
        count_sent_prunes,
        count_sent_ihaves,
        count_sent_iwants,
        count_recv_valid_app_messages,
        count_recv_invalid_app_messages,
        count_recv_unknown_validity_app_messages,
        count_recv_outdated_app_messages,
        count_recv_grafts,
        count_recv_prunes,
        count_recv_ihaves,
        count_recv_iwants,
    } = *stats;
    let counted = [
        count_topics,
        count_connections,
        count_bootstrap_connections,
        count_sent_app_messages,
        count_sent_grafts,
        count_sent_prunes,
        count_sent_ihaves,
        count_sent_iwants,
        count_recv_valid_app_messages,
        count_recv_invalid_app_messages,
        count_recv_unknown_validity_app_messages,
        count_recv_outdated_app_messages,
        count_recv_grafts,
        count_recv_prunes,
        count_recv_ihaves,
        count_recv_iwants,
    ];
    assert_eq!(reported, counted.map(|count| count as f64));
}

/// For a whole network and each type: sent = received + dropped. Messages and gossip are added up, because their lanes
/// have several types.
pub fn wire(scrapes: &[Scrape], with_pings: bool) {
    let sum = |name: &str, label: &str, values: &[&str]| -> f64 {
        let of =
            |scrape: &Scrape| values.iter().map(|value| scrape.sum(name, &[(label, value)])).sum::<f64>();
        scrapes.iter().map(of).sum()
    };
    let control: &[&str] = if with_pings {
        &["subscribe", "unsubscribe", "graft", "prune", "ping"]
    } else {
        &["subscribe", "unsubscribe", "graft", "prune"]
    };
    let groups: [(&[&str], &[&str]); 3] = [
        (&["message"], &["publish", "forward", "iwant_response"]),
        (&["ihave", "iwant", "idontwant"], &["gossip"]),
        (control, &["control"]),
    ];
    for (types, lanes) in groups {
        let sent = sum("gossipsub_rpc_sent_total", "type", types);
        let received = sum("gossipsub_rpc_received_total", "type", types);
        let dropped = sum("gossipsub_outputs_dropped_total", "lane", lanes);
        assert_eq!(sent, received + dropped, "{types:?}");
        if dropped == 0.0 {
            for kind in types {
                let (sent, received) = ("gossipsub_rpc_sent_total", "gossipsub_rpc_received_total");
                assert_eq!(sum(sent, "type", &[kind]), sum(received, "type", &[kind]), "{kind}");
            }
        }
    }
}

/// For a whole network without drops: the sent bytes and ids equal the received ones.
pub fn contents(scrapes: &[Scrape]) {
    let sum =
        |name: &str, labels: &[(&str, &str)]| -> f64 { scrapes.iter().map(|s| s.sum(name, labels)).sum() };
    let sent = sum("gossipsub_message_sent_bytes_total", &[]);
    assert!(sent > 0.0);
    assert_eq!(sent, sum("gossipsub_message_received_bytes_total", &[]));
    for kind in ["ihave", "iwant"] {
        let ids = |direction| sum("gossipsub_message_ids_total", &[("type", kind), ("direction", direction)]);
        assert_eq!(ids("sent"), ids("received"), "{kind}");
    }
}

/// All identities of one engine, after a heartbeat without other inputs.
pub async fn engine<N: Network>(worker: &Worker<N>, scrape: &Scrape)
where
    N::Topic: Name,
{
    let state = worker.state().await.expect("the engine runs");
    messages(scrape);
    gossip(scrape);
    meshes(scrape, &state);
    peers(scrape, &state);
    stats(scrape, &worker.stats());
    penalties(scrape);
}

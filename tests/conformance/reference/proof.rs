//! These checks prove that a comparison can fail. Each recorded expectation equals itself and differs from each of its
//! alterations, and a driver that does nothing fails every trace.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    alteration::alterations,
    canonical::differences,
    driver::Driver,
    folder::{self, Kind, Trace},
    node_engine::NodeEngine,
    ops::{AutomatonOp, Line, Step, WorkerOp},
    rules::ANSWER,
    runner::replay,
    worker::WorkerDriver,
};

/// The number of lines whose alterations are tried, for each pair of an op and an answer.
const SAMPLES: usize = 8;

fn repository_traces(kind: Kind) -> Vec<Trace> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    folder::traces(&root, kind).expect("the repository's traces")
}

fn lines(trace: &Trace) -> impl Iterator<Item = Line> {
    trace.lines.lines().map(|line| serde_json::from_str(line).expect("a line"))
}

fn equal(expected: &Value, got: &Value) -> bool {
    differences(&ANSWER, expected, got).is_empty()
}

#[test]
fn every_recorded_op_is_known_and_every_expectation_equals_itself() {
    for kind in Kind::ALL {
        for trace in repository_traces(kind) {
            for (index, Line { op, expect }) in lines(&trace).enumerate() {
                let known = match kind {
                    Kind::Automaton => Step::<AutomatonOp>::parse(&op).map(drop),
                    Kind::Worker => Step::<WorkerOp>::parse(&op).map(drop),
                };
                assert_eq!(known, Ok(()), "{}:{}: {op}", trace.name, index + 1);
                let found = differences(&ANSWER, &expect, &expect);
                assert!(found.is_empty(), "{}:{}: {found:?}", trace.name, index + 1);
            }
        }
    }
}

#[test]
fn no_altered_expectation_equals_its_original() {
    let mut samples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in
        Kind::ALL.into_iter().flat_map(repository_traces).flat_map(|trace| lines(&trace).collect::<Vec<_>>())
    {
        let of_this_form = samples.entry(format!("{} {}", line.op["op"], line.expect["out"])).or_default();
        // Views of thousands of entries are skipped: they would prove no more than smaller ones.
        if of_this_form.len() < SAMPLES && line.expect.to_string().len() < 12_000 {
            of_this_form.push(line.expect);
        }
    }
    let mut tried = 0;
    for original in samples.into_values().flatten() {
        for (change, altered) in alterations(&original) {
            tried += 1;
            assert!(!equal(&original, &altered), "{change} passes:\n{original}\n{altered}");
            assert!(!equal(&altered, &original), "{change} passes as expectation:\n{original}\n{altered}");
        }
    }
    assert!(tried > 5_000, "only {tried} alterations tried");
}

#[test]
fn an_op_with_an_unknown_name_or_argument_is_refused() {
    let refused = [
        json!({ "op": "heartbeet" }),
        json!({ "op": "heartbeat", "twice": true }),
        json!({ "op": "graft", "peer": 1, "topic": "t0", "loudly": true }),
        json!({ "op": "receive_message", "sender": 1, "topic": "t0", "message_id": ["t0", 1], "message": "m", "x": 0 }),
        json!({ "op": "set_batch_mode", "mode": "odd" }),
        json!({ "op": "set_peer_filter", "peer": 1, "deny": [], "x": 0 }),
        json!({ "op": "make", "limits": {} }),
    ];
    for op in refused {
        assert!(Step::<AutomatonOp>::parse(&op).is_err(), "{op}");
    }
    let ping = json!({ "type": "in_message", "from_peer": 1, "p2p_message": { "type": "ping", "x": 0 } });
    for op in [json!({ "op": "p2p_input", "input": ping }), json!({ "op": "hold", "x": 0 })] {
        assert!(Step::<WorkerOp>::parse(&op).is_err(), "{op}");
    }
}

fn to(peer: i64, message: Value) -> Value {
    json!({ "type": "out_message", "to_peer": peer, "p2p_message": message })
}

fn ok(p2p: &[Value]) -> Value {
    json!({ "out": "ok", "p2p": p2p, "app": [] })
}

#[test]
fn outputs_compare_as_a_multiset_and_in_order_for_each_destination() {
    let [subscribe, graft, ping] = [
        json!({ "type": "subscribe", "topic": "t0" }),
        json!({ "type": "graft", "topic": "t0" }),
        json!({ "type": "ping" }),
    ];
    let ihave = json!({ "type": "ihave", "topic": "t0", "message_ids": [["t0", 1], ["t0", 2]] });
    let shuffled = json!({ "type": "ihave", "topic": "t0", "message_ids": [["t0", 2], ["t0", 1]] });
    let recorded =
        ok(&[to(1, subscribe.clone()), to(1, graft.clone()), to(2, ping.clone()), to(1, ihave.clone())]);

    let reordered =
        ok(&[to(2, ping.clone()), to(1, shuffled), to(1, subscribe.clone()), to(1, graft.clone())]);
    assert!(
        equal(&recorded, &reordered),
        "the order between destinations, and the position of ihave, do not matter"
    );
    let reversed =
        ok(&[to(1, graft.clone()), to(1, subscribe.clone()), to(2, ping.clone()), to(1, ihave.clone())]);
    assert!(!equal(&recorded, &reversed), "graft before subscribe");
    let twice = ok(&[to(1, subscribe), to(1, graft), to(2, ping.clone()), to(2, ping), to(1, ihave)]);
    assert!(!equal(&recorded, &twice), "there is one ping more");
}

#[test]
fn the_forms_that_format_md_calls_equal_are_equal() {
    let mut no_events = ok(&[]);
    no_events["events"] = json!([]);
    assert!(equal(&ok(&[]), &no_events), "no events");
    assert!(!equal(&ok(&[]), &json!({ "out": "ok" })), "outputs are not optional");
    let score = |score: f64| json!({ "out": "ignore_px_score_too_low", "score": score });
    assert!(equal(&score(0.0), &score(-0.0)));
    assert!(equal(&score(3e6), &score(3e6 * (1.0 + 5e-10))));
    assert!(!equal(&score(3e6), &score(3e6 * (1.0 + 2e-9))));
    let routed = |to: &[i64]| json!({ "out": "route_message", "to_route": to });
    assert!(equal(&routed(&[1, 2]), &routed(&[2, 1])));
    assert!(!equal(&routed(&[1, 2]), &routed(&[2, 1, 1])));
    let px = |to: &[i64]| json!({ "out": "batch_result", "results": to });
    assert!(!equal(&px(&[]), &px(&[1])), "a result of no known form");
}

/// A driver that gives the same answer to every op.
struct ConstantDriver;

impl Driver for ConstantDriver {
    type Op = WorkerOp;

    async fn start(_: WorkerOp) -> Result<(Self, Value), String> {
        Ok((Self, ok(&[])))
    }

    async fn perform(&mut self, step: Step<WorkerOp>) -> Result<Value, String> {
        match step {
            Step::Op(WorkerOp::Heartbeat { times: 3 }) => panic!("three heartbeats"),
            Step::Op(_) => Ok(ok(&[])),
            Step::Setting(_) => Ok(json!({ "out": "ok" })),
        }
    }

    async fn stop(self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn a_driver_that_does_nothing_fails_every_trace() {
    let traces = repository_traces(Kind::Worker);
    let report = actix_rt::System::new().block_on(replay::<ConstantDriver>(&traces));
    assert_eq!((report.traces, report.failures.len()), (traces.len(), traces.len()));
}

#[test]
fn a_panic_or_an_empty_or_garbled_trace_is_a_failure_of_that_trace_only() {
    let all = repository_traces(Kind::Worker);
    let make = all[0].lines.lines().next().expect("make");
    let view = all[0].lines.lines().last().expect("view");
    let quiet = r#"{"op":{"op":"advance_time","ms":1},"expect":{"out":"ok","p2p":[],"app":[]}}"#;
    let panics = r#"{"op":{"op":"heartbeat","times":3},"expect":{"out":"ok","p2p":[],"app":[]}}"#;
    let trace = |name: &str, lines: &[&str]| Trace { name: name.into(), lines: lines.join("\n") };
    let traces = [
        trace("panics", &[make, panics, quiet]),
        trace("empty", &[]),
        trace("garbled", &[make, quiet, "{"]),
        trace("differs", &[make, quiet, view]),
        trace("passes", &[make, quiet, quiet]),
    ];
    let report = actix_rt::System::new().block_on(replay::<ConstantDriver>(&traces));
    let positions: Vec<_> = report.failures.iter().filter_map(|failure| failure.split(": ").next()).collect();
    assert_eq!(positions, ["panics:2", "empty:0", "garbled:3", "differs:3"]);
    assert!(report.failures[0].contains("three heartbeats"), "{}", report.failures[0]);
}

/// No recorded trace contains `hold`, so the test has its own trace in the form of FORMAT.md, 5.
#[test]
fn inputs_of_a_paused_queue_are_bounded_and_handled_in_order() {
    let first = repository_traces(Kind::Worker)[0].lines.lines().next().expect("make").to_owned();
    let mut make: Value = serde_json::from_str(&first).expect("make");
    make["op"]["max_transport_input_queue_length"] = json!(3);
    make["op"]["topics"] = json!([]);
    make["expect"] = ok(&[]);
    let line = |op: Value, expect: Value| json!({ "op": op, "expect": expect }).to_string();
    let connect =
        json!({ "type": "new_connection", "peer": 4, "direct": false, "trusted": false, "bootstrap": false });
    let ping = json!({ "type": "in_message", "from_peer": 4, "p2p_message": { "type": "ping" } });
    let length = |n: usize| {
        line(json!({ "op": "input_queue_length" }), json!({ "out": "input_queue_length", "value": n }))
    };
    let mut released = ok(&[to(4, json!({ "type": "subscribe", "topic": "t9" }))]);
    released["events"] = json!([{ "type": "p2p_queue_drop", "depth": 3 }]);
    let lines = [
        make.to_string(),
        line(json!({ "op": "hold" }), ok(&[])),
        line(json!({ "op": "p2p_input", "input": connect }), ok(&[])),
        line(json!({ "op": "app_input", "input": { "type": "join", "topic": "t9" } }), ok(&[])),
        line(json!({ "op": "bounded_p2p_input", "input": ping, "times": 5 }), ok(&[])),
        length(4),
        line(json!({ "op": "release" }), released),
        length(0),
    ];
    let traces = [Trace { name: "hold".into(), lines: lines.join("\n") }];
    let report = actix_rt::System::new().block_on(replay::<WorkerDriver<NodeEngine>>(&traces));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.lines, lines.len());
}

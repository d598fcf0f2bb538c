//! A replayed line as a person reads it. Words only.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use actix_gossipsub::{
    protocol::Timestamp,
    trace::{Ended, Performed},
};
use serde_json::Value;

/// Lists up to this length are shown whole, longer ones by their length.
const MAX_SHOWN: usize = 4;

/// The outcomes of a line: of its inputs, or, in an automaton's trace, its answer.
pub fn names(performed: &Performed) -> impl Iterator<Item = &str> {
    let answer = performed.outcomes.is_empty().then_some(&performed.answer);
    let names = performed.outcomes.iter().chain(answer).filter_map(|outcome| outcome["out"].as_str());
    names.filter(|name| !matches!(*name, "ok" | "view"))
}

/// Milliseconds of the trace's time.
pub fn milliseconds(time: Timestamp) -> Value {
    let nanos = time.as_duration().as_nanos();
    match nanos % 1_000_000 {
        0 => Value::from((nanos / 1_000_000) as u64),
        _ => Value::from(nanos as f64 / 1e6),
    }
}

/// `    12      3.250 s  7 says graft on "t0": peer_backed_off; sends prune`.
pub fn write(out: &mut impl Write, performed: &Performed) -> io::Result<()> {
    let Performed { line, time, op, outcomes, answer, .. } = performed;
    let seconds = time.as_duration().as_secs_f64();
    let told: Vec<String> = if answer["out"] == "ok" {
        outcomes.iter().map(outcome).chain(emitted(answer)).collect()
    } else {
        vec![outcome(answer)]
    };
    if told.is_empty() && op["op"] == "advance_time" {
        // The next line shows the time.
        return Ok(());
    }
    let colon = if told.is_empty() { "" } else { ": " };
    writeln!(out, "{line:>7} {seconds:>12.6} s  {}{colon}{}", what(op), told.join("; "))
}

/// How often what came, and whether the trace is whole.
pub fn write_summary(
    out: &mut impl Write,
    ended: &Ended,
    outcomes: &BTreeMap<String, u64>,
) -> io::Result<()> {
    let seconds = ended.time.as_duration().as_secs_f64();
    writeln!(out, "\n{} lines, {seconds:.3} s", ended.lines)?;
    for (name, count) in outcomes {
        writeln!(out, "{count:>9} {name}")?;
    }
    match ended.lost {
        0 => writeln!(out, "Nothing is missing in the trace."),
        lost => writeln!(out, "{lost} inputs are missing in the trace: it is not exactly what happened."),
    }
}

/// What is done, in short.
fn what(op: &Value) -> String {
    let name = op["op"].as_str().unwrap_or_default();
    let input = &op["input"];
    let kind = input["type"].as_str().unwrap_or_default();
    match (name, kind) {
        (_, "in_message") => {
            let message = &input["p2p_message"];
            let said = message["type"].as_str().unwrap_or_default();
            format!("{} says {said}{}", short(&input["from_peer"]), about(message))
        }
        (_, "new_connection") => format!("{} connects", short(&input["peer"])),
        (_, "disconnection") => format!("{} is gone", short(&input["peer"])),
        ("app_input", kind) => format!("the application says {kind}{}", about(input)),
        (name, _) => format!("{name}{}", about(op)),
    }
}

/// Whom and what it is about.
fn about(object: &Value) -> String {
    let field = |key: &str| match &object[key] {
        Value::Null => String::new(),
        value => format!(" {key}={}", short(value)),
    };
    ["peer", "sender", "topic", "message_id", "ms", "point", "lost", "score"].map(field).concat()
}

/// An outcome and what it carries.
fn outcome(value: &Value) -> String {
    let name = value["out"].as_str().unwrap_or_default();
    let Some(object) = value.as_object().filter(|_| name != "view") else { return name.to_owned() };
    let carried = object.iter().filter(|(key, value)| *key != "out" && !is_empty(value));
    let carried = carried.map(|(key, value)| format!(" {key}={}", short(value)));
    name.to_owned() + &carried.collect::<String>()
}

/// What is sent, by type, and what is delivered.
fn emitted(answer: &Value) -> Vec<String> {
    let list = |key: &str| answer[key].as_array().map_or(&[][..], Vec::as_slice).iter();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for output in list("p2p") {
        let kind = output["p2p_message"]["type"].as_str().or_else(|| output["type"].as_str());
        *counts.entry(kind.unwrap_or_default()).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let sends = (!counts.is_empty()).then(|| format!("emits {}", counts.join(", ")));
    let delivered = list("app").count();
    let delivers = (delivered > 0).then(|| format!("delivers {delivered}"));
    sends.into_iter().chain(delivers).chain(list("events").map(Value::to_string)).collect()
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|fields| fields.is_empty())
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() > MAX_SHOWN => format!("({} of them)", items.len()),
        Value::Object(fields) if fields.len() > MAX_SHOWN => format!("({} of them)", fields.len()),
        other => other.to_string(),
    }
}

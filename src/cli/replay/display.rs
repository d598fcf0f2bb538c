//! A replayed line as text for a person.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use actix_gossipsub::recording::Replayed;
use serde_json::Value;

/// Lists up to this length are printed whole, longer ones by their length.
const MAX_LISTED: usize = 4;

/// The kind of a line's input, and the name of its outcome: `graft` and `backed_off`. An input without outcomes is
/// `done`. None if the line is no input.
pub fn outcome_of_input(replayed: &Replayed) -> Option<(&str, &str)> {
    let op = &replayed.op;
    let (message, input) = (&op["input"]["p2p_message"]["type"], &op["input"]["type"]);
    let kind = message.as_str().or(input.as_str()).or(op["op"].as_str())?;
    let is_input = !matches!(kind, "make" | "advance_time" | "gap");
    is_input.then(|| (kind, replayed.outcome["outcome"].as_str().unwrap_or("done")))
}

/// `    12     3.250000 s  graft from 7 topic=t0: backed_off; emits 1 prune`.
pub fn write(out: &mut impl Write, replayed: &Replayed) -> io::Result<()> {
    let Replayed { line, time, op, outcome, .. } = replayed;
    let effects: Vec<String> = described(outcome).into_iter().chain(emitted(replayed)).collect();
    if effects.is_empty() && op["op"] == "advance_time" {
        // The next line has the time.
        return Ok(());
    }
    let seconds = time.as_duration().as_secs_f64();
    let colon = if effects.is_empty() { "" } else { ": " };
    writeln!(out, "{line:>7} {seconds:>12.6} s  {}{colon}{}", description(op), effects.join("; "))
}

/// How often each outcome occurred, and whether the recording is complete.
pub fn write_summary(
    out: &mut impl Write,
    outcomes: &BTreeMap<String, BTreeMap<String, u64>>,
    lost: u64,
) -> io::Result<()> {
    for (kind, outcomes) in outcomes {
        for (outcome, count) in outcomes {
            writeln!(out, "{count:>9} {kind}: {outcome}")?;
        }
    }
    match lost {
        0 => writeln!(out, "Nothing is missing in the recording."),
        lost => writeln!(
            out,
            "{lost} inputs are missing in the recording: the replay differs from what happened."
        ),
    }
}

/// The operation, in short.
fn description(op: &Value) -> String {
    let name = op["op"].as_str().unwrap_or_default();
    let input = &op["input"];
    let kind = input["type"].as_str().unwrap_or_default();
    match (name, kind) {
        (_, "in_message") => {
            let message = &input["p2p_message"];
            let kind = message["type"].as_str().unwrap_or_default();
            format!("{kind} from {}{}", short(&input["from_peer"]), arguments(message))
        }
        (_, "new_connection") => format!("{} connects", short(&input["peer"])),
        (_, "disconnection") => format!("{} disconnects", short(&input["peer"])),
        ("app_input", kind) => format!("application: {kind}{}", arguments(input)),
        (name, _) => format!("{name}{}", arguments(op)),
    }
}

/// The arguments that identify what an operation is about.
fn arguments(object: &Value) -> String {
    let field = |key: &str| match &object[key] {
        Value::Null => String::new(),
        value => format!(" {key}={}", short(value)),
    };
    ["peer", "topic", "message_id", "ms", "point", "lost", "score"].map(field).concat()
}

/// An outcome with its fields; none if there is nothing to say.
fn described(outcome: &Value) -> Option<String> {
    let fields = outcome.as_object()?.iter().filter(|(key, value)| *key != "outcome" && !is_empty(value));
    let fields: String = fields.map(|(key, value)| format!(" {key}={}", short(value))).collect();
    let text = outcome["outcome"].as_str().unwrap_or_default().to_owned() + &fields;
    Some(text.trim_start().to_owned()).filter(|text| !text.is_empty())
}

/// The outputs: messages and requests to the p2p layer by type, deliveries to the application, events.
fn emitted(replayed: &Replayed) -> impl Iterator<Item = String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for output in &replayed.p2p {
        let kind = output["p2p_message"]["type"].as_str().or_else(|| output["type"].as_str());
        *counts.entry(kind.unwrap_or_default()).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let emits = (!counts.is_empty()).then(|| format!("emits {}", counts.join(", ")));
    let delivered = replayed.app.len();
    let delivers = (delivered > 0).then(|| format!("delivers {delivered}"));
    emits.into_iter().chain(delivers).chain(replayed.events.iter().map(Value::to_string))
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|fields| fields.is_empty())
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() > MAX_LISTED => format!("({} of them)", items.len()),
        Value::Object(fields) if fields.len() > MAX_LISTED => format!("({} of them)", fields.len()),
        other => other.to_string(),
    }
}

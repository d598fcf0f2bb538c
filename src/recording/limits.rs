//! The limits in a recording's first line. They have the form of parameter files, with two differences that
//! tests/traces/FORMAT.md, section 2, demands: its spans are milliseconds, and `score` is named `score_limits`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::line::Milliseconds;
use crate::limits::Extensions;

/// The spans of FORMAT.md.
const SPANS: [&str; 9] = [
    "unsubscribe_backoff",
    "graft_flood_threshold",
    "prune_backoff",
    "retain_duration",
    "fanout_ttl",
    "heartbeat_interval",
    "time_in_mesh_quantum",
    "mesh_message_deliveries_window",
    "mesh_message_deliveries_activation",
];

/// Rewrites serialised limits as a recording has them.
pub(super) fn into_recorded(limits: &mut Value) {
    each_span(limits, &|span| {
        if let Ok(duration) = humantime_serde::deserialize(&*span) {
            *span = json!(Milliseconds(duration));
        }
    });
    if let Some(mut score) = limits.as_object_mut().and_then(|fields| fields.remove("score")) {
        if score["topic_score_cap"] == "none" {
            score["topic_score_cap"] = Value::Null;
        }
        limits["score_limits"] = score;
    }
}

/// Rewrites recorded limits so that they can be deserialised. Limits without `extensions` are the reference's: it has
/// none. A span that is no number of milliseconds stays as it is, and deserialising refuses it.
pub(super) fn from_recorded(limits: &mut Value) {
    each_span(limits, &|span| {
        if let Ok(Milliseconds(duration)) = Milliseconds::deserialize(&*span) {
            *span = format!("{}ns", duration.as_nanos()).into();
        }
    });
    if let Value::Object(fields) = limits {
        fields.remove("score_limits").map(|score| fields.insert("score".to_owned(), score));
        if !fields.contains_key("extensions") {
            fields.insert("extensions".to_owned(), json!(Extensions::none()));
            if let Some(Value::Object(score)) = fields.get_mut("score") {
                score.entry("ip_colocation_weight").or_insert(json!(0.0));
            }
        }
    }
}

/// Converts the spans of FORMAT.md. The keys of `weights` are topics, which may have the name of a span.
fn each_span(limits: &mut Value, convert: &impl Fn(&mut Value)) {
    let Value::Object(fields) = limits else { return };
    for (name, value) in fields {
        match name.as_str() {
            "weights" | "extensions" | "bounds" => {}
            name if SPANS.contains(&name) && !value.is_object() => convert(value),
            _ => each_span(value, convert),
        }
    }
}

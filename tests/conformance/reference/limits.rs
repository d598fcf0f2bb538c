//! This module reads the limits of a trace (FORMAT.md, 2).

use std::sync::Arc;

use actix_gossipsub::{
    Limits, LimitsConfig,
    limits::{Bounds, Extensions, ScoreLimits, TopicLimits},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The limits that are durations in milliseconds.
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

/// Upper bounds that the reference does not check (`s_check_limits`, lines 48 and 49). It treats negative values as 0.
const UNCHECKED_BOUNDS: [&str; 6] = [
    "max_recv_ihave_per_heartbeat",
    "max_sent_iwant_per_heartbeat",
    "max_gossip_retransmission",
    "peers_to_px",
    "opportunistic_graft_peers",
    "max_topics_per_peer",
];

/// Limits that are complete and of the right types, but not yet checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct ReferenceLimits {
    pub recorded: Value,
    config: Box<LimitsConfig<Arc<str>>>,
    /// Negative values of limits that have an unsigned type here.
    refused: Vec<String>,
}

impl ReferenceLimits {
    /// The limits that an engine runs with; an error if it does not accept them.
    pub fn accept(&self) -> Result<Limits<Arc<str>>, String> {
        match self.refused.first() {
            Some(refused) => Err(refused.clone()),
            None => Limits::try_from((*self.config).clone()).map_err(|error| error.to_string()),
        }
    }

    /// The heartbeat interval in milliseconds.
    pub fn heartbeat_interval(&self) -> i64 {
        i64::try_from(self.config.heartbeat_interval.as_millis()).expect("an interval of the traces")
    }
}

impl TryFrom<Value> for ReferenceLimits {
    type Error = String;

    fn try_from(recorded: Value) -> Result<Self, String> {
        let (mut fields, mut refused) = (recorded.clone(), Vec::new());
        into_parameter_file(&mut fields, &mut refused);
        fields["extensions"] = json!(Extensions::none());
        fields["bounds"] = json!(Bounds::default());
        fields["topics"] = json!(TopicLimits::<String>::default());
        // The reference has no P6.
        let score = ScoreLimits::<String>::default();
        fields["score"]["ip_colocation_weight"] = json!(0.0);
        fields["score"]["ip_colocation_threshold"] = json!(score.ip_colocation_threshold);
        fields["score"]["ip_colocation_whitelist"] = json!(score.ip_colocation_whitelist);
        if fields["score"]["topics"]["kind"] == "family" {
            fields["score"]["topics"]["patterns"] = json!([]);
        }
        let config = serde_json::from_value(fields.clone()).map_err(|error| error.to_string())?;
        match missing(&json!(config), &fields) {
            Some(missing) => Err(format!("{missing} is missing")),
            None => Ok(Self { recorded, config, refused }),
        }
    }
}

/// Rewrites limits as a parameter file has them, with 0 for negative counts and spans.
fn into_parameter_file(limits: &mut Value, refused: &mut Vec<String>) {
    let Value::Object(fields) = limits else { return };
    for (name, value) in fields.iter_mut() {
        // Counts and spans are recorded as integers; other numbers have a fraction.
        if let Some(negative) = value.as_i64().filter(|value| *value < 0) {
            if !UNCHECKED_BOUNDS.contains(&name.as_str()) {
                refused.push(format!("{name} = {negative}: out of range"));
            }
            *value = json!(0);
        }
        match value.as_i64() {
            Some(span) if SPANS.contains(&name.as_str()) => *value = json!(format!("{span}ms")),
            _ => into_parameter_file(value, refused),
        }
    }
    if let Some(score) = fields.remove("score_limits") {
        fields.insert("score".to_owned(), score);
    }
}

/// A field of `all` that `given` lacks.
fn missing(all: &Value, given: &Value) -> Option<String> {
    let absent = |(name, value): (&String, &Value)| match given.get(name) {
        None => Some(name.clone()),
        Some(given) => missing(value, given),
    };
    all.as_object()?.iter().find_map(absent)
}

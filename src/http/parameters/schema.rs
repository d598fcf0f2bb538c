//! The schemas of changes of parameters: a field has the type of its default value.

use serde_json::{Map, Value, json};

use crate::{
    http::shape::Shape,
    limits::{LimitsConfig, TopicFamily, TopicOverrides, TopicScoreLimits},
};

/// The fields that are a number or `"none"`.
const OPTIONAL: [&str; 3] = ["graylist_threshold", "disconnect_threshold", "topic_score_cap"];

/// Adds the schemas of [`RuntimeParameters`](super::RuntimeParameters) and of the response. `topic`: what topics are.
pub(in crate::http) fn add_schemas(schemas: &mut Value, topic: Shape) {
    let mut parameters = runtime_parameters(&topic_name(topic));
    parameters["description"] =
        "A part of the parameters that can change while an engine runs, with the names of a \
        configuration file. It is merged into those in force."
            .into();
    let names: Vec<_> =
        parameters["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    schemas["RuntimeParameters"] = parameters;
    schemas["ParametersInForce"] = json!({
        "description": "All parameters that can change while an engine runs.",
        "allOf": [{ "$ref": "#/components/schemas/RuntimeParameters" }],
        "required": names,
    });
}

fn runtime_parameters(topic: &Value) -> Value {
    let mut parameters = of_default(&LimitsConfig::<String>::default().runtime());
    let fields = &mut parameters["properties"];
    fields["topics"] = topic_limits(topic);
    fields["score"]["properties"]["topics"] = topic_scores(topic);
    fields["score"]["properties"]["ip_colocation_whitelist"] =
        list(json!({ "type": "string", "format": "subnet" }));
    parameters
}

fn topic_limits(topic: &Value) -> Value {
    let mut overrides = of_default(&TopicOverrides {
        degree_optimal: Some(0),
        degree_low: Some(0),
        degree_high: Some(0),
        degree_score: Some(0),
        degree_out: Some(0),
        idontwant_message_size: Some(0),
        max_message_size: Some(0),
        sent_first: Some(false),
    });
    for field in overrides["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        field["type"] = json!([field["type"], "null"]);
    }
    let pattern = json!({ "pattern": { "type": "string" }, "limits": overrides });
    let properties = json!({
        "named": by_topic(topic, overrides),
        "patterns": list(object(pattern, &["pattern", "limits"])),
    });
    object(properties, &[])
}

fn topic_scores(topic: &Value) -> Value {
    let number = json!({ "type": "number" });
    let parameters = of_default(&TopicScoreLimits::default());
    let single = json!({ "kind": { "enum": ["single"] }, "parameters": parameters });
    let pattern = json!({ "pattern": { "type": "string" }, "weight": number, "parameters": parameters });
    let mut family = of_default(&TopicFamily::<String>::default())["properties"].take();
    family["kind"] = json!({ "enum": ["family"] });
    family["all_topics"] = list(topic.clone());
    family["parameters"] = by_topic(topic, parameters);
    family["weights"] = by_topic(topic, number);
    family["patterns"] = list(object(pattern, &["pattern", "weight", "parameters"]));
    json!({ "anyOf": [object(single, &["kind"]), object(family, &["kind"])] })
}

/// The schema of the text of a topic.
fn topic_name(topic: Shape) -> Value {
    match topic {
        Shape::Integer { min, .. } => {
            let sign = if min < 0 { "-?" } else { "" };
            json!({ "type": "string", "pattern": format!("^(0|{sign}[1-9][0-9]{{0,18}})$") })
        }
        other => other.text_schema("topic"),
    }
}

fn of_default(value: &impl serde::Serialize) -> Value {
    // It consists of strings, numbers and lists of them.
    of_field("", &serde_json::to_value(value).unwrap_or_default())
}

/// The schema of a field with this default value. That of a list accepts all: it depends on the items.
fn of_field(name: &str, default: &Value) -> Value {
    match default {
        _ if OPTIONAL.contains(&name) => {
            json!({ "anyOf": [{ "type": "number" }, { "enum": ["none"] }, { "type": "null" }] })
        }
        Value::Object(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|(name, default)| (name.clone(), of_field(name, default))).collect();
            object(properties.into(), &[])
        }
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_u64() => {
            json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
        }
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string", "format": "humantime" }),
        Value::Array(_) | Value::Null => json!({}),
    }
}

/// An object with these fields only.
fn object(properties: Value, required: &[&str]) -> Value {
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object whose fields are topics. `null` removes one.
fn by_topic(topic: &Value, entry: Value) -> Value {
    let mut topics =
        json!({ "type": "object", "additionalProperties": { "anyOf": [entry, { "type": "null" }] } });
    if *topic != json!({ "type": "string" }) {
        topics["propertyNames"] = topic.clone();
    }
    topics
}

//! Changes of the limits of a running engine by JSON, which is merged into the values in force.

mod schema;

use std::convert::Infallible;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(super) use self::schema::add_schemas;
use super::{
    identifier::{self, Identifier},
    mistake::{Mistake, from_json},
    problem::Problem,
};
use crate::limits::{LimitsConfig, RuntimeLimits, TopicFamily, TopicScoreLimits, TopicScores};

/// A part of the parameters that can change while an engine runs.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(super) struct RuntimeParameters(Value);

/// All parameters that can change while an engine runs.
#[derive(Default, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(super) struct ParametersInForce(Value);

impl RuntimeParameters {
    /// Finds the values that their fields can't have, whatever is in force.
    pub(super) fn check<T>(&self) -> Result<(), Problem>
    where
        T: Clone + Ord + Serialize + DeserializeOwned,
    {
        self.merge_into::<T>(&mut LimitsConfig::default().runtime()).map(drop)
    }

    /// Replaces the limits by those with this change.
    ///
    /// # Errors
    /// As [`check`](Self::check). The limits have not changed then.
    pub(super) fn merge_into<T>(&self, limits: &mut RuntimeLimits<T>) -> Result<ParametersInForce, Problem>
    where
        T: Clone + Ord + Serialize + DeserializeOwned,
    {
        let mut merged = to_json(limits.clone());
        merge_limits(&mut merged, self.0.clone());
        *limits = read(merged)?.map_topics(|topic| identifier::parse_key("topic", &topic))?;
        Ok(ParametersInForce(to_json(limits.clone())))
    }

    /// The names of the fields that it has.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect()
    }
}

/// Topics are keys of JSON objects here, and such keys must be strings.
fn to_json<T: Serialize>(limits: RuntimeLimits<T>) -> Value {
    let Ok(limits) = limits.map_topics(|topic| Ok::<_, Infallible>(Identifier::new(&topic).text()));
    // It consists of strings, numbers and lists of them.
    serde_json::to_value(limits).unwrap_or_default()
}

/// The places of the score parameters of topics, and of the field that decides which there are.
const SCORES: &str = "/score/topics";
const KIND: &str = "/score/topics/kind";

fn merge_limits(limits: &mut Value, change: Value) {
    // Those of one kind do not fit to those of another.
    if change.pointer(SCORES).is_some() && change.pointer(KIND) != limits.pointer(KIND) {
        limits["score"]["topics"] = Value::Null;
    }
    merge(limits, change);
    let is_family = limits.pointer(KIND).is_some_and(|kind| kind == "family");
    let of_family = ["/score/topics/parameters", "/score/topics/weights"].into_iter().filter(|_| is_family);
    for topics in of_family.chain(["/topics/named"]) {
        let topics = limits.pointer_mut(topics).and_then(Value::as_object_mut);
        topics.into_iter().for_each(|topics| topics.retain(|_, entry| !entry.is_null()));
    }
}

/// Merges objects field by field. Any other value replaces the one in force.
fn merge(target: &mut Value, change: Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                match target.get_mut(&name) {
                    Some(target) => merge(target, value),
                    None => drop(target.insert(name, value)),
                }
            }
        }
        (target, change) => *target = change,
    }
}

fn read(mut limits: Value) -> Result<RuntimeLimits, Mistake> {
    // serde reads a tagged enum from a copy: lists would pass for objects, and errors would not name the field.
    let scores =
        limits.pointer_mut(SCORES).map(|scores| std::mem::replace(scores, json!({ "kind": "single" })));
    let mut read: RuntimeLimits = from_json(limits)?;
    if let Some(scores) = scores {
        read.score.topics = read_scores(scores).map_err(|mistake| mistake.of("topics").of("score"))?;
    }
    Ok(read)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Single,
    Family,
}

#[derive(Deserialize)]
struct Tag {
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    #[serde(default)]
    parameters: TopicScoreLimits,
}

fn read_scores(mut scores: Value) -> Result<TopicScores, Mistake> {
    let Tag { kind } = from_json(scores.clone())?;
    scores.as_object_mut().map(|fields| fields.remove("kind"));
    Ok(match kind {
        Kind::Single => {
            let Single { parameters } = from_json(scores)?;
            TopicScores::Single { parameters }
        }
        Kind::Family => TopicScores::Family(from_json::<TopicFamily>(scores)?),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn merged(limits: &mut RuntimeLimits<u64>, change: Value) -> Result<ParametersInForce, String> {
        RuntimeParameters(change).merge_into(limits).map_err(|problem| problem.message)
    }

    #[test]
    fn a_change_is_merged_into_what_is_in_force() {
        let mut limits = LimitsConfig::<u64>::default().runtime();
        // Extreme values are written and read as they are.
        (limits.retain_duration, limits.validation_timeout) = (Duration::MAX, Duration::from_nanos(1));
        (limits.max_message_size, limits.publish_threshold) = (usize::MAX, -0.1 - 0.2);
        let before = limits.clone();
        assert_eq!(merged(&mut limits, json!({})).unwrap().0, to_json(before.clone()));
        assert_eq!(limits, before);
        let change = json!({
            "degree_lazy": 9, "ban_duration": "1h", "graylist_threshold": null, "score": { "decay_zero": 0.5 },
            "topics": { "named": { "7": { "degree_low": 1 }, "8": { "sent_first": true } } },
        });
        merged(&mut limits, change).unwrap();
        let change = json!({ "topics": { "named": { "7": { "degree_high": 30 }, "8": null, "9": null } } });
        merged(&mut limits, change).unwrap();
        let expected = before.with(|it| {
            (it.degree_lazy, it.ban_duration, it.graylist_threshold) = (9, Duration::from_secs(3600), None);
            it.score.decay_zero = 0.5;
            let entry = it.topics.named.entry(7).or_default();
            (entry.degree_low, entry.degree_high) = (Some(1), Some(30));
        });
        assert_eq!(limits, expected);
        merged(&mut limits, json!({ "topics": { "named": { "7": { "degree_low": null } } } })).unwrap();
        assert_eq!(limits.topics.named[&7].degree_low, None);
        for wrong in
            [json!({ "topics": { "named": { "07": {} } } }), json!({ "topics": { "named": { "x": {} } } })]
        {
            assert!(merged(&mut limits, wrong).err().unwrap().contains("must be in the form"));
        }
    }

    #[test]
    fn scores_of_topics_are_merged_into_those_of_the_same_kind() {
        let mut limits = LimitsConfig::<u64>::default().runtime();
        let scores = |change: Value| json!({ "score": { "topics": change } });
        let weighing = |weight: f64| json!({ "time_in_mesh_weight": weight });
        merged(&mut limits, scores(json!({ "kind": "single", "parameters": weighing(3.0) }))).unwrap();
        let TopicScores::Single { parameters } = &limits.score.topics else { panic!() };
        assert_eq!(parameters.time_in_mesh_weight, 3.0);
        let change = json!({ "kind": "family", "parameters": { "1": weighing(1.0), "2": {} }, "weights": { "1": 0.5 } });
        merged(&mut limits, scores(change)).unwrap();
        let pattern = json!({ "pattern": "a*", "weight": 1.0, "parameters": weighing(5.0) });
        let change = json!({ "kind": "family", "parameters": { "2": null }, "patterns": [pattern] });
        merged(&mut limits, scores(change)).unwrap();
        let TopicScores::Family(family) = &limits.score.topics else { panic!() };
        assert_eq!(family.parameters.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!((family.parameters[&1].time_in_mesh_weight, family.weights[&1]), (1.0, 0.5));
        assert_eq!(family.patterns[0].parameters.time_in_mesh_weight, 5.0);

        let before = limits.clone();
        for (change, message) in [
            (json!({}), "score.topics.kind: is missing"),
            (json!([]), "score.topics = []: must be an object"),
            (json!({ "kind": "x" }), "score.topics.kind = \"x\": must be one of `single`, `family`"),
            (
                json!({ "kind": "single", "weights": {} }),
                "score.topics.weights: is not known; known are `parameters`",
            ),
            (
                json!({ "kind": "single", "parameters": [] }),
                "score.topics.parameters = []: must be an object",
            ),
            (
                json!({ "kind": "family", "parameters": { "1": weighing(1.0), "3": { "time_in_mesh_cap": "x" } } }),
                "score.topics.parameters.3.time_in_mesh_cap = \"x\": must be a number",
            ),
        ] {
            assert_eq!(merged(&mut limits, scores(change)).err().as_deref(), Some(message));
        }
        assert_eq!(limits, before);
    }
}

//! An engine's state in a trace's JSON (FORMAT.md, 6). Leaves out nothing that the traces have.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::values::Traced;
use crate::{
    network::Network,
    protocol::{ScoreView, Timestamp, TopicScoreView, View},
};

/// The view; with `detail`, also what each score is made of.
pub fn render<N: Traced>(view: &View<N>, detail: bool) -> Value {
    json!({
        "out": "view",
        "time": at(view.time),
        "heartbeat_ticks": view.heartbeat_ticks,
        "connections": map(&view.connections, |c| json!({
            "topics": c.topics, "direct": c.direct, "outbound": c.outbound, "bootstrap": c.bootstrap,
        })),
        "scores": map(&view.scores, |score| render_score(score, detail)),
        "mesh": map(&view.mesh, |peers| json!(peers)),
        "fanout": map(&view.fanout, |f| json!({ "peers": f.peers, "last_published": at(f.last_published) })),
        "backoff": map(&view.backoff, |peers| map(peers, |expiry| at(*expiry))),
        "ihave": map(&view.ihave, |count| json!(count)),
        "iwant": map(&view.iwant, |count| json!(count)),
        "cached": sorted(view.cached.iter().map(|c| {
            let accesses = map(&c.accesses, |count| json!(count));
            json!([c.topic, number::<N>(&c.topic, &c.id), accesses])
        })),
        "seen": sorted(view.seen.iter().map(|s| {
            json!([s.topic, number::<N>(&s.topic, &s.id), at(s.first_seen), s.senders])
        })),
        "gossip": view.gossip.iter().map(|(topic, ids)| {
            (key(topic), sorted(ids.iter().map(|id| number::<N>(topic, id))))
        }).collect::<Map<_, _>>(),
    })
}

/// What has no order gets one: equal states are rendered equal.
fn sorted(entries: impl Iterator<Item = Value>) -> Value {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_cached_key(Value::to_string);
    entries.into()
}

/// Milliseconds since the start.
pub(super) fn at(time: Timestamp) -> Value {
    span(time.as_duration())
}

/// Milliseconds: an integer if it is a whole number of them.
pub fn span(span: Duration) -> Value {
    let nanos = span.as_nanos();
    match nanos % 1_000_000 {
        0 => json!(span.as_millis() as u64),
        _ => json!(nanos as f64 / 1e6),
    }
}

fn render_score<N: Traced>(score: &ScoreView<N>, detail: bool) -> Value {
    let mut rendered = json!({ "score": score.score, "expires": score.expires.map(at) });
    if detail {
        rendered["behaviour_penalty"] = json!(score.behaviour_penalty);
        rendered["application_score"] = json!(score.application_score);
        rendered["topics"] = map(&score.topics, render_topic_score);
    }
    rendered
}

fn render_topic_score(score: &TopicScoreView) -> Value {
    json!({
        "mesh": score.mesh.map(|(since, during)| [at(since), span(during)]),
        "first": score.first,
        "active": score.active,
        "delivered": score.delivered,
        "failure": score.failure,
        "invalid": score.invalid,
    })
}

/// What is left of an id beside its topic: an id `[topic, number]` is shown as its number, unless it is kept under
/// another topic than its own; any other id as it is.
pub(super) fn number<N: Network<Topic: Serialize, MessageId: Serialize>>(
    topic: &N::Topic,
    id: &N::MessageId,
) -> Value {
    match json!(id) {
        Value::Array(mut pair) if pair.len() == 2 && pair[0] == json!(topic) => pair.remove(1),
        Value::Array(pair) if pair.len() == 2 => json!(format!("{id:?}, kept under {topic:?}")),
        id => id,
    }
}

/// A key of a JSON object.
pub(super) fn key(value: &impl Serialize) -> String {
    match json!(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(super) fn map<K: Serialize, V>(entries: &BTreeMap<K, V>, render: impl Fn(&V) -> Value) -> Value {
    entries.iter().map(|(name, value)| (key(name), render(value))).collect::<Map<_, _>>().into()
}

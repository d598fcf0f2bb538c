//! The engine's view in the traces' JSON (FORMAT.md, 6). Leaves out nothing that the traces have.

use std::{collections::BTreeMap, time::Duration};

use actix_gossipsub::protocol::{ScoreView, Timestamp, TopicScoreView, View};
use serde_json::{Map, Value, json};

use super::network::{Id, TraceNetwork};

pub fn render(view: &View<TraceNetwork>, detail: bool) -> Value {
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
        "cached": view.cached.iter().map(|c| {
            let accesses = map(&c.accesses, |count| json!(count));
            json!([c.topic, number(&c.topic, &c.id), accesses])
        }).collect::<Value>(),
        "seen": view.seen.iter().map(|s| {
            json!([s.topic, number(&s.topic, &s.id), at(s.first_seen), s.senders])
        }).collect::<Value>(),
        "gossip": view.gossip.iter().map(|(topic, ids)| {
            (topic.to_string(), ids.iter().map(|id| number(topic, id)).collect::<Value>())
        }).collect::<Map<_, _>>(),
    })
}

/// Milliseconds since the start. Not an integer if the time isn't one: then no comparison succeeds.
pub fn at(time: Timestamp) -> Value {
    span(time.as_duration())
}

/// Milliseconds.
pub fn span(span: Duration) -> Value {
    match span.as_nanos() % 1_000_000 {
        0 => json!(span.as_millis() as u64),
        _ => json!(span.as_secs_f64() * 1e3),
    }
}

fn render_score(score: &ScoreView<TraceNetwork>, detail: bool) -> Value {
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

/// An id's number, unless it is kept under another topic than its own: then no comparison succeeds.
fn number(topic: &str, id: &Id) -> Value {
    if *id.topic == *topic { json!(id.number) } else { json!(format!("{id:?}, kept under {topic}")) }
}

fn map<K: ToString, V>(entries: &BTreeMap<K, V>, render: impl Fn(&V) -> Value) -> Value {
    entries.iter().map(|(key, value)| (key.to_string(), render(value))).collect::<Map<_, _>>().into()
}

//! This module converts the state of an engine to the JSON of a trace (FORMAT.md, 6).

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use actix_gossipsub::protocol::{ScoreView, Timestamp, TopicScoreView, View};
use serde_json::{Map, Value, json};

use super::{TraceNetwork, network::ReferenceId, outputs::span};

/// The view; with `detail`, also the components of each score.
pub fn render(view: &View<TraceNetwork>, detail: bool) -> Value {
    json!({
        "out": "view",
        "time": milliseconds(view.time),
        "heartbeat_ticks": view.heartbeat_ticks,
        "connections": map(&view.connections, |c| json!({
            "topics": c.topics, "direct": c.direct, "outbound": c.outbound, "bootstrap": c.bootstrap,
        })),
        "scores": map(&view.scores, |score| render_score(score, detail)),
        "mesh": map(&view.mesh, |peers| json!(peers)),
        "fanout": map(&view.fanout, |f| json!({ "peers": f.peers, "last_published": milliseconds(f.last_published) })),
        "backoff": map(&view.backoff, |peers| map(peers, |expiry| milliseconds(*expiry))),
        "ihave": map(&view.ihave, |count| json!(count)),
        "iwant": map(&view.iwant, |count| json!(count)),
        "cached": view.cached.iter().map(|c| {
            json!([c.topic, number(&c.topic, &c.id), map(&c.accesses, |count| json!(count))])
        }).collect::<Value>(),
        "seen": view.seen.iter().map(|s| {
            json!([s.topic, number(&s.topic, &s.id), milliseconds(s.first_seen), s.senders])
        }).collect::<Value>(),
        "gossip": view.gossip.iter().map(|(topic, ids)| {
            (topic.to_string(), ids.iter().map(|id| number(topic, id)).collect::<Value>())
        }).collect::<Map<_, _>>(),
    })
}

/// A time in milliseconds since the start.
fn milliseconds(time: Timestamp) -> Value {
    span(time.as_duration())
}

fn render_score(score: &ScoreView<TraceNetwork>, detail: bool) -> Value {
    let mut rendered = json!({ "score": score.score, "expires": score.expires.map(milliseconds) });
    if detail {
        rendered["behaviour_penalty"] = json!(score.behaviour_penalty);
        rendered["application_score"] = json!(score.application_score);
        rendered["topics"] = map(&score.topics, render_topic_score);
    }
    rendered
}

fn render_topic_score(score: &TopicScoreView) -> Value {
    json!({
        "mesh": score.mesh.map(|(since, during)| [milliseconds(since), span(during)]),
        "first": score.first,
        "active": score.active,
        "delivered": score.delivered,
        "failure": score.failure,
        "invalid": score.invalid,
    })
}

/// The number of an id. One that is stored under another topic than its own gets a form that equals no expectation.
fn number(topic: &Arc<str>, id: &ReferenceId) -> Value {
    if id.topic == *topic { json!(id.number) } else { json!(format!("{id:?}, under {topic:?}")) }
}

pub fn map<K: Display, V>(entries: &BTreeMap<K, V>, render: impl Fn(&V) -> Value) -> Value {
    entries.iter().map(|(name, value)| (name.to_string(), render(value))).collect::<Map<_, _>>().into()
}

//! This module converts the outputs and inputs of an engine to the JSON of a trace (FORMAT.md, 5).

use std::time::Duration;

use actix_gossipsub::{
    AppInput, AppOutput, FullMessage, Origin, P2pInput, P2pMessage, P2pOutput, protocol::Event,
};
use serde_json::{Value, json};

use super::TraceNetwork;

/// The outputs of some inputs, oldest first.
#[derive(Default)]
pub struct Outputs {
    pub p2p: Vec<Value>,
    pub app: Vec<Value>,
    pub events: Vec<Value>,
}

impl Outputs {
    pub fn append(&mut self, mut later: Self) {
        self.p2p.append(&mut later.p2p);
        self.app.append(&mut later.app);
        self.events.append(&mut later.events);
    }

    /// The answer that has these outputs.
    pub fn render(self) -> Value {
        json!({ "out": "ok", "p2p": self.p2p, "app": self.app, "events": self.events })
    }
}

/// The JSON of an event; `None` for an event that repeats an input. An event that occurs in no trace gets a form that
/// equals no expectation.
pub fn event(event: &Event<TraceNetwork>) -> Option<Value> {
    Some(match event {
        Event::Heartbeat { .. } | Event::P2pInput(_) | Event::AppInput(_) => return None,
        // The reference has no such event.
        Event::PublishedToNoPeers { .. } => return None,
        Event::SubscribeTopicCapExceeded { peer, max_topics } => {
            json!({ "type": "subscribe_topic_cap_exceeded", "peer": peer, "max_topics": max_topics })
        }
        Event::InputRefused { depth, .. } => dropped(*depth),
        other => json!({ "type": format!("{other:?}") }),
    })
}

/// The event of an input that a queue of this length dropped.
pub fn dropped(depth: usize) -> Value {
    json!({ "type": "p2p_queue_drop", "depth": depth })
}

pub fn p2p_output(output: P2pOutput<TraceNetwork>) -> Value {
    match output {
        P2pOutput::OutMessage { to_peer, message } => {
            json!({ "type": "out_message", "to_peer": to_peer, "p2p_message": p2p_message(&message) })
        }
        P2pOutput::Disconnect { peer } => json!({ "type": "disconnect", "peer": peer }),
        P2pOutput::Kick { peer, .. } => json!({ "type": "kick", "peer": peer }),
        P2pOutput::Connect { peer, origin: Origin::Trusted, .. } => {
            json!({ "type": "connect", "peer": peer, "origin": "trusted" })
        }
        P2pOutput::Connect { peer, origin: Origin::Px(from), .. } => {
            json!({ "type": "connect", "peer": peer, "origin": { "px": from } })
        }
        P2pOutput::ConnectPoint { point } => json!({ "type": "connect_point", "point": point }),
        P2pOutput::Forget { peer, origin } => json!({ "type": "forget", "peer": peer, "origin": origin }),
        other => panic!("FORMAT.md does not know {other:?}"),
    }
}

fn p2p_message(message: &P2pMessage<TraceNetwork>) -> Value {
    match message {
        P2pMessage::Graft { topic } => json!({ "type": "graft", "topic": topic }),
        P2pMessage::Prune { topic, px, backoff } => {
            let px: Vec<_> = px.iter().map(|px| &px.peer).collect();
            json!({ "type": "prune", "topic": topic, "px": px, "backoff": span(*backoff) })
        }
        P2pMessage::IHave { topic, message_ids } => {
            json!({ "type": "ihave", "topic": topic, "message_ids": message_ids })
        }
        P2pMessage::IWant { message_ids } => json!({ "type": "iwant", "message_ids": message_ids }),
        P2pMessage::Subscribe { topic, .. } => json!({ "type": "subscribe", "topic": topic }),
        P2pMessage::Unsubscribe { topic } => json!({ "type": "unsubscribe", "topic": topic }),
        P2pMessage::FullMessage(full) => typed("message", full),
        P2pMessage::Ping => json!({ "type": "ping" }),
        other => panic!("FORMAT.md does not know {other:?}"),
    }
}

pub fn app_output(full: AppOutput<TraceNetwork>) -> Value {
    json!(full)
}

pub fn p2p_input(input: &P2pInput<TraceNetwork>) -> Value {
    match input {
        P2pInput::InMessage { from_peer, message } => {
            json!({ "type": "in_message", "from_peer": from_peer, "p2p_message": p2p_message(message) })
        }
        P2pInput::NewConnection { peer, info } => json!({
            "type": "new_connection",
            "peer": peer,
            "direct": info.kind.direct,
            "trusted": info.kind.trusted,
            "bootstrap": info.kind.bootstrap,
        }),
        P2pInput::Disconnection { peer } => json!({ "type": "disconnection", "peer": peer }),
        other => panic!("FORMAT.md does not know {other:?}"),
    }
}

pub fn app_input(input: &AppInput<TraceNetwork>) -> Value {
    match input {
        AppInput::Publish(full) => typed("publish_message", full),
        AppInput::Join(topic) => json!({ "type": "join", "topic": topic }),
        AppInput::Leave(topic) => json!({ "type": "leave", "topic": topic }),
        other => panic!("FORMAT.md does not know {other:?}"),
    }
}

fn typed(name: &str, full: &FullMessage<TraceNetwork>) -> Value {
    let mut object = json!(full);
    object["type"] = json!(name);
    object
}

/// A duration in milliseconds. A fraction of a millisecond gets a form that equals no expectation.
pub fn span(span: Duration) -> Value {
    match span.subsec_nanos() % 1_000_000 {
        0 => json!(span.as_millis() as u64),
        _ => json!(span.as_nanos() as f64 / 1e6),
    }
}

//! What goes into an engine and comes out of it, in a trace's JSON (FORMAT.md, 5). Writes; never reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{values::Traced, view::span};
use crate::{
    network::{FullMessage, Origin, P2pInput, P2pMessage, P2pOutput, PeerKind},
    protocol::Event,
};

/// What handling some inputs emitted, oldest first.
#[derive_where::derive_where(Default)]
pub struct Outputs<N: Traced> {
    /// For the p2p layer.
    pub p2p: Vec<P2pOutput<N>>,
    /// For the application.
    pub app: Vec<Arc<FullMessage<N>>>,
    /// For the operator, in JSON.
    pub events: Vec<Value>,
}

impl<N: Traced> Outputs<N> {
    /// Adds what came later.
    pub fn append(&mut self, mut later: Self) {
        self.p2p.append(&mut later.p2p);
        self.app.append(&mut later.app);
        self.events.append(&mut later.events);
    }

    /// All of it.
    pub fn render(&self) -> Value {
        json!({
            "out": "ok",
            "p2p": self.p2p.iter().map(p2p_output).collect::<Value>(),
            "app": self.app.iter().map(|full| full_message(full)).collect::<Value>(),
            "events": self.events,
        })
    }
}

/// None for what merely tells of an input. An event that the traces don't know, and that no trace
/// should cause, is rendered in a form that equals no expectation.
pub fn event<N: Traced>(event: &Event<N>) -> Option<Value> {
    Some(match event {
        Event::Heartbeat { .. } | Event::P2pInput(_) | Event::AppInput(_) => return None,
        Event::SubscribeTopicCapExceeded { peer, max_topics } => {
            json!({ "type": "subscribe_topic_cap_exceeded", "peer": peer, "max_topics": max_topics })
        }
        Event::InputRefused { depth, .. } => json!({ "type": "p2p_queue_drop", "depth": depth }),
        other => json!({ "type": format!("{other:?}") }),
    })
}

fn p2p_output<N: Traced>(output: &P2pOutput<N>) -> Value {
    match output {
        P2pOutput::OutMessage { to_peer, message } => {
            json!({ "type": "out_message", "to_peer": to_peer, "p2p_message": p2p_message(message) })
        }
        P2pOutput::Disconnect { peer } => json!({ "type": "disconnect", "peer": peer }),
        P2pOutput::Kick { peer } => json!({ "type": "kick", "peer": peer }),
        P2pOutput::Connect { peer, origin: Origin::Trusted } => {
            json!({ "type": "connect", "peer": peer, "origin": "trusted" })
        }
        P2pOutput::Connect { peer, origin: Origin::Px(from) } => {
            json!({ "type": "connect", "peer": peer, "origin": { "px": from } })
        }
        P2pOutput::ConnectPoint { point } => json!({ "type": "connect_point", "point": point }),
        P2pOutput::Forget { peer, origin } => json!({ "type": "forget", "peer": peer, "origin": origin }),
    }
}

pub(super) fn p2p_message<N: Traced>(message: &P2pMessage<N>) -> Value {
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
        P2pMessage::IDontWant { message_ids } => {
            json!({ "type": "idontwant", "message_ids": message_ids })
        }
        P2pMessage::Subscribe { topic, .. } => json!({ "type": "subscribe", "topic": topic }),
        P2pMessage::Unsubscribe { topic } => json!({ "type": "unsubscribe", "topic": topic }),
        P2pMessage::FullMessage(full) => typed("message", full_message(full)),
        P2pMessage::Ping => json!({ "type": "ping" }),
    }
}

/// An input of the p2p layer. `point` is where the peer of a new connection is reached.
pub(super) fn p2p_input<N: Traced>(input: &P2pInput<N>, point: Option<&N::Point>) -> Value {
    match input {
        P2pInput::InMessage { from_peer, message } => {
            json!({ "type": "in_message", "from_peer": from_peer, "p2p_message": p2p_message(message) })
        }
        P2pInput::NewConnection { peer, info } => {
            let PeerKind { direct, trusted, bootstrap } = info.kind;
            let mut line = json!({
                "type": "new_connection",
                "peer": peer,
                "direct": direct,
                "outbound": info.direction.is_outbound(),
                "trusted": trusted,
                "bootstrap": bootstrap,
            });
            if let Some(point) = point {
                line["point"] = json!(point);
            }
            line
        }
        P2pInput::Disconnection { peer } => json!({ "type": "disconnection", "peer": peer }),
    }
}

pub(super) fn full_message<N: Traced>(full: &FullMessage<N>) -> Value {
    json!({ "topic": full.topic, "message_id": full.message_id, "message": full.message })
}

/// With its type.
pub(super) fn typed(name: &str, mut object: Value) -> Value {
    object["type"] = json!(name);
    object
}

//! What an engine emits, in the traces' JSON (FORMAT.md, 5), and the traces' inputs in its types.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{AppInput, FullMessage, Origin, P2pInput, P2pMessage, P2pOutput, protocol::Event};
use serde_json::{Value, json};

use super::{
    network::TraceNetwork,
    op::{TraceAppInput, TraceP2pInput, TraceP2pMessage},
    view::span,
};

/// What handling some inputs emitted, oldest first.
#[derive(Default)]
pub struct Outputs {
    pub p2p: Vec<P2pOutput<TraceNetwork>>,
    pub app: Vec<Arc<FullMessage<TraceNetwork>>>,
    pub events: Vec<Value>,
}

impl Outputs {
    pub fn append(&mut self, mut later: Self) {
        self.p2p.append(&mut later.p2p);
        self.app.append(&mut later.app);
        self.events.append(&mut later.events);
    }

    pub fn render(&self) -> Value {
        json!({
            "out": "ok",
            "p2p": self.p2p.iter().map(render_p2p).collect::<Value>(),
            "app": self.app.iter().map(|full| render_full(full)).collect::<Value>(),
            "events": self.events,
        })
    }
}

/// None for what merely tells of an input. An event that the traces don't know, and that no trace
/// should cause, is rendered in a form that equals no expectation.
pub fn render_event(event: &Event<TraceNetwork>) -> Option<Value> {
    Some(match event {
        Event::Heartbeat { .. } | Event::P2pInput(_) | Event::AppInput(_) => return None,
        Event::SubscribeTopicCapExceeded { peer, max_topics } => {
            json!({ "type": "subscribe_topic_cap_exceeded", "peer": peer, "max_topics": max_topics })
        }
        Event::InputRefused { depth, .. } => json!({ "type": "p2p_queue_drop", "depth": depth }),
        other => json!({ "type": format!("{other:?}") }),
    })
}

fn render_p2p(output: &P2pOutput<TraceNetwork>) -> Value {
    match output {
        P2pOutput::OutMessage { to_peer, message } => {
            json!({ "type": "out_message", "to_peer": to_peer, "p2p_message": render_message(message) })
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
        other => json!({ "type": format!("{other:?}") }),
    }
}

fn render_message(message: &P2pMessage<TraceNetwork>) -> Value {
    match message {
        P2pMessage::Graft { topic } => json!({ "type": "graft", "topic": topic }),
        P2pMessage::Prune { topic, px, backoff } => {
            json!({ "type": "prune", "topic": topic, "px": px, "backoff": span(*backoff) })
        }
        P2pMessage::IHave { topic, message_ids } => {
            json!({ "type": "ihave", "topic": topic, "message_ids": message_ids })
        }
        P2pMessage::IWant { message_ids } => json!({ "type": "iwant", "message_ids": message_ids }),
        P2pMessage::Subscribe { topic } => json!({ "type": "subscribe", "topic": topic }),
        P2pMessage::Unsubscribe { topic } => json!({ "type": "unsubscribe", "topic": topic }),
        P2pMessage::FullMessage(full) => {
            let mut rendered = render_full(full);
            rendered["type"] = json!("message");
            rendered
        }
        P2pMessage::Ping => json!({ "type": "ping" }),
        other => json!({ "type": format!("{other:?}") }),
    }
}

fn render_full(full: &FullMessage<TraceNetwork>) -> Value {
    json!({ "topic": full.topic, "message_id": full.message_id, "message": full.message })
}

impl From<TraceP2pInput> for P2pInput<TraceNetwork> {
    fn from(input: TraceP2pInput) -> Self {
        match input {
            TraceP2pInput::NewConnection { peer, direct, trusted, bootstrap } => {
                // FORMAT.md, 6: the reference's worker takes its trusted peers for outbound ones.
                Self::NewConnection { peer, direct, outbound: trusted, trusted, bootstrap }
            }
            TraceP2pInput::Disconnection { peer } => Self::Disconnection { peer },
            TraceP2pInput::InMessage { from_peer, p2p_message } => {
                Self::InMessage { from_peer, message: p2p_message.into() }
            }
        }
    }
}

impl From<TraceP2pMessage> for P2pMessage<TraceNetwork> {
    fn from(message: TraceP2pMessage) -> Self {
        match message {
            TraceP2pMessage::Graft { topic } => Self::Graft { topic },
            TraceP2pMessage::Prune { topic, px, backoff } => {
                Self::Prune { topic, px, backoff: Duration::from_millis(backoff) }
            }
            TraceP2pMessage::Ihave { topic, message_ids } => Self::IHave { topic, message_ids },
            TraceP2pMessage::Iwant { message_ids } => Self::IWant { message_ids },
            TraceP2pMessage::Subscribe { topic } => Self::Subscribe { topic },
            TraceP2pMessage::Unsubscribe { topic } => Self::Unsubscribe { topic },
            TraceP2pMessage::Message { topic, message_id, message } => {
                Self::FullMessage(Arc::new(FullMessage { topic, message_id, message }))
            }
            TraceP2pMessage::Ping {} => Self::Ping,
        }
    }
}

impl From<TraceAppInput> for AppInput<TraceNetwork> {
    fn from(input: TraceAppInput) -> Self {
        match input {
            TraceAppInput::PublishMessage { topic, message_id, message } => {
                Self::Publish(FullMessage { topic, message_id, message })
            }
            TraceAppInput::Join { topic } => Self::Join(topic),
            TraceAppInput::Leave { topic } => Self::Leave(topic),
        }
    }
}

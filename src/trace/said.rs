//! What peers and the application say, read from a trace (FORMAT.md, 5). The counterpart of `render.rs`.

use std::sync::Arc;

use super::{
    fields::{Fields, Mistake},
    network::TraceNetwork,
    values::Values,
};
use crate::network::{
    AppInput, ConnectionInfo, Delivery, Direction, FullMessage, P2pInput, P2pMessage, PeerKind, PxPeer,
};

/// An input, and where the peer of a new connection is reached.
pub(super) type ReadP2pInput<V> = (P2pInput<TraceNetwork<V>>, Option<<V as Values>::Point>);

pub(super) fn p2p_input<V: Values>(mut f: Fields) -> Result<ReadP2pInput<V>, Mistake> {
    let kind: String = f.take("type")?;
    let mut point = None;
    let input = match kind.as_str() {
        "new_connection" => {
            point = f.optional("point")?;
            let trusted = f.take("trusted")?;
            // FORMAT.md, 6: the reference's worker takes its trusted peers for outbound ones.
            let outbound = f.optional("outbound")?.unwrap_or(trusted);
            let direction = Direction::outbound_if(outbound);
            let kind = PeerKind { direct: f.take("direct")?, trusted, bootstrap: f.take("bootstrap")? };
            P2pInput::NewConnection { peer: f.take("peer")?, info: ConnectionInfo::new(direction).kind(kind) }
        }
        "disconnection" => P2pInput::Disconnection { peer: f.take("peer")? },
        "in_message" => P2pInput::InMessage {
            from_peer: f.take("from_peer")?,
            message: p2p_message::<V>(f.fields("p2p_message")?)?,
        },
        other => return Err(unknown(&f, "type", other)),
    };
    f.end()?;
    Ok((input, point))
}

pub(super) fn p2p_message<V: Values>(mut f: Fields) -> Result<P2pMessage<TraceNetwork<V>>, Mistake> {
    let kind: String = f.take("type")?;
    let message = match kind.as_str() {
        "graft" => P2pMessage::Graft { topic: f.take("topic")? },
        "prune" => {
            let px: Vec<V::Peer> = f.take("px")?;
            let px = px.into_iter().map(PxPeer::new).collect();
            P2pMessage::Prune { topic: f.take("topic")?, px, backoff: f.span("backoff")? }
        }
        "ihave" => P2pMessage::IHave { topic: f.take("topic")?, message_ids: f.take("message_ids")? },
        "iwant" => P2pMessage::IWant { message_ids: f.take("message_ids")? },
        "idontwant" => P2pMessage::IDontWant { message_ids: f.take("message_ids")? },
        "subscribe" => P2pMessage::subscribe(f.take("topic")?),
        "unsubscribe" => P2pMessage::Unsubscribe { topic: f.take("topic")? },
        "message" => P2pMessage::FullMessage(Arc::new(full_message::<V>(&mut f)?)),
        "ping" => P2pMessage::Ping,
        other => return Err(unknown(&f, "type", other)),
    };
    f.end()?;
    Ok(message)
}

pub(super) fn app_input<V: Values>(mut f: Fields) -> Result<AppInput<TraceNetwork<V>>, Mistake> {
    let kind: String = f.take("type")?;
    let input = match kind.as_str() {
        "publish_message" => AppInput::Publish(full_message::<V>(&mut f)?),
        "join" => AppInput::Join(f.take("topic")?),
        "leave" => AppInput::Leave(f.take("topic")?),
        "set_application_score" => {
            AppInput::SetApplicationScore { peer: f.take("peer")?, score: f.take("score")? }
        }
        other => return Err(unknown(&f, "type", other)),
    };
    f.end()?;
    Ok(input)
}

pub(super) fn full_message<V: Values>(f: &mut Fields) -> Result<FullMessage<TraceNetwork<V>>, Mistake> {
    Ok(FullMessage {
        topic: f.take("topic")?,
        message_id: f.take("message_id")?,
        message: f.take("message")?,
    })
}

pub(super) fn delivery<V: Values>(mut f: Fields) -> Result<Delivery<TraceNetwork<V>>, Mistake> {
    let message = Arc::new(full_message::<V>(&mut f)?);
    let delivery = Delivery { sender: f.take("sender")?, co_senders: f.take("co_senders")?, message };
    f.end()?;
    Ok(delivery)
}

/// Ids `[topic, first_id]`, `[topic, first_id + step]` …, with contents `m<id>`.
pub(super) fn burst<V: Values>(f: &mut Fields) -> Result<Vec<Arc<FullMessage<TraceNetwork<V>>>>, Mistake> {
    let topic: String = f.take("topic")?;
    let (first, step): (i64, i64) = (f.take("first_id")?, f.take("step")?);
    let count: i64 = f.take("count")?;
    let mut messages = Vec::new();
    for nth in 0..count {
        let id = first.saturating_add(nth.saturating_mul(step));
        let message =
            serde_json::json!({ "topic": topic, "message_id": [topic, id], "message": format!("m{id}") });
        messages.push(Arc::new(full_message::<V>(&mut Fields::of("op", message)?)?));
    }
    Ok(messages)
}

pub(super) fn unknown(f: &Fields, key: &str, name: &str) -> Mistake {
    f.mistake(key, format!("`{name}` is not known here"))
}

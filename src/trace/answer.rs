//! The outcomes of the protocol in a trace's JSON (FORMAT.md, 4), which has the reference's names for them. What an
//! outcome carries stands beside its name.

use serde_json::{Value, json};

use super::{
    names::TraceName,
    values::Traced,
    view::{map, number},
};
use crate::{
    network::Delivery,
    protocol::{
        AddPeer, GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome,
        JoinOutcome, LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, RemovePeer,
        SubscribeOutcome, UnsubscribeOutcome,
    },
};

/// An outcome that carries nothing.
pub fn out(name: &str) -> Value {
    json!({ "out": name })
}

/// An outcome that carries this.
fn with(name: &str, mut carried: Value) -> Value {
    carried["out"] = json!(name);
    carried
}

pub(super) fn add_peer(outcome: AddPeer) -> Value {
    out(outcome.trace_name())
}

pub(super) fn remove_peer(outcome: RemovePeer) -> Value {
    out(outcome.trace_name())
}

pub(super) fn subscribe(outcome: SubscribeOutcome) -> Value {
    out(outcome.trace_name())
}

pub(super) fn unsubscribe(outcome: UnsubscribeOutcome) -> Value {
    out(outcome.trace_name())
}

pub(super) fn graft(outcome: GraftOutcome) -> Value {
    out(outcome.trace_name())
}

pub(super) fn prune<N: Traced>(outcome: &PruneOutcome<N>) -> Value {
    match outcome {
        PruneOutcome::TopicNotTracked | PruneOutcome::NotInMesh | PruneOutcome::NoPx => {
            out(outcome.trace_name())
        }
        PruneOutcome::ScoreTooLow { score } => with(outcome.trace_name(), json!({ "score": score })),
        PruneOutcome::Px { peers } => with(outcome.trace_name(), json!({ "peers": peers })),
    }
}

pub(super) fn ihave<N: Traced>(outcome: &IHaveOutcome<N>) -> Value {
    let name = outcome.trace_name();
    match outcome {
        IHaveOutcome::LowScore { score, threshold } => {
            with(name, json!({ "score": score, "threshold": threshold }))
        }
        IHaveOutcome::TooManyIHaves { count, max } | IHaveOutcome::TooManyIWants { count, max } => {
            with(name, json!({ "count": count, "max": max }))
        }
        IHaveOutcome::TopicNotTracked | IHaveOutcome::InvalidId => out(name),
        IHaveOutcome::Requested { ids } => with(name, json!({ "message_ids": ids })),
    }
}

pub(super) fn iwant<N: Traced>(network: &N, outcome: &IWantOutcome<N>) -> Value {
    let name = outcome.trace_name();
    match outcome {
        IWantOutcome::LowScore { score, threshold } => {
            with(name, json!({ "score": score, "threshold": threshold }))
        }
        IWantOutcome::Answered { ids } => {
            let routed: Vec<_> = ids.iter().map(|(id, answer)| routed(network, id, answer)).collect();
            with(name, json!({ "routed": routed }))
        }
    }
}

pub(super) fn idontwant(outcome: IDontWantOutcome) -> Value {
    let name = outcome.trace_name();
    match outcome {
        IDontWantOutcome::LowScore { score, threshold } => {
            with(name, json!({ "score": score, "threshold": threshold }))
        }
        IDontWantOutcome::TooMany { ignored, max } => with(name, json!({ "ignored": ignored, "max": max })),
        IDontWantOutcome::SwitchedOff | IDontWantOutcome::UnknownPeer => out(name),
        IDontWantOutcome::Noted { ids } => with(name, json!({ "ids": ids })),
    }
}

/// `[topic, id, status]`; the topic is null where neither the id nor the answer names it.
fn routed<N: Traced>(network: &N, id: &N::MessageId, answer: &IWantAnswer<N>) -> Value {
    let topic = network.topic_of(id);
    let shown = topic.as_ref().map_or_else(|| json!(id), |topic| number::<N>(topic, id));
    match answer {
        // The message that is sent names itself: it must be the one that was asked for.
        IWantAnswer::Message(full)
            if full.message_id == *id && topic.as_ref().is_none_or(|of| full.topic == *of) =>
        {
            json!([full.topic, shown, answer.trace_name(), full.message])
        }
        IWantAnswer::Message(_) => json!([topic, shown, "another message"]),
        IWantAnswer::Ignored | IWantAnswer::NotFound | IWantAnswer::TooManyRequests => {
            json!([topic, shown, answer.trace_name()])
        }
    }
}

/// `Batched` is without what FORMAT.md adds, which repeats the input.
pub(super) fn receive<N: Traced>(outcome: &ReceiveOutcome<N>) -> Value {
    match outcome {
        ReceiveOutcome::Route { to } => with(outcome.trace_name(), json!({ "to_route": to })),
        _ => out(outcome.trace_name()),
    }
}

pub(super) fn apply_batch<N: Traced>(results: &[(Delivery<N>, ReceiveOutcome<N>)]) -> Value {
    let render = |(delivery, outcome): &(Delivery<N>, ReceiveOutcome<N>)| {
        let full = &delivery.message;
        json!({
            "sender": delivery.sender,
            "topic": full.topic,
            "message_id": full.message_id,
            "message": full.message,
            "output": receive(outcome),
        })
    };
    json!({ "out": "batch_result", "results": results.iter().map(render).collect::<Value>() })
}

pub(super) fn publish<N: Traced>(outcome: &PublishOutcome<N>) -> Value {
    match outcome {
        PublishOutcome::Published { to } => with(outcome.trace_name(), json!({ "to_publish": to })),
        PublishOutcome::AlreadyPublished => out(outcome.trace_name()),
    }
}

pub(super) fn join<N: Traced>(outcome: &JoinOutcome<N>) -> Value {
    match outcome {
        JoinOutcome::Joined { to_graft } => with(outcome.trace_name(), json!({ "to_graft": to_graft })),
        JoinOutcome::AlreadyJoined => out(outcome.trace_name()),
    }
}

pub(super) fn leave<N: Traced>(outcome: &LeaveOutcome<N>) -> Value {
    match outcome {
        LeaveOutcome::Left { to_prune, no_px } => {
            with(outcome.trace_name(), json!({ "to_prune": to_prune, "no_px_peers": no_px }))
        }
        LeaveOutcome::NotJoined => out(outcome.trace_name()),
    }
}

pub(super) fn heartbeat<N: Traced>(outcome: &HeartbeatOutcome<N>) -> Value {
    json!({
        "out": "heartbeat",
        "to_graft": map(&outcome.to_graft, |topics| json!(topics)),
        "to_prune": map(&outcome.to_prune, |topics| json!(topics)),
        "no_px_peers": outcome.no_px,
    })
}

/// Whom gossip would offer what.
pub(super) type Gossip<N> = Vec<(
    <N as crate::network::Network>::Peer,
    <N as crate::network::Network>::Topic,
    Vec<<N as crate::network::Network>::MessageId>,
)>;

pub(super) fn gossip<N: Traced>(messages: Gossip<N>) -> Value {
    let render = |(peer, topic, ids)| json!({ "peer": peer, "topic": topic, "message_ids": ids });
    json!({ "out": "gossip_messages", "messages": messages.into_iter().map(render).collect::<Value>() })
}

/// The sixteen counters.
pub(super) fn stats(stats: &crate::protocol::Stats) -> Value {
    with("stats", json!(stats))
}

/// Points with times until they may be tried.
pub(super) fn delays(points: Vec<(Value, i64)>) -> Value {
    json!({ "out": "reconnection_delays", "points": points })
}

//! The outcomes of the protocol in the traces' JSON (FORMAT.md, 4). Every variant is named: a new one
//! must be given its form here.

use actix_gossipsub::{
    Delivery,
    protocol::{
        AddPeer, GraftOutcome, HeartbeatOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, JoinOutcome,
        LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, RemovePeer, SubscribeOutcome,
        UnsubscribeOutcome,
    },
};
use serde_json::{Map, Value, json};

use super::network::{Id, Topic, TraceNetwork};

pub fn out(name: &str) -> Value {
    json!({ "out": name })
}

pub fn add_peer(outcome: AddPeer) -> Value {
    out(match outcome {
        AddPeer::Added => "peer_added",
        AddPeer::AlreadyKnown => "peer_already_known",
    })
}

pub fn remove_peer(outcome: RemovePeer) -> Value {
    match outcome {
        RemovePeer::Removing => out("removing_peer"),
    }
}

pub fn subscribe(outcome: SubscribeOutcome) -> Value {
    out(match outcome {
        SubscribeOutcome::Subscribed => "subscribed",
        SubscribeOutcome::UnknownPeer => "subscribe_to_unknown_peer",
        SubscribeOutcome::TopicLimitExceeded => "subscribe_ignored_topic_limit_exceeded",
    })
}

pub fn unsubscribe(outcome: UnsubscribeOutcome) -> Value {
    out(match outcome {
        UnsubscribeOutcome::Unsubscribed => "unsubscribed",
        UnsubscribeOutcome::UnknownPeer => "unsubscribe_from_unknown_peer",
    })
}

pub fn graft(outcome: GraftOutcome) -> Value {
    out(match outcome {
        GraftOutcome::Grafted => "grafting_successfully",
        GraftOutcome::PeerFiltered => "peer_filtered",
        GraftOutcome::UnsubscribedTopic => "unsubscribed_topic",
        GraftOutcome::AlreadyInMesh => "peer_already_in_mesh",
        GraftOutcome::UnexpectedPeer => "unexpected_grafting_peer",
        GraftOutcome::DirectPeer => "grafting_direct_peer",
        GraftOutcome::BackedOff => "peer_backed_off",
        GraftOutcome::NegativeScore => "grafting_peer_with_negative_score",
        GraftOutcome::MeshFull => "mesh_full",
    })
}

pub fn prune(outcome: PruneOutcome<TraceNetwork>) -> Value {
    match outcome {
        PruneOutcome::TopicNotTracked => out("prune_topic_not_tracked"),
        PruneOutcome::NotInMesh => out("peer_not_in_mesh"),
        PruneOutcome::ScoreTooLow { score } => json!({ "out": "ignore_px_score_too_low", "score": score }),
        PruneOutcome::NoPx => out("no_px"),
        PruneOutcome::Px { peers } => json!({ "out": "px", "peers": peers }),
    }
}

pub fn ihave(outcome: IHaveOutcome<TraceNetwork>) -> Value {
    match outcome {
        IHaveOutcome::LowScore { score, threshold } => {
            json!({ "out": "ihave_from_peer_with_low_score", "score": score, "threshold": threshold })
        }
        IHaveOutcome::TooManyIHaves { count, max } => {
            json!({ "out": "too_many_recv_ihave_messages", "count": count, "max": max })
        }
        IHaveOutcome::TooManyIWants { count, max } => {
            json!({ "out": "too_many_sent_iwant_messages", "count": count, "max": max })
        }
        IHaveOutcome::TopicNotTracked => out("message_topic_not_tracked"),
        IHaveOutcome::InvalidId => out("invalid_message_id"),
        IHaveOutcome::Requested { ids } => {
            json!({ "out": "message_requested_message_ids", "message_ids": ids })
        }
    }
}

pub fn iwant(outcome: IWantOutcome<TraceNetwork>) -> Value {
    match outcome {
        IWantOutcome::LowScore { score, threshold } => {
            json!({ "out": "iwant_from_peer_with_low_score", "score": score, "threshold": threshold })
        }
        IWantOutcome::Answered { ids } => {
            let routed: Vec<_> = ids.iter().map(|(id, answer)| routed(id, answer)).collect();
            json!({ "out": "on_iwant_messages_to_route", "routed": routed })
        }
    }
}

fn routed(id: &Id, answer: &IWantAnswer<TraceNetwork>) -> Value {
    let status = match answer {
        IWantAnswer::Ignored => "ignored",
        IWantAnswer::NotFound => "not_found",
        IWantAnswer::TooManyRequests => "too_many_requests",
        // The message that is sent names itself: it must be the one that was asked for.
        IWantAnswer::Message(full) if full.message_id == *id && full.topic == id.topic => {
            return json!([id.topic, id.number, "message", full.message]);
        }
        IWantAnswer::Message(_) => "another message",
    };
    json!([id.topic, id.number, status])
}

/// `Batched` is not among them: its form repeats the input.
pub fn receive(outcome: &ReceiveOutcome<TraceNetwork>) -> Value {
    match outcome {
        ReceiveOutcome::Route { to } => json!({ "out": "route_message", "to_route": to }),
        ReceiveOutcome::AlreadyReceived => out("already_received"),
        ReceiveOutcome::NotSubscribed => out("not_subscribed"),
        ReceiveOutcome::Invalid => out("invalid_message"),
        ReceiveOutcome::Unknown => out("unknown_validity"),
        ReceiveOutcome::Outdated => out("outdated"),
        ReceiveOutcome::Batched => out("to_include_in_batch"),
        // No trace has a network that judges later.
        ReceiveOutcome::Validating | ReceiveOutcome::Throttled => out("not_in_any_trace"),
    }
}

pub fn apply_batch(results: &[(Delivery<TraceNetwork>, ReceiveOutcome<TraceNetwork>)]) -> Value {
    let render = |(delivery, outcome): &(Delivery<TraceNetwork>, ReceiveOutcome<TraceNetwork>)| {
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

pub fn publish(outcome: PublishOutcome<TraceNetwork>) -> Value {
    match outcome {
        PublishOutcome::Published { to } => json!({ "out": "publish_message", "to_publish": to }),
        PublishOutcome::AlreadyPublished => out("already_published"),
    }
}

pub fn join(outcome: JoinOutcome<TraceNetwork>) -> Value {
    match outcome {
        JoinOutcome::Joined { to_graft } => json!({ "out": "joining_topic", "to_graft": to_graft }),
        JoinOutcome::AlreadyJoined => out("already_joined"),
    }
}

pub fn leave(outcome: LeaveOutcome<TraceNetwork>) -> Value {
    match outcome {
        LeaveOutcome::Left { to_prune, no_px } => {
            json!({ "out": "leaving_topic", "to_prune": to_prune, "no_px_peers": no_px })
        }
        LeaveOutcome::NotJoined => out("not_joined"),
    }
}

pub fn heartbeat(outcome: &HeartbeatOutcome<TraceNetwork>) -> Value {
    let by_peer = |changes: &std::collections::BTreeMap<i64, std::collections::BTreeSet<Topic>>| {
        changes.iter().map(|(peer, topics)| (peer.to_string(), json!(topics))).collect::<Map<_, _>>()
    };
    json!({
        "out": "heartbeat",
        "to_graft": by_peer(&outcome.to_graft),
        "to_prune": by_peer(&outcome.to_prune),
        "no_px_peers": outcome.no_px,
    })
}

pub fn gossip(messages: Vec<(i64, Topic, Vec<Id>)>) -> Value {
    let render = |(peer, topic, ids)| json!({ "peer": peer, "topic": topic, "message_ids": ids });
    json!({ "out": "gossip_messages", "messages": messages.into_iter().map(render).collect::<Value>() })
}

//! This module converts the outcomes of the protocol to the reference's answers (FORMAT.md, 4).

use std::sync::Arc;

use actix_gossipsub::{Delivery, protocol::*};
use serde_json::{Value, json};

use super::{TraceNetwork, network::ReferenceId, view::map};

/// An answer without fields.
pub fn out(name: &str) -> Value {
    json!({ "out": name })
}

pub fn add_peer(outcome: AddPeer) -> Value {
    out(match outcome {
        AddPeer::Added => "peer_added",
        AddPeer::AlreadyKnown => "peer_already_known",
    })
}

/// The reference has no graylist.
const GRAYLISTED: &str = "graylisted";

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
        SubscribeOutcome::Graylisted => GRAYLISTED,
        SubscribeOutcome::Filtered => "filtered",
        SubscribeOutcome::Grafted => unreachable!("the reference grafts at heartbeats"),
    })
}

pub fn unsubscribe(outcome: UnsubscribeOutcome) -> Value {
    out(match outcome {
        UnsubscribeOutcome::Unsubscribed => "unsubscribed",
        UnsubscribeOutcome::UnknownPeer => "unsubscribe_from_unknown_peer",
        UnsubscribeOutcome::Graylisted => GRAYLISTED,
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
        GraftOutcome::FloodsubPeer => unreachable!("the reference has no floodsub"),
        GraftOutcome::BackedOff => "peer_backed_off",
        GraftOutcome::NegativeScore => "grafting_peer_with_negative_score",
        GraftOutcome::MeshFull => "mesh_full",
        GraftOutcome::Graylisted => GRAYLISTED,
    })
}

pub fn prune(outcome: PruneOutcome<TraceNetwork>) -> Value {
    match outcome {
        PruneOutcome::TopicNotTracked => out("prune_topic_not_tracked"),
        PruneOutcome::NotInMesh => out("peer_not_in_mesh"),
        PruneOutcome::ScoreTooLow { score } => json!({ "out": "ignore_px_score_too_low", "score": score }),
        PruneOutcome::PxDisabled => unreachable!("the recorded limits accept px"),
        PruneOutcome::NoPx => out("no_px"),
        PruneOutcome::Px { peers } => json!({ "out": "px", "peers": peers }),
        PruneOutcome::Graylisted => out(GRAYLISTED),
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
        IHaveOutcome::FloodsubPeer => unreachable!("the reference has no floodsub"),
        IHaveOutcome::InvalidId => out("invalid_message_id"),
        IHaveOutcome::Requested { ids } => {
            json!({ "out": "message_requested_message_ids", "message_ids": ids })
        }
        IHaveOutcome::Graylisted => out(GRAYLISTED),
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
        IWantOutcome::Graylisted => out(GRAYLISTED),
    }
}

/// `[topic, id, status]`, and the content of a message that is sent.
fn routed(id: &ReferenceId, answer: &IWantAnswer<TraceNetwork>) -> Value {
    let ReferenceId { number, topic } = id;
    match answer {
        // The message that is sent must be the one that was requested.
        IWantAnswer::Message(full) if full.message_id == *id && full.topic == *topic => {
            json!([topic, number, "message", full.message])
        }
        IWantAnswer::Message(_) => json!([topic, number, "another message"]),
        IWantAnswer::Ignored => json!([topic, number, "ignored"]),
        IWantAnswer::NotFound => json!([topic, number, "not_found"]),
        IWantAnswer::TooManyRequests => json!([topic, number, "too_many_requests"]),
        IWantAnswer::TooManyBytes | IWantAnswer::Declined => unreachable!("the reference has no such limit"),
    }
}

/// `to_include_in_batch` has further fields, which repeat the input.
pub fn receive(outcome: &ReceiveOutcome<TraceNetwork>) -> Value {
    out(match outcome {
        ReceiveOutcome::Route { to } => return json!({ "out": "route_message", "to_route": to }),
        ReceiveOutcome::AlreadyReceived => "already_received",
        ReceiveOutcome::NotSubscribed => "not_subscribed",
        ReceiveOutcome::Invalid => "invalid_message",
        ReceiveOutcome::Unknown => "unknown_validity",
        ReceiveOutcome::Outdated => "outdated",
        ReceiveOutcome::Batched => "to_include_in_batch",
        // The reference does not have these outcomes.
        ReceiveOutcome::Validating => "validating",
        ReceiveOutcome::Throttled => "throttled",
        ReceiveOutcome::ValidationPanicked => "validation_panicked",
        ReceiveOutcome::Graylisted => GRAYLISTED,
        ReceiveOutcome::OwnMessage => "own_message",
        ReceiveOutcome::RefusedSource => "refused_source",
        ReceiveOutcome::TooLarge => "too_large",
    })
}

pub fn apply_batch(results: Vec<(Delivery<TraceNetwork>, ReceiveOutcome<TraceNetwork>)>) -> Value {
    let render = |(delivery, outcome): &(Delivery<TraceNetwork>, _)| {
        let mut result = json!(delivery.message);
        result["sender"] = json!(delivery.sender);
        result["output"] = receive(outcome);
        result
    };
    json!({ "out": "batch_result", "results": results.iter().map(render).collect::<Value>() })
}

pub fn publish(outcome: PublishOutcome<TraceNetwork>) -> Value {
    match outcome {
        PublishOutcome::Published { to } => json!({ "out": "publish_message", "to_publish": to }),
        PublishOutcome::AlreadyPublished => out("already_published"),
        // The reference does not have this outcome.
        PublishOutcome::TooLarge => out("too_large"),
        PublishOutcome::Outdated => unreachable!("no message of the reference expires"),
        PublishOutcome::TooFewPeers { .. } => unreachable!("the reference has no minimum of peers"),
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
    json!({
        "out": "heartbeat",
        "to_graft": map(&outcome.to_graft, |topics| json!(topics)),
        "to_prune": map(&outcome.to_prune, |topics| json!(topics)),
        "no_px_peers": outcome.no_px,
    })
}

pub fn gossip(messages: Vec<(i64, Arc<str>, Vec<ReferenceId>)>) -> Value {
    let render = |(peer, topic, ids)| json!({ "peer": peer, "topic": topic, "message_ids": ids });
    json!({ "out": "gossip_messages", "messages": messages.into_iter().map(render).collect::<Value>() })
}

pub fn stats(stats: &Stats) -> Value {
    let mut answer = json!(stats);
    answer["out"] = json!("stats");
    answer
}

/// The answer with points and the milliseconds until they may be dialled.
pub fn delays(points: Vec<(i64, i64)>) -> Value {
    json!({ "out": "reconnection_delays", "points": points })
}

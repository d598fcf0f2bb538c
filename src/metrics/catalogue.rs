//! Every metric of the engine, once. What is not here is not exported, and what is here is never without a
//! series. Counts nothing.

use ::metrics::Unit;

use super::metric::{Label, Metric, Values};
use crate::admission::refused::Refused;

/// One constant a metric, and the list of them all.
macro_rules! catalogue {
    ($($id:ident = $metric:expr;)*) => {
        $(pub(super) const $id: Metric = $metric;)*

        /// Every metric of an engine. Names follow the libp2p draft where `promtool` allows.
        pub const CATALOGUE: &[Metric] = &[$($id),*];
    };
}

catalogue! {
    // === Peers and scores ===
    BUILD_INFO = Metric::gauge("gossipsub_build_info", &[VERSION], "Always 1; the label tells the version of this package");
    CONNECTIONS = Metric::gauge("gossipsub_connections", &[DIRECTION, CONNECTION_KIND], "Peers connected, by who dialled and what they are to us");
    PEERS_BY_SCORE = Metric::gauge("gossipsub_peers_by_score", &[BAND], "Connected peers by the band of their score; the bands are disjoint and sum to all connections");
    PEER_SCORE = Metric::gauge("gossipsub_peer_score", &[SCORE_STAT], "The least, median and greatest score of connected peers, zero while there is none");
    SCORE_COMPONENT = Metric::gauge("gossipsub_score_component", &[COMPONENT, COMPONENT_STAT], "The weighted part of each component in the scores of connected peers, as of the last time that scores decayed: the least and the mean");
    SCORE_PENALTIES = Metric::counter("gossipsub_score_penalties_total", &[PENALTY], "Times that a peer was penalised, by reason");
    SLOW_PEERS = Metric::counter("gossipsub_slow_peers_total", &[], "Times that the transport found a peer too slow to be told what it must be told");

    // === Topics and meshes ===
    TOPICS = Metric::gauge("gossipsub_topics", &[], "Topics joined");
    TOPIC_SUBSCRIBED = Metric::gauge("gossipsub_topic_subscribed", &[TOPIC], "1 while we take part in the topic; under other, how many such topics");
    TOPIC_PEERS = Metric::gauge("gossipsub_topic_peers", &[TOPIC], "Connected peers that subscribe to the topic, while it has an actor");
    MESH_PEERS = Metric::gauge("gossipsub_mesh_peers", &[TOPIC], "Peers in our mesh of the topic");
    MESH_OUTBOUND_PEERS = Metric::gauge("gossipsub_mesh_outbound_peers", &[TOPIC], "Peers in our mesh of the topic that we dialled");
    MESH_DEGREE = Metric::gauge("gossipsub_mesh_degree", &[DEGREE], "What the limits want of a mesh: D_low, D, D_high and D_out");
    MESH_GRAFTED = Metric::counter("gossipsub_mesh_grafted_total", &[TOPIC, GRAFTED], "Peers taken into our mesh, by reason");
    MESH_PRUNED = Metric::counter("gossipsub_mesh_pruned_total", &[TOPIC, PRUNED], "Peers that left our mesh, by reason");
    TOPIC_LABEL_OVERFLOW = Metric::counter("gossipsub_topic_label_overflow_total", &[], "Topics of ours that found no room for a label of their own and are counted under other");

    // === Messages ===
    MESSAGES_RECEIVED = Metric::counter("gossipsub_messages_received_total", &[TOPIC], "Copies of full messages that peers sent and the topic handled");
    MESSAGES_DUPLICATE = Metric::counter("gossipsub_messages_duplicate_total", &[TOPIC], "Copies of messages that had been accepted before");
    MESSAGES_VALIDATED = Metric::counter("gossipsub_messages_validated_total", &[TOPIC, VALIDITY], "Verdicts on messages; an unknown one is judged again");
    MESSAGES_DELIVERED = Metric::counter("gossipsub_messages_delivered_total", &[TOPIC], "Valid messages handed to the application");
    MESSAGES_PUBLISHED = Metric::counter("gossipsub_messages_published_total", &[TOPIC], "Messages that the application published");
    MESSAGES_SENT = Metric::counter("gossipsub_messages_sent_total", &[TOPIC, PATH], "Full messages said to peers, one a recipient, by why; what was dropped later is in outputs_dropped");
    MESSAGES_SPARED = Metric::counter("gossipsub_messages_spared_total", &[TOPIC], "Full messages not said to peers that had said IDONTWANT, one a recipient; those taken out of queues are in outputs_dropped (unwanted)");
    MESSAGE_RECEIVED_BYTES = Metric::counter("gossipsub_message_received_bytes_total", &[TOPIC], "Bytes of the received copies, as Network::message_size tells them").in_unit(Unit::Bytes);
    MESSAGE_SENT_BYTES = Metric::counter("gossipsub_message_sent_bytes_total", &[TOPIC], "Bytes of the messages said to peers, as Network::message_size tells them").in_unit(Unit::Bytes);
    VALIDATION_DURATION = Metric::histogram("gossipsub_validation_duration_seconds", SLOW, &[], "How long a verdict that comes later took: on a message, or on a batch");
    DUPLICATE_DELAY = Metric::histogram("gossipsub_duplicate_delay_seconds", DUPLICATES, &[], "How long after the first a further copy came; one of 64 is measured");
    VALIDATIONS_DROPPED = Metric::counter("gossipsub_validations_dropped_total", &[UNVALIDATED], "Messages dropped because no verdict was to be had");

    // === What is said ===
    INPUTS = Metric::counter("gossipsub_inputs_total", &[INPUT, OUTCOME], "Inputs that the state machines handled, by what became of them");
    INPUTS_REFUSED = Metric::counter("gossipsub_inputs_refused_total", &[REFUSED], "Inputs refused at the door, and why");
    RPC_RECEIVED = Metric::counter("gossipsub_rpc_received_total", &[RPC], "Entries of RPCs that peers sent and the engine took");
    RPC_SENT = Metric::counter("gossipsub_rpc_sent_total", &[RPC], "Entries of RPCs said to peers, one a recipient; what was dropped later is in outputs_dropped");
    RPC_RECEIVED_BYTES = Metric::counter("gossipsub_rpc_received_bytes_total", &[], "Bytes read from peers' streams; nothing without a transport that counts").in_unit(Unit::Bytes);
    RPC_SENT_BYTES = Metric::counter("gossipsub_rpc_sent_bytes_total", &[], "Bytes written to peers' streams; nothing without a transport that counts").in_unit(Unit::Bytes);
    RPC_MALFORMED = Metric::counter("gossipsub_rpc_malformed_total", &[MALFORMED], "Streams of peers that were given up because what came was not a frame, or not an RPC");
    OUTPUTS_DROPPED = Metric::counter("gossipsub_outputs_dropped_total", &[LANE, NOT_SENT], "Outputs dropped: by the p2p stream because it was not read, or a peer was gone when gossip to it was, by the transport because a peer does not read, does not want it, or has no word for it");
    MESSAGE_IDS = Metric::counter("gossipsub_message_ids_total", &[ID_TYPE, SENT_OR_RECEIVED], "Ids of messages in IHAVEs, IWANTs and IDONTWANTs that were handled or said");
    IWANT_ANSWERS = Metric::counter("gossipsub_iwant_answers_total", &[ANSWER], "Ids that peers asked for, by what they got");
    IWANT_PROMISES = Metric::counter("gossipsub_iwant_promises_total", &[PROMISE], "Requests of ours that were watched, and how they ended");
    IWANT_PROMISE_DURATION = Metric::histogram("gossipsub_iwant_promise_duration_seconds", SLOW, &[], "How long it took until a message that was asked for came");

    // === The engine ===
    HEARTBEATS = Metric::counter("gossipsub_heartbeats_total", &[], "Heartbeats begun");
    HEARTBEATS_MISSED = Metric::counter("gossipsub_heartbeats_missed_total", &[], "Heartbeats skipped because the last one was not done");
    HEARTBEAT_DURATION = Metric::histogram("gossipsub_heartbeat_duration_seconds", FAST, &[], "From the begin of a heartbeat until every topic did its part");
    HEARTBEAT_INTERVAL = Metric::gauge("gossipsub_heartbeat_interval_seconds", &[], "How often a heartbeat is due").in_unit(Unit::Seconds);
    INPUT_DURATION = Metric::histogram("gossipsub_input_duration_seconds", FAST, &[HANDLED], "How long an actor took to handle an item; one of 64 is measured");
    QUEUE_DEPTH = Metric::gauge("gossipsub_queue_depth", &[QUEUE], "Items that wait in each queue");
    QUEUE_BYTES = Metric::gauge("gossipsub_queue_bytes", &[WEIGHED_QUEUE], "Bytes of what waits to be handled").in_unit(Unit::Bytes);
    QUEUE_CAPACITY = Metric::gauge("gossipsub_queue_capacity", &[BOUNDED_QUEUE], "Beyond so many items a queue's door closes, or its least urgent items go");
    QUEUE_WAIT = Metric::histogram("gossipsub_queue_wait_seconds", SLOW, &[TIMED_QUEUE], "How long items waited; one of many is followed");
    CACHE_ENTRIES = Metric::gauge("gossipsub_cache_entries", &[CACHE], "Entries of each map of the engine (protocol::Footprint, with the most that each can hold)");
    CACHE_BYTES = Metric::gauge("gossipsub_cache_bytes", &[WEIGHED_CACHE], "Bytes of the messages in a map").in_unit(Unit::Bytes);
    TOPIC_RESTARTS = Metric::counter("gossipsub_topic_restarts_total", &[RESTART], "Panics of topics' actors, by what followed");
    HOOK_PANICS = Metric::counter("gossipsub_hook_panics_total", &[], "Panics of the application's hooks that cost no topic");
}

/// The value of `topic` for topics without a label of their own.
pub const OTHER: &str = "other";

const VERSION: Label = Label { name: "version", values: Values::Version };
const TOPIC: Label = Label { name: "topic", values: Values::Topics };
const DIRECTION: Label = Label::one_of("direction", &["inbound", "outbound"]);
const CONNECTION_KIND: Label = Label::one_of("kind", &["regular", "direct", "bootstrap"]);
const BAND: Label = Label::one_of("band", &["below_publish", "below_gossip", "negative", "non_negative"]);
const SCORE_STAT: Label = Label::one_of("stat", &["min", "median", "max"]);
const COMPONENT: Label = Label::one_of("component", &["p1", "p2", "p3", "p3b", "p4", "p5", "p7"]);
const COMPONENT_STAT: Label = Label::one_of("stat", &["min", "mean"]);
const PENALTY: Label =
    Label::one_of("reason", &["graft_backoff", "broken_promise", "invalid_message", "slow_peer"]);
const DEGREE: Label = Label::one_of("bound", &["low", "optimal", "high", "outbound"]);
const GRAFTED: Label = Label::one_of(
    "reason",
    &["join", "fanout_promoted", "remote_graft", "below_d_low", "outbound_quota", "opportunistic"],
);
const PRUNED: Label = Label::one_of(
    "reason",
    &["remote_prune", "unsubscribed", "disconnected", "negative_score", "above_d_high", "leave", "restart"],
);
const VALIDITY: Label = Label::one_of("validity", &["valid", "invalid", "outdated", "unknown"]);
const PATH: Label = Label::one_of("path", &["publish", "fanout", "forward", "iwant"]);
const UNVALIDATED: Label = Label::one_of("reason", &["timeout", "too_many"]);
const INPUT: Label = Label::one_of(
    "input",
    &[
        "add_peer",
        "remove_peer",
        "subscribe",
        "unsubscribe",
        "graft",
        "prune",
        "ihave",
        "iwant",
        "receive_message",
        "retry_message",
        "judge_message",
        "publish",
        "join",
        "leave",
        "idontwant",
    ],
);
/// Of each input those of its outcome enum: `protocol::outcome`.
const OUTCOME: Label = Label::one_of(
    "outcome",
    &[
        "added",
        "already_known",
        "removing",
        "subscribed",
        "unknown_peer",
        "topic_limit_exceeded",
        "unsubscribed",
        "grafted",
        "peer_filtered",
        "unsubscribed_topic",
        "already_in_mesh",
        "unexpected_peer",
        "direct_peer",
        "backed_off",
        "negative_score",
        "mesh_full",
        "topic_not_tracked",
        "not_in_mesh",
        "score_too_low",
        "no_px",
        "px",
        "low_score",
        "too_many_ihaves",
        "too_many_iwants",
        "invalid_id",
        "requested",
        "answered",
        "route",
        "already_received",
        "not_subscribed",
        "invalid",
        "unknown",
        "outdated",
        "batched",
        "validating",
        "throttled",
        "published",
        "already_published",
        "joined",
        "already_joined",
        "left",
        "not_joined",
        "switched_off",
        "too_many",
        "noted",
    ],
);
const REFUSED: Label = Label::one_of("reason", &Refused::REASONS);
const RPC: Label = Label::one_of(
    "type",
    &["message", "subscribe", "unsubscribe", "graft", "prune", "ihave", "iwant", "ping", "idontwant"],
);
const MALFORMED: Label = Label::one_of("reason", &["frame", "rpc"]);
const LANE: Label = Label::one_of("lane", &["control", "publish", "forward", "answer", "gossip"]);
const NOT_SENT: Label = Label::one_of(
    "reason",
    &["stream_full", "peer_slow", "disconnected", "too_large", "unwanted", "unsupported"],
);
const ID_TYPE: Label = Label::one_of("type", &["ihave", "iwant", "idontwant"]);
const SENT_OR_RECEIVED: Label = Label::one_of("direction", &["received", "sent"]);
const ANSWER: Label = Label::one_of("answer", &["message", "not_found", "too_many_requests", "ignored"]);
const PROMISE: Label = Label::one_of("event", &["started", "kept", "broken", "void"]);
const HANDLED: Label = Label::one_of(
    "input",
    &[
        "subscribe",
        "unsubscribe",
        "graft",
        "prune",
        "ihave",
        "iwant",
        "receive_message",
        "judge_message",
        "publish",
        "join",
        "leave",
        "order",
        "supervisor",
    ],
);
const QUEUE: Label =
    Label::one_of("queue", &["input", "publication", "supervisor", "router", "p2p_output", "app_output"]);
const WEIGHED_QUEUE: Label = Label::one_of("queue", &["input", "publication"]);
const BOUNDED_QUEUE: Label = Label::one_of("queue", &["input", "publication", "p2p_output", "app_output"]);
const TIMED_QUEUE: Label = Label::one_of("queue", &["input", "p2p_output", "app_output"]);
const CACHE: Label = Label::one_of(
    "cache",
    &[
        "connections",
        "subscriptions",
        "scores",
        "trusted",
        "unreachable",
        "joined",
        "parked",
        "batched",
        "topics",
        "subscribers",
        "mesh",
        "fanout",
        "backoffs",
        "history",
        "seen",
        "validating",
        "invalid",
        "promises",
        "declined",
        "unwanted",
        "quotas",
        "names",
        "homes",
    ],
);
const WEIGHED_CACHE: Label = Label::one_of("cache", &["parked", "history", "invalid"]);
const RESTART: Label = Label::one_of("outcome", &["restarted", "given_up"]);

/// Of what an actor does in one go.
const FAST: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
/// Of what waits for something.
const SLOW: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const DUPLICATES: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        metrics::Kind,
        outputs::publication::DropReason,
        protocol::{Footprint, Lane},
    };

    #[test]
    fn names_are_unique_and_as_prometheus_wants_them() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        for Metric { name, kind, unit, description, .. } in CATALOGUE {
            assert!(name.starts_with("gossipsub_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_bytes"), *unit == Unit::Bytes, "{name}");
            assert_eq!(base.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
            assert!(!description.ends_with('.') && !description.contains('|'), "{name}: {description}");
        }
    }

    #[test]
    fn buckets_ascend() {
        for metric in CATALOGUE {
            if let Kind::Histogram { buckets } = metric.kind {
                assert!(!buckets.is_empty() && buckets.is_sorted(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn values_are_those_of_the_engine() {
        let maps: Vec<_> = Footprint::default().maps().map(|(map, _)| map).collect();
        let caches = maps.iter().filter(|map| !map.ends_with("_bytes")).copied();
        assert_eq!(CACHE.values, Values::OneOf(&caches.collect::<Vec<_>>().leak()[..]));
        let weighed = maps.iter().filter_map(|map| map.strip_suffix("_bytes"));
        assert_eq!(WEIGHED_CACHE.values, Values::OneOf(&weighed.collect::<Vec<_>>().leak()[..]));
        assert_eq!(LANE.values, Values::OneOf(&Lane::ALL.map(Lane::name).to_vec().leak()[..]));
        assert_eq!(
            NOT_SENT.values,
            Values::OneOf(&DropReason::ALL.map(DropReason::reason).to_vec().leak()[..])
        );
    }
}

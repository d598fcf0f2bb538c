//! Every metric of the engine. Only these metrics are exported, and each of them has its series from the start.

use ::metrics::Unit;
use strum::VariantNames;

use super::{
    labels::{
        AfterPanic, BoundedQueue, ByteQueue, ComponentStat, DegreeBound, EngineQueue, Handled, IdListType,
        Malformed, RpcDirection, RpcType, ScoreStat, SendPath, StreamItem, TimedQueue, Undelivered,
        Unvalidated, Verdict,
    },
    metric::{Label, Metric, Values},
};
use crate::{
    admission::{refused::RefusedReason, totals::Remembered},
    network::{
        ConnectionFailure, ConnectionRefusal, DialOutcome, Direction, PeerRecordOutcome, ProtocolVersion,
        PxDialOutcome, TransportKind,
    },
    outputs::publication::DropReason,
    protocol::{
        inspect::stats::TopicProblem,
        outcome::{
            counters::{IWantResponse, PromiseEvent},
            reason::{GraftReason, LeaveReason, Penalty, ScoreAction},
        },
        output::Lane,
        peers::summary::{ConnectionClass, ScoreBand},
        score::ScoreComponent,
    },
};

/// One constant per metric, and the list of them all.
macro_rules! catalogue {
    ($($id:ident = $metric:expr;)*) => {
        $(pub(super) const $id: Metric = $metric;)*

        /// Every metric of an engine. Names follow the libp2p draft where `promtool` allows.
        pub const CATALOGUE: &[Metric] = &[$($id),*];
    };
}

catalogue! {
    // === Peers and scores ===
    BUILD_INFO = Metric::gauge("gossipsub_build_info", &[VERSION, COMMIT, FEATURES], "Constant 1; the labels are the version of this package, the commit of an optimised build of the binary, and the enabled features");
    CONNECTIONS = Metric::gauge("gossipsub_connections", &[DIRECTION, CONNECTION_KIND], "Connected peers, by direction of the connection and kind of peer");
    TRANSPORT_CONNECTIONS = Metric::gauge("gossipsub_transport_connections", &[TRANSPORT, DIRECTION], "Open connections, by what carries them and by direction; a peer may have several. 0 if the transport does not count them");
    DIALS = Metric::counter("gossipsub_dials_total", &[DIAL], "Dials of peers and addresses, by how they ended; 0 if the transport does not count them");
    CONNECTIONS_FAILED = Metric::counter("gossipsub_connections_failed_total", &[DIRECTION, FAILURE], "Connections that were not established, by direction and cause; a dial of several addresses that reaches none counts each of them. Those refused by a limit are in gossipsub_connections_refused_total");
    CONNECTIONS_REFUSED = Metric::counter("gossipsub_connections_refused_total", &[REFUSAL], "Connections and dials that the transport refused, and connections that it closed, by the limit that was reached; 0 if the transport does not count them");
    PEER_RECORDS = Metric::counter("gossipsub_peer_records_total", &[PEER_RECORD], "Signed peer records that peers sent of themselves by identify or that came with the recommended peers of an accepted PRUNE, by what became of them; 0 if the transport has none");
    PX_DIALS = Metric::counter("gossipsub_px_dials_total", &[PX_DIAL], "Recommended peers (px) that the engine asked to dial, by what became of them; 0 if the transport does not count them");
    CONNECTIONS_BY_PROTOCOL = Metric::gauge("gossipsub_connections_by_protocol", &[PROTOCOL], "Open connections that carry gossipsub, by its version, or floodsub; a peer may have several. 0 if the transport does not count them");
    PEERS_BY_SCORE = Metric::gauge("gossipsub_peers_by_score", &[BAND], "Connected peers by score band; the bands are disjoint and sum to gossipsub_connections");
    PEER_SCORE = Metric::gauge("gossipsub_peer_score", &[SCORE_STAT], "Minimum, median and maximum score of the connected peers; 0 without peers");
    SCORE_COMPONENT = Metric::gauge("gossipsub_score_component", &[COMPONENT, COMPONENT_STAT], "Minimum and mean of each weighted score component over the connected peers, as of the last decay of scores");
    SCORE_PENALTIES = Metric::counter("gossipsub_score_penalties_total", &[PENALTY], "Penalties applied to scores, by reason");
    SCORE_ACTIONS = Metric::counter("gossipsub_score_actions_total", &[SCORE_ACTION], "What was done about peers because of their scores, by action");
    SLOW_PEER_REPORTS = Metric::counter("gossipsub_slow_peer_reports_total", &[], "Slow-peer reports by the transport");

    // === Topics and meshes ===
    TOPICS = Metric::gauge("gossipsub_topics", &[], "Joined topics");
    TOPICS_WITH_PROBLEM = Metric::gauge("gossipsub_topics_with_problem", &[PROBLEM], "Joined topics with a problem, of all topics, also those without a label of their own");
    TOPIC_SUBSCRIBED = Metric::gauge("gossipsub_topic_subscribed", &[TOPIC], "1 if the topic is joined, else 0; for other, the number of joined topics that share this label");
    TOPIC_PEERS = Metric::gauge("gossipsub_topic_peers", &[TOPIC], "Connected peers subscribed to the topic; 0 if the topic has no mesh actor");
    MESH_PEERS = Metric::gauge("gossipsub_mesh_peers", &[TOPIC], "Peers in the mesh of the topic");
    MESH_OUTBOUND_PEERS = Metric::gauge("gossipsub_mesh_outbound_peers", &[TOPIC], "Peers in the mesh of the topic with an outbound connection");
    MESH_DEGREE = Metric::gauge("gossipsub_mesh_degree", &[DEGREE], "Configured mesh degrees: D_low, D, D_high and D_out");
    MESH_GRAFTED = Metric::counter("gossipsub_mesh_grafted_total", &[TOPIC, GRAFTED], "Peers added to the mesh, by reason");
    MESH_PRUNED = Metric::counter("gossipsub_mesh_pruned_total", &[TOPIC, PRUNED], "Peers removed from the mesh, by reason");
    PUBLISHED_TO_NO_PEERS = Metric::counter("gossipsub_published_to_no_peers_total", &[], "Publications of the application that were sent to no peer");
    TOPIC_LABEL_OVERFLOW = Metric::counter("gossipsub_topic_label_overflow_total", &[], "Joins and publications on topics that share the label other because all labels are in use");

    // === Messages ===
    MESSAGES_RECEIVED = Metric::counter("gossipsub_messages_received_total", &[TOPIC], "Full messages received from peers, including duplicates");
    MESSAGES_DUPLICATE = Metric::counter("gossipsub_messages_duplicate_total", &[TOPIC], "Received messages that had been seen before");
    MESSAGES_VALIDATED = Metric::counter("gossipsub_messages_validated_total", &[TOPIC, VALIDITY], "Validation verdicts, by validity; a message of unknown validity is validated again later");
    MESSAGES_DELIVERED = Metric::counter("gossipsub_messages_delivered_total", &[TOPIC], "Valid messages delivered to the application");
    MESSAGES_PUBLISHED = Metric::counter("gossipsub_messages_published_total", &[TOPIC], "Messages published by the application");
    MESSAGES_SENT = Metric::counter("gossipsub_messages_sent_total", &[TOPIC, PATH], "Full messages sent to peers, one per recipient, by path; drops after this count are in gossipsub_outputs_dropped_total");
    MESSAGES_SUPPRESSED_BY_IDONTWANT = Metric::counter("gossipsub_messages_suppressed_by_idontwant_total", &[TOPIC], "Full messages not sent because of an IDONTWANT, one per recipient; messages removed from a send queue are in gossipsub_outputs_dropped_total with reason idontwant");
    MESSAGE_RECEIVED_BYTES = Metric::counter("gossipsub_message_received_bytes_total", &[TOPIC], "Bytes of the received full messages, by Network::message_size").in_unit(Unit::Bytes);
    MESSAGE_SENT_BYTES = Metric::counter("gossipsub_message_sent_bytes_total", &[TOPIC], "Bytes of the sent full messages, by Network::message_size").in_unit(Unit::Bytes);
    VALIDATION_DURATION = Metric::histogram("gossipsub_validation_duration_seconds", SLOW, &[], "Duration of asynchronous validations of a message or a batch");
    DUPLICATE_DELAY = Metric::histogram("gossipsub_duplicate_delay_seconds", DUPLICATES, &[], "Time from the first copy of a message to a duplicate; one duplicate of 64 is sampled");
    VALIDATIONS_DROPPED = Metric::counter("gossipsub_validations_dropped_total", &[UNVALIDATED], "Messages dropped without a verdict, by reason");

    // === Inputs and RPCs ===
    INPUTS = Metric::counter("gossipsub_inputs_total", &[INPUT, OUTCOME], "Inputs handled by the state machines, by outcome");
    INPUTS_REFUSED = Metric::counter("gossipsub_inputs_refused_total", &[REFUSED], "Inputs refused by admission control, by reason");
    RPC_RECEIVED = Metric::counter("gossipsub_rpc_received_total", &[RPC], "RPC entries received from peers and admitted, by type");
    RPC_SENT = Metric::counter("gossipsub_rpc_sent_total", &[RPC], "RPC entries sent to peers, one per recipient, by type; drops after this count are in gossipsub_outputs_dropped_total");
    RPC_RECEIVED_BYTES = Metric::counter("gossipsub_rpc_received_bytes_total", &[], "Bytes read from the peers' streams; 0 if the transport does not count them").in_unit(Unit::Bytes);
    RPC_SENT_BYTES = Metric::counter("gossipsub_rpc_sent_bytes_total", &[], "Bytes written to the peers' streams; 0 if the transport does not count them").in_unit(Unit::Bytes);
    RPC_GRAYLISTED = Metric::counter("gossipsub_rpc_graylisted_total", &[], "RPCs of graylisted peers, dropped before they were decoded; 0 if the transport leaves that to the engine");
    RPC_MALFORMED = Metric::counter("gossipsub_rpc_malformed_total", &[MALFORMED], "Inbound streams closed because of a malformed frame or RPC, or because a frame was not complete in time");
    TRANSPORT_MEMORY = Metric::gauge("gossipsub_transport_memory_bytes", &[], "Memory charged for send queues, frames and decoded inputs; 0 if the transport does not count it").in_unit(Unit::Bytes);
    RPC_ENTRIES_IGNORED = Metric::counter("gossipsub_rpc_entries_ignored_total", &[], "Entries, message ids and peers of received RPCs that were ignored because they are more than the limits allow");
    RPC_FRAMES_LOST = Metric::counter("gossipsub_rpc_frames_lost_total", &[], "Streams of peers that ended within a frame, or were dropped for later ones before all of their frames were read");
    STREAMS_REOPENED = Metric::counter("gossipsub_streams_reopened_total", &[], "Outbound streams requested again because the one before broke or could not be opened");
    REPLAY_EVICTIONS = Metric::counter("gossipsub_replay_evictions_total", &[], "Authors whose sequence numbers were forgotten to make room for others");
    SIGNATURES_VERIFIED = Metric::counter("gossipsub_signatures_verified_total", &[], "Messages whose signature was verified and is right; copies of a message that is in memory are not verified again");
    OUTPUTS_DROPPED = Metric::counter("gossipsub_outputs_dropped_total", &[LANE, DROP_REASON], "Outputs dropped before they were sent, by lane and reason");
    DELIVERIES_DROPPED = Metric::counter("gossipsub_deliveries_dropped_total", &[UNDELIVERED], "Delivered messages of topics with a subscription that the application did not get, by reason");
    UNSTREAMED = Metric::counter("gossipsub_http_stream_dropped_total", &[STREAM_ITEM], "Delivered messages and engine events that a reader of the HTTP stream did not get because it reads too slowly, by item; 0 if the stream is not served");
    MESSAGE_IDS = Metric::counter("gossipsub_message_ids_total", &[ID_LIST, RPC_DIRECTION], "Message ids listed in IHAVE, IWANT and IDONTWANT, by direction");
    IWANT_RESPONSES = Metric::counter("gossipsub_iwant_responses_total", &[RESPONSE], "Message ids of received IWANTs, by response");
    IWANT_PROMISES = Metric::counter("gossipsub_iwant_promises_total", &[PROMISE], "Tracked IWANT promises of peers, by event; a promise is cancelled when its topic is left");
    IWANT_PROMISE_DURATION = Metric::histogram("gossipsub_iwant_promise_duration_seconds", SLOW, &[], "Time from an IWANT to the requested message, for fulfilled promises");

    // === The engine ===
    HEARTBEATS = Metric::counter("gossipsub_heartbeats_total", &[], "Heartbeats started");
    HEARTBEATS_SKIPPED = Metric::counter("gossipsub_heartbeats_skipped_total", &[], "Heartbeats skipped because the previous heartbeat had not finished");
    HEARTBEAT_DURATION = Metric::histogram("gossipsub_heartbeat_duration_seconds", FAST, &[], "Time from the start of a heartbeat until all topics have finished it");
    HEARTBEAT_INTERVAL = Metric::gauge("gossipsub_heartbeat_interval_seconds", &[], "Configured heartbeat interval").in_unit(Unit::Seconds);
    INPUT_DURATION = Metric::histogram("gossipsub_input_duration_seconds", FAST, &[HANDLED], "Time that an actor takes to handle an item; one item of 64 is sampled");
    QUEUE_DEPTH = Metric::gauge("gossipsub_queue_depth", &[QUEUE], "Items in each queue");
    QUEUE_BYTES = Metric::gauge("gossipsub_queue_bytes", &[BYTE_QUEUE], "Bytes in each queue; input has the messages too that the engine still keeps after their input was handled").in_unit(Unit::Bytes);
    QUEUE_CAPACITY = Metric::gauge("gossipsub_queue_capacity", &[BOUNDED_QUEUE], "Limit of each queue in items; above it inputs are refused and outputs dropped, the least urgent lane first");
    QUEUE_WAIT = Metric::histogram("gossipsub_queue_wait_seconds", SLOW, &[TIMED_QUEUE], "Time that items wait in each queue; a sample of them");
    CACHE_ENTRIES = Metric::gauge("gossipsub_cache_entries", &[CACHE], "Entries in each map of the engine; protocol::Footprint documents the maps and their limits");
    CACHE_BYTES = Metric::gauge("gossipsub_cache_bytes", &[BYTE_CACHE], "Bytes of the messages or entries in a map").in_unit(Unit::Bytes);
    CACHE_EVICTIONS = Metric::counter("gossipsub_cache_evictions_total", &[EVICTED], "Entries that a limit removed before their time or kept out, by map");
    TOPIC_PANICS = Metric::counter("gossipsub_topic_panics_total", &[AFTER_PANIC], "Panics of topics, by outcome: the topic is restarted, or given up after too many panics");
    HOOK_PANICS = Metric::counter("gossipsub_hook_panics_total", &[], "Panics of hooks of the application. Each loses only the item that the hook was called for");
}

/// The value of the label `topic` for all topics without a label of their own.
pub const OTHER: &str = "other";

const VERSION: Label = Label { name: "version", values: Values::Build };
const COMMIT: Label = Label { name: "commit", values: Values::Build };
const FEATURES: Label = Label { name: "features", values: Values::Build };
const TOPIC: Label = Label { name: "topic", values: Values::Topics };
const PROBLEM: Label = Label::one_of("problem", TopicProblem::VARIANTS);
const DIRECTION: Label = Label::one_of("direction", Direction::VARIANTS);
const TRANSPORT: Label = Label::one_of("transport", TransportKind::VARIANTS);
const PROTOCOL: Label = Label::one_of("protocol", ProtocolVersion::VARIANTS);
const DIAL: Label = Label::one_of("outcome", DialOutcome::VARIANTS);
const FAILURE: Label = Label::one_of("cause", ConnectionFailure::VARIANTS);
const CONNECTION_KIND: Label = Label::one_of("kind", ConnectionClass::VARIANTS);
const REFUSAL: Label = Label::one_of("reason", ConnectionRefusal::VARIANTS);
const PEER_RECORD: Label = Label::one_of("outcome", PeerRecordOutcome::VARIANTS);
const PX_DIAL: Label = Label::one_of("outcome", PxDialOutcome::VARIANTS);
const BAND: Label = Label::one_of("band", ScoreBand::VARIANTS);
const SCORE_STAT: Label = Label::one_of("stat", ScoreStat::VARIANTS);
const COMPONENT: Label = Label::one_of("component", ScoreComponent::VARIANTS);
const COMPONENT_STAT: Label = Label::one_of("stat", ComponentStat::VARIANTS);
const PENALTY: Label = Label::one_of("reason", Penalty::VARIANTS);
const SCORE_ACTION: Label = Label::one_of("action", ScoreAction::VARIANTS);
const DEGREE: Label = Label::one_of("bound", DegreeBound::VARIANTS);
const GRAFTED: Label = Label::one_of("reason", GraftReason::VARIANTS);
const PRUNED: Label = Label::one_of("reason", LeaveReason::VARIANTS);
const VALIDITY: Label = Label::one_of("validity", Verdict::VARIANTS);
const PATH: Label = Label::one_of("path", SendPath::VARIANTS);
const UNVALIDATED: Label = Label::one_of("reason", Unvalidated::VARIANTS);
/// [`Input::name`](crate::protocol::Input::name) of all inputs.
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
        "retry_validation",
        "validation_result",
        "publish",
        "join",
        "leave",
        "idontwant",
    ],
);
/// The outcomes of all inputs; [`Input::outcomes`](crate::protocol::Input::outcomes) lists those of one input.
const OUTCOME: Label = Label::one_of(
    "outcome",
    &[
        "added",
        "already_known",
        "removed",
        "subscribed",
        "grafted",
        "unknown_peer",
        "topic_limit_exceeded",
        "filtered",
        "graylisted",
        "unsubscribed",
        "peer_filtered",
        "not_joined",
        "already_in_mesh",
        "direct_peer",
        "floodsub_peer",
        "backed_off",
        "negative_score",
        "mesh_full",
        "not_in_mesh",
        "px_ignored",
        "no_px",
        "px",
        "px_disabled",
        "low_score",
        "too_many_ihaves",
        "too_many_iwants",
        "invalid_id",
        "requested",
        "answered",
        "routed",
        "duplicate",
        "invalid",
        "unknown",
        "outdated",
        "too_large",
        "batched",
        "validating",
        "throttled",
        "validation_panicked",
        "own_message",
        "refused_source",
        "published",
        "already_published",
        "too_few_peers",
        "joined",
        "already_joined",
        "left",
        "disabled",
        "too_many_ids",
        "recorded",
    ],
);
const REFUSED: Label = Label::one_of("reason", RefusedReason::VARIANTS);
const RPC: Label = Label::one_of("type", RpcType::VARIANTS);
const MALFORMED: Label = Label::one_of("reason", Malformed::VARIANTS);
const LANE: Label = Label::one_of("lane", Lane::VARIANTS);
const DROP_REASON: Label = Label::one_of("reason", DropReason::VARIANTS);
const UNDELIVERED: Label = Label::one_of("reason", Undelivered::VARIANTS);
const STREAM_ITEM: Label = Label::one_of("item", StreamItem::VARIANTS);
const ID_LIST: Label = Label::one_of("type", IdListType::VARIANTS);
const RPC_DIRECTION: Label = Label::one_of("direction", RpcDirection::VARIANTS);
const RESPONSE: Label = Label::one_of("response", IWantResponse::VARIANTS);
const PROMISE: Label = Label::one_of("event", PromiseEvent::VARIANTS);
const HANDLED: Label = Label::one_of("input", Handled::VARIANTS);
const QUEUE: Label = Label::one_of("queue", EngineQueue::VARIANTS);
const BYTE_QUEUE: Label = Label::one_of("queue", ByteQueue::VARIANTS);
const BOUNDED_QUEUE: Label = Label::one_of("queue", BoundedQueue::VARIANTS);
const TIMED_QUEUE: Label = Label::one_of("queue", TimedQueue::VARIANTS);
/// [`Footprint::maps`](crate::protocol::Footprint::maps) that count entries.
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
        "requested",
        "sent_idontwant",
        "peer_idontwant",
        "missed",
        "heartbeat_quotas",
        "peers_by_connection",
        "publish_reports",
        "subscribed",
        "unread_events",
        "topic_by_message_id",
    ],
);
/// [`Footprint::maps`](crate::protocol::Footprint::maps) that count bytes.
const BYTE_CACHE: Label = Label::one_of(
    "cache",
    &["subscriptions", "parked", "backoffs", "history", "seen", "invalid", "peer_ids", "subscribed"],
);
/// Maps whose limits remove entries.
const EVICTED: Label = Label::one_of("cache", Remembered::VARIANTS);
const AFTER_PANIC: Label = Label::one_of("outcome", AfterPanic::VARIANTS);

/// Buckets for work that an actor does without waiting, in seconds.
const FAST: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
/// Buckets for waiting times, in seconds.
const SLOW: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for the delays of duplicates, in seconds.
const DUPLICATES: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        metrics::Kind,
        protocol::{Footprint, Input},
    };

    #[test]
    fn names_are_unique_and_follow_the_conventions_of_prometheus() {
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
    fn lists_of_values_equal_those_of_the_engine() {
        let maps: Vec<_> = Footprint::default().maps().map(|(map, _)| map).collect();
        let caches = maps.iter().filter(|map| !map.ends_with("_bytes")).copied();
        assert_eq!(CACHE.values, Values::OneOf(&caches.collect::<Vec<_>>().leak()[..]));
        let bytes = maps.iter().filter_map(|map| map.strip_suffix("_bytes"));
        assert_eq!(BYTE_CACHE.values, Values::OneOf(&bytes.collect::<Vec<_>>().leak()[..]));
        assert_eq!(INPUT.values, Values::OneOf(&Input::ALL.map(Input::name).to_vec().leak()[..]));
        let outcomes: BTreeSet<_> = Input::ALL.into_iter().flat_map(Input::outcomes).copied().collect();
        let Values::OneOf(listed) = OUTCOME.values else { panic!("a closed list") };
        assert_eq!((outcomes.len(), outcomes), (listed.len(), listed.iter().copied().collect()));
        assert_eq!(LANE.values, Values::OneOf(&Lane::ALL.map(Lane::name).to_vec().leak()[..]));
        let reasons = DropReason::ALL.map(DropReason::reason).to_vec();
        assert_eq!(DROP_REASON.values, Values::OneOf(&reasons.leak()[..]));
    }
}

//! The engine's metrics, through the `metrics` facade. The only file that names one; handles are made
//! once, from the recorder that is current when the engine starts. Installs no recorder, opens no port.

use ::metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    protocol::{Footprint, Lane, Stats},
    worker::{NotSent, Refused, Waiting},
};

/// Held handles of one engine.
pub(crate) struct Metrics {
    inputs: Counter,
    refused: [(&'static str, Counter); REASONS.len()],
    outputs_dropped: [[Counter; NotSent::ALL.len()]; Lane::ALL.len()],
    slow_peers: Counter,
    heartbeats: Counter,
    heartbeats_skipped: Counter,
    topic_restarts: Counter,
    hook_panics: Counter,
    validations_timed_out: Counter,
    validations_throttled: Counter,
    topics: Gauge,
    connections: Gauge,
    waiting_items: Gauge,
    waiting_bytes: Gauge,
    /// In the order of [`Footprint::maps`].
    held: Vec<Gauge>,
    sent: [(Counter, fn(&Stats) -> u64); 5],
    received: [(Counter, fn(&Stats) -> u64); 8],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe();
        let sent = |kind| counter!(SENT, "kind" => kind);
        let received = |kind| counter!(RECEIVED, "kind" => kind);
        let dropped =
            |lane: Lane, why: NotSent| counter!(DROPPED, "lane" => lane.name(), "reason" => why.reason());
        Self {
            inputs: counter!(INPUTS),
            refused: REASONS.map(|reason| (reason, counter!(REFUSED, "reason" => reason))),
            outputs_dropped: Lane::ALL.map(|lane| NotSent::ALL.map(|reason| dropped(lane, reason))),
            slow_peers: counter!(SLOW_PEERS),
            heartbeats: counter!(HEARTBEATS),
            heartbeats_skipped: counter!(SKIPPED),
            topic_restarts: counter!(RESTARTS),
            hook_panics: counter!(HOOK_PANICS),
            validations_timed_out: counter!(VALIDATIONS_DROPPED, "reason" => "timeout"),
            validations_throttled: counter!(VALIDATIONS_DROPPED, "reason" => "too_many"),
            topics: gauge!(TOPICS),
            connections: gauge!(CONNECTIONS),
            waiting_items: gauge!(WAITING_ITEMS),
            waiting_bytes: gauge!(WAITING_BYTES),
            held: Footprint::default().maps().map(|(map, _)| held(map)).collect(),
            sent: [
                (sent("message"), |stats| stats.count_sent_app_messages),
                (sent("graft"), |stats| stats.count_sent_grafts),
                (sent("prune"), |stats| stats.count_sent_prunes),
                (sent("ihave"), |stats| stats.count_sent_ihaves),
                (sent("iwant"), |stats| stats.count_sent_iwants),
            ],
            received: [
                (received("valid_message"), |stats| stats.count_recv_valid_app_messages),
                (received("invalid_message"), |stats| stats.count_recv_invalid_app_messages),
                (received("unknown_message"), |stats| stats.count_recv_unknown_validity_app_messages),
                (received("outdated_message"), |stats| stats.count_recv_outdated_app_messages),
                (received("graft"), |stats| stats.count_recv_grafts),
                (received("prune"), |stats| stats.count_recv_prunes),
                (received("ihave_id"), |stats| stats.count_recv_ihaves),
                (received("iwant_id"), |stats| stats.count_recv_iwants),
            ],
        }
    }

    pub(crate) fn input(&self) {
        self.inputs.increment(1);
    }

    pub(crate) fn refused(&self, refused: Refused) {
        let of_reason = self.refused.iter().find(|(reason, _)| *reason == refused.reason());
        if let Some((_, counter)) = of_reason {
            counter.increment(1);
        }
    }

    pub(crate) fn output_dropped(&self, lane: Lane, reason: NotSent, count: usize) {
        self.outputs_dropped[lane as usize][reason as usize].increment(count as u64);
    }

    pub(crate) fn slow_peer(&self) {
        self.slow_peers.increment(1);
    }

    pub(crate) fn heartbeat_skipped(&self) {
        self.heartbeats_skipped.increment(1);
    }

    pub(crate) fn validation_timed_out(&self) {
        self.validations_timed_out.increment(1);
    }

    pub(crate) fn validations_throttled(&self, count: usize) {
        self.validations_throttled.increment(count as u64);
    }

    pub(crate) fn hook_panicked(&self) {
        self.hook_panics.increment(1);
    }

    pub(crate) fn topic_restarted(&self) {
        self.topic_restarts.increment(1);
    }

    /// Counts a heartbeat and brings up to date the sixteen statistics and what every map holds.
    pub(crate) fn heartbeat(&self, stats: &Stats, held: &Footprint, waiting: &Waiting) {
        self.heartbeats.increment(1);
        for (gauge, (_, held)) in self.held.iter().zip(held.maps()) {
            gauge.set(held as f64);
        }
        self.waiting_items.set(waiting.items() as f64);
        self.waiting_bytes.set(waiting.bytes() as f64);
        self.topics.set(stats.count_topics as f64);
        self.connections.set(stats.count_connections as f64);
        for (counter, count) in self.sent.iter().chain(&self.received) {
            counter.absolute(count(stats));
        }
    }
}

/// The gauge of what a map holds: entries, or bytes where its name says so.
fn held(map: &'static str) -> Gauge {
    match map.strip_suffix("_bytes") {
        Some(cache) => gauge!(CACHE_BYTES, "cache" => cache),
        None => gauge!(CACHE_ENTRIES, "cache" => map),
    }
}

fn describe() {
    describe_counter!(INPUTS, Unit::Count, "Inputs of the p2p layer and the application that were admitted");
    describe_counter!(REFUSED, Unit::Count, "Inputs that were refused because too many waited");
    describe_counter!(DROPPED, Unit::Count, "Outputs that were dropped, by urgency and reason");
    describe_counter!(
        SLOW_PEERS,
        Unit::Count,
        "Times that a peer was found too slow to be told what it must be"
    );
    describe_gauge!(CACHE_ENTRIES, Unit::Count, "Entries of each map, as of the last heartbeat");
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Bytes of messages in a map, as of the last heartbeat");
    describe_counter!(HEARTBEATS, Unit::Count, "Heartbeats begun");
    describe_counter!(SKIPPED, Unit::Count, "Heartbeats skipped because the last one was not done");
    describe_counter!(RESTARTS, Unit::Count, "Topics restarted after a panic");
    describe_counter!(VALIDATIONS_DROPPED, Unit::Count, "Messages dropped because no verdict was to be had");
    describe_counter!(HOOK_PANICS, Unit::Count, "Panics of the application's hooks that cost no topic");
    describe_gauge!(TOPICS, Unit::Count, "Topics joined");
    describe_gauge!(CONNECTIONS, Unit::Count, "Peers connected");
    describe_gauge!(WAITING_ITEMS, Unit::Count, "Inputs of peers that wait, as of the last heartbeat");
    describe_gauge!(
        WAITING_BYTES,
        Unit::Bytes,
        "Bytes of inputs of peers that wait, as of the last heartbeat"
    );
    describe_counter!(SENT, Unit::Count, "What was sent to peers, as of the last heartbeat");
    describe_counter!(RECEIVED, Unit::Count, "What came of what peers sent, as of the last heartbeat");
}

const INPUTS: &str = "gossipsub_inputs_admitted_total";
/// The reasons of [`Refused`], one series each from the start.
const REASONS: [&str; 6] = [
    "too_many_inputs",
    "too_many_bytes",
    "peer_over_share",
    "application_behind",
    "transport_behind",
    "stopped",
];
const REFUSED: &str = "gossipsub_inputs_refused_total";
const DROPPED: &str = "gossipsub_outputs_dropped_total";
const SLOW_PEERS: &str = "gossipsub_slow_peers_total";
const CACHE_ENTRIES: &str = "gossipsub_cache_entries";
const CACHE_BYTES: &str = "gossipsub_cache_bytes";
const HEARTBEATS: &str = "gossipsub_heartbeats_total";
const SKIPPED: &str = "gossipsub_heartbeats_missed_total";
const RESTARTS: &str = "gossipsub_topic_restarts_total";
const VALIDATIONS_DROPPED: &str = "gossipsub_validations_dropped_total";
const HOOK_PANICS: &str = "gossipsub_hook_panics_total";
const TOPICS: &str = "gossipsub_topics";
const CONNECTIONS: &str = "gossipsub_connections";
const WAITING_ITEMS: &str = "gossipsub_inputs_waiting";
const WAITING_BYTES: &str = "gossipsub_inputs_waiting_bytes";
const SENT: &str = "gossipsub_sent_total";
const RECEIVED: &str = "gossipsub_received_total";

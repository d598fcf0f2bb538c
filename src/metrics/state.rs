//! The gauges of a whole engine, and the counters of its transport. The supervisor sets them at each heartbeat.

use ::metrics::{Counter, Gauge};
use enum_map::{EnumArray, EnumMap, enum_map};

use super::{
    catalogue::*,
    labels::{BoundedQueue, ByteQueue, ComponentStat, DegreeBound, EngineQueue, Malformed, ScoreStat},
    registry::Registry,
};
use crate::{
    admission::totals::Remembered,
    limits::Limits,
    network::{
        ConnectionFailure, ConnectionRefusal, DialOutcome, Direction, PeerRecordOutcome, ProtocolVersion,
        PxDialOutcome, TransportKind, TransportStats,
    },
    protocol::{
        inspect::{footprint::Footprint, stats::TopicProblem},
        peers::summary::{ConnectionClass, PeersSummary, ScoreBand},
        score::ScoreComponent,
    },
};

/// Handles that are set from the engine's state.
pub(crate) struct Gauges {
    degrees: EnumMap<DegreeBound, Gauge>,
    topics: Gauge,
    topics_with_problem: EnumMap<TopicProblem, Gauge>,
    connections: EnumMap<Direction, EnumMap<ConnectionClass, Gauge>>,
    peers_by_score: EnumMap<ScoreBand, Gauge>,
    peer_score: EnumMap<ScoreStat, Gauge>,
    score_component: EnumMap<ScoreComponent, EnumMap<ComponentStat, Gauge>>,
    queue_depth: EnumMap<EngineQueue, Gauge>,
    queue_bytes: EnumMap<ByteQueue, Gauge>,
    /// In the order of [`Footprint::maps`].
    caches: Vec<Gauge>,
    evictions: EnumMap<Remembered, Counter>,
    rpc_received_bytes: Counter,
    rpc_sent_bytes: Counter,
    malformed: EnumMap<Malformed, Counter>,
    rpc_graylisted: Counter,
    refused: EnumMap<ConnectionRefusal, Counter>,
    transport_memory: Gauge,
    ignored_entries: Counter,
    lost_frames: Counter,
    reopened_streams: Counter,
    replay_evictions: Counter,
    verified_signatures: Counter,
    peer_records: EnumMap<PeerRecordOutcome, Counter>,
    px_dials: EnumMap<PxDialOutcome, Counter>,
    transport_connections: EnumMap<TransportKind, EnumMap<Direction, Gauge>>,
    connections_by_protocol: EnumMap<ProtocolVersion, Gauge>,
    dials: EnumMap<DialOutcome, Counter>,
    failed_connections: EnumMap<Direction, EnumMap<ConnectionFailure, Counter>>,
}

/// The current length of each queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueDepths {
    pub(crate) items: EnumMap<EngineQueue, usize>,
    pub(crate) bytes: EnumMap<ByteQueue, usize>,
}

impl Gauges {
    pub(super) fn new<T>(registry: &Registry<'_>, limits: &Limits<T>) -> Self {
        set_capacities(registry, limits);
        let gauges = Self {
            degrees: registry.gauges(&MESH_DEGREE, &[]),
            topics: registry.gauge(&TOPICS, &[]),
            topics_with_problem: registry.gauges(&TOPICS_WITH_PROBLEM, &[]),
            connections: registry.gauge_table(&CONNECTIONS),
            peers_by_score: registry.gauges(&PEERS_BY_SCORE, &[]),
            peer_score: registry.gauges(&PEER_SCORE, &[]),
            score_component: registry.gauge_table(&SCORE_COMPONENT),
            queue_depth: registry.gauges(&QUEUE_DEPTH, &[]),
            queue_bytes: registry.gauges(&QUEUE_BYTES, &[]),
            caches: Footprint::default().maps().map(|(map, _)| cache(registry, map)).collect(),
            evictions: registry.counters(&CACHE_EVICTIONS, &[]),
            rpc_received_bytes: registry.counter(&RPC_RECEIVED_BYTES, &[]),
            rpc_sent_bytes: registry.counter(&RPC_SENT_BYTES, &[]),
            malformed: registry.counters(&RPC_MALFORMED, &[]),
            rpc_graylisted: registry.counter(&RPC_GRAYLISTED, &[]),
            refused: registry.counters(&CONNECTIONS_REFUSED, &[]),
            transport_memory: registry.gauge(&TRANSPORT_MEMORY, &[]),
            ignored_entries: registry.counter(&RPC_ENTRIES_IGNORED, &[]),
            lost_frames: registry.counter(&RPC_FRAMES_LOST, &[]),
            reopened_streams: registry.counter(&STREAMS_REOPENED, &[]),
            replay_evictions: registry.counter(&REPLAY_EVICTIONS, &[]),
            verified_signatures: registry.counter(&SIGNATURES_VERIFIED, &[]),
            peer_records: registry.counters(&PEER_RECORDS, &[]),
            px_dials: registry.counters(&PX_DIALS, &[]),
            transport_connections: registry.gauge_table(&TRANSPORT_CONNECTIONS),
            connections_by_protocol: registry.gauges(&CONNECTIONS_BY_PROTOCOL, &[]),
            dials: registry.counters(&DIALS, &[]),
            failed_connections: registry.counter_table(&CONNECTIONS_FAILED),
        };
        gauges.set_degrees(limits);
        gauges
    }

    /// Publishes the degrees that alert rules compare with.
    pub(crate) fn set_degrees<T>(&self, limits: &Limits<T>) {
        let degrees = enum_map! {
            DegreeBound::Low => limits.degree_low,
            DegreeBound::Optimal => limits.degree_optimal,
            DegreeBound::High => limits.degree_high,
            DegreeBound::Outbound => limits.degree_out,
        };
        set_all(&self.degrees, &degrees);
    }

    pub(crate) fn set_footprint(&self, footprint: &Footprint) {
        for (gauge, (_, size)) in self.caches.iter().zip(footprint.maps()) {
            gauge.set(size as f64);
        }
    }

    /// Sets the counters of evictions to their totals since the start.
    pub(crate) fn set_evictions(&self, evicted: &EnumMap<Remembered, u64>) {
        set_totals(&self.evictions, evicted);
    }

    pub(crate) fn set_queues(&self, queues: &QueueDepths) {
        set_all(&self.queue_depth, &queues.items);
        set_all(&self.queue_bytes, &queues.bytes);
    }

    pub(crate) fn set_topic_problems(&self, topics: &EnumMap<TopicProblem, usize>) {
        set_all(&self.topics_with_problem, topics);
    }

    pub(crate) fn set_peers(&self, peers: &PeersSummary) {
        self.topics.set(peers.topics as f64);
        for (gauges, counts) in self.connections.values().zip(peers.connections.values()) {
            set_all(gauges, counts);
        }
        set_all(&self.peers_by_score, &peers.score_bands);
        self.peer_score[ScoreStat::Min].set(peers.scores.min);
        self.peer_score[ScoreStat::Median].set(peers.scores.median);
        self.peer_score[ScoreStat::Max].set(peers.scores.max);
        for (gauges, range) in self.score_component.values().zip(peers.components.values()) {
            gauges[ComponentStat::Min].set(range.min);
            gauges[ComponentStat::Mean].set(range.mean);
        }
    }

    /// Sets the counters of the transport to its totals since it started, and the gauge of its memory.
    pub(crate) fn set_transport_stats(&self, stats: TransportStats) {
        let TransportStats {
            received_bytes,
            sent_bytes,
            bad_frames,
            bad_rpcs,
            graylisted_rpcs,
            slow_frames,
            refused,
            memory_bytes,
            ignored_entries,
            lost_frames,
            reopened_streams,
            replay_evictions,
            verified_signatures,
            peer_records,
            px_dials,
            open,
            carrying,
            dials,
            failed,
            // The engine counts these messages as invalid, and the panics with its own.
            policy_violations: _,
            hook_panics: _,
        } = stats;
        self.rpc_received_bytes.absolute(received_bytes);
        self.rpc_sent_bytes.absolute(sent_bytes);
        self.malformed[Malformed::Frame].absolute(bad_frames);
        self.malformed[Malformed::Rpc].absolute(bad_rpcs);
        self.rpc_graylisted.absolute(graylisted_rpcs);
        set_totals(&self.refused, &refused);
        self.malformed[Malformed::SlowFrame].absolute(slow_frames);
        self.transport_memory.set(memory_bytes as f64);
        self.ignored_entries.absolute(ignored_entries);
        self.lost_frames.absolute(lost_frames);
        self.reopened_streams.absolute(reopened_streams);
        self.replay_evictions.absolute(replay_evictions);
        self.verified_signatures.absolute(verified_signatures);
        set_totals(&self.peer_records, &peer_records);
        set_totals(&self.px_dials, &px_dials);
        set_totals(&self.dials, &dials);
        set_all(&self.connections_by_protocol, &carrying);
        for (counters, totals) in self.failed_connections.values().zip(failed.values()) {
            set_totals(counters, totals);
        }
        for (gauges, counts) in self.transport_connections.values().zip(open.values()) {
            set_all(gauges, counts);
        }
    }
}

/// Sets counters to their totals since the start.
fn set_totals<K: EnumArray<Counter> + EnumArray<u64>>(
    counters: &EnumMap<K, Counter>,
    totals: &EnumMap<K, u64>,
) {
    counters.values().zip(totals.values()).for_each(|(counter, total)| counter.absolute(*total));
}

fn set_all<K: EnumArray<Gauge> + EnumArray<usize>>(gauges: &EnumMap<K, Gauge>, values: &EnumMap<K, usize>) {
    gauges.values().zip(values.values()).for_each(|(gauge, value)| gauge.set(*value as f64));
}

/// The gauge of one map of the footprint, in entries, or in bytes if the map's name ends in `_bytes`.
fn cache(registry: &Registry<'_>, map: &'static str) -> Gauge {
    match map.strip_suffix("_bytes") {
        Some(cache) => registry.gauge(&CACHE_BYTES, &[cache]),
        None => registry.gauge(&CACHE_ENTRIES, &[map]),
    }
}

/// Publishes the limits that alert rules compare with and that do not change while the engine runs.
fn set_capacities<T>(registry: &Registry<'_>, limits: &Limits<T>) {
    let bounds = &limits.bounds;
    let capacities = enum_map! {
        BoundedQueue::Input | BoundedQueue::Publication => bounds.max_input_items,
        BoundedQueue::P2pOutput | BoundedQueue::AppOutput => bounds.max_output_items,
    };
    set_all(&registry.gauges(&QUEUE_CAPACITY, &[]), &capacities);
    registry.gauge(&HEARTBEAT_INTERVAL, &[]).set(limits.heartbeat_interval.as_secs_f64());
}

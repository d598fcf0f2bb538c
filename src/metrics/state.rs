//! What is set at each heartbeat, from the state as it is. Counts nothing.

use ::metrics::{Counter, Gauge};

use super::{catalogue::*, registry::Registry};
use crate::{
    limits::Limits,
    network::TransportStats,
    protocol::{inspect::footprint::Footprint, peers::summary::PeersSummary},
};

/// Handles of what is set.
pub(crate) struct Gauges {
    topics: Gauge,
    connections: [[Gauge; 3]; 2],
    peers_by_score: [Gauge; 4],
    peer_score: [Gauge; 3],
    score_component: [[Gauge; 2]; 7],
    queue_depth: [Gauge; 6],
    queue_bytes: [Gauge; 2],
    /// In the order of [`Footprint::maps`].
    held: Vec<Gauge>,
    bytes: [Counter; 2],
    malformed: [Counter; 2],
}

/// What waits, in items and, where it is weighed, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queues {
    /// In the order of the catalogue.
    pub(crate) items: [usize; 6],
    pub(crate) bytes: [usize; 2],
}

impl Gauges {
    pub(super) fn new<T>(of: &Registry<'_>, limits: &Limits<T>) -> Self {
        set_limits(of, limits);
        Self {
            topics: of.gauge(&TOPICS, &[]),
            connections: of.gauge_table(&CONNECTIONS),
            peers_by_score: of.gauges(&PEERS_BY_SCORE, &[]),
            peer_score: of.gauges(&PEER_SCORE, &[]),
            score_component: of.gauge_table(&SCORE_COMPONENT),
            queue_depth: of.gauges(&QUEUE_DEPTH, &[]),
            queue_bytes: of.gauges(&QUEUE_BYTES, &[]),
            held: Footprint::default().maps().map(|(map, _)| held(of, map)).collect(),
            bytes: [of.counter(&RPC_RECEIVED_BYTES, &[]), of.counter(&RPC_SENT_BYTES, &[])],
            malformed: of.counters(&RPC_MALFORMED, &[]),
        }
    }

    pub(crate) fn set_held(&self, held: &Footprint) {
        for (gauge, (_, held)) in self.held.iter().zip(held.maps()) {
            gauge.set(held as f64);
        }
    }

    pub(crate) fn set_queues(&self, queues: &Queues) {
        set(&self.queue_depth, queues.items);
        set(&self.queue_bytes, queues.bytes);
    }

    /// Who is connected, and what they are worth.
    pub(crate) fn set_company(&self, company: &PeersSummary) {
        self.topics.set(company.topics as f64);
        for (gauges, counts) in self.connections.iter().zip(company.connections) {
            set(gauges, counts);
        }
        set(&self.peers_by_score, company.bands);
        for (gauge, value) in self.peer_score.iter().zip(company.scores) {
            gauge.set(value);
        }
        for (gauges, values) in self.score_component.iter().zip(company.components) {
            gauges.iter().zip(values).for_each(|(gauge, value)| gauge.set(value));
        }
    }

    /// What the transport counted.
    pub(crate) fn set_transport_stats(&self, stats: TransportStats) {
        let TransportStats { received_bytes, sent_bytes, bad_frames, bad_rpcs } = stats;
        self.bytes[0].absolute(received_bytes);
        self.bytes[1].absolute(sent_bytes);
        self.malformed[0].absolute(bad_frames);
        self.malformed[1].absolute(bad_rpcs);
    }
}

fn set(gauges: &[Gauge], values: impl IntoIterator<Item = usize>) {
    gauges.iter().zip(values).for_each(|(gauge, value)| gauge.set(value as f64));
}

/// The gauge of what a map holds: entries, or bytes where its name says so.
fn held(of: &Registry<'_>, map: &'static str) -> Gauge {
    match map.strip_suffix("_bytes") {
        Some(cache) => of.gauge(&CACHE_BYTES, &[cache]),
        None => of.gauge(&CACHE_ENTRIES, &[map]),
    }
}

/// What does not change: rules compare with it.
fn set_limits<T>(of: &Registry<'_>, limits: &Limits<T>) {
    let degrees = [limits.degree_low, limits.degree_optimal, limits.degree_high, limits.degree_out];
    set(&of.gauges::<4>(&MESH_DEGREE, &[]), degrees);
    let bounds = &limits.bounds;
    let (inputs, outputs) = (bounds.max_input_items, bounds.max_output_items);
    set(&of.gauges::<4>(&QUEUE_CAPACITY, &[]), [inputs, inputs, outputs, outputs]);
    of.gauge(&HEARTBEAT_INTERVAL, &[]).set(limits.heartbeat_interval.as_secs_f64());
}

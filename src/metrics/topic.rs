//! What is counted of a topic: series of its own while there is room for its name, else those that all others
//! share. Counts; never decides.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::metrics::{Counter, Gauge};
use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::{
    OTHER,
    catalogue::*,
    engine::{Metrics, Role, increment},
    registry::{Registry, Source},
    said::Said,
};
use crate::{
    network::Network,
    protocol::{exchange::Outbox, inspect::stats::Stats, outcome::counters::Removed},
};

/// The series of one topic, or of all that share [`OTHER`].
pub(crate) struct TopicSeries {
    shared: bool,
    /// In the order of [`Census`].
    gauges: [Gauge; 4],
    grafted: [Counter; 6],
    pruned: [Counter; 7],
    received: Counter,
    duplicate: Counter,
    validated: [Counter; 4],
    delivered: Counter,
    published: Counter,
    sent: [Counter; 4],
    spared: Counter,
    received_bytes: Counter,
    sent_bytes: Counter,
}

/// What a topic shows at a heartbeat: whether we take part, its subscribers, its mesh, and those of the mesh
/// that we dialled.
pub(crate) type Census = [usize; 4];

impl TopicSeries {
    fn new(of: &Registry<'_>, topic: &str, shared: bool) -> Self {
        let gauges = [TOPIC_SUBSCRIBED, TOPIC_PEERS, MESH_PEERS, MESH_OUTBOUND_PEERS];
        Self {
            shared,
            gauges: gauges.map(|metric| of.gauge(&metric, &[topic])),
            grafted: of.counters(&MESH_GRAFTED, &[topic]),
            pruned: of.counters(&MESH_PRUNED, &[topic]),
            received: of.counter(&MESSAGES_RECEIVED, &[topic]),
            duplicate: of.counter(&MESSAGES_DUPLICATE, &[topic]),
            validated: of.counters(&MESSAGES_VALIDATED, &[topic]),
            delivered: of.counter(&MESSAGES_DELIVERED, &[topic]),
            published: of.counter(&MESSAGES_PUBLISHED, &[topic]),
            sent: of.counters(&MESSAGES_SENT, &[topic]),
            spared: of.counter(&MESSAGES_SPARED, &[topic]),
            received_bytes: of.counter(&MESSAGE_RECEIVED_BYTES, &[topic]),
            sent_bytes: of.counter(&MESSAGE_SENT_BYTES, &[topic]),
        }
    }

    /// Whether the topic has a label of its own.
    pub(crate) fn is_own(&self) -> bool {
        !self.shared
    }

    /// Counts what a topic leaves behind, before it is handed on. Answers how many peers more than before are
    /// in its mesh.
    pub(crate) fn flush<N: Network>(
        &self,
        engine: &Metrics,
        network: &N,
        outbox: &mut Outbox<N>,
        counted: &Stats,
    ) -> i64 {
        self.count_inputs(engine, outbox);
        let verdicts = [
            counted.count_recv_valid_app_messages,
            counted.count_recv_invalid_app_messages,
            counted.count_recv_outdated_app_messages,
            counted.count_recv_unknown_validity_app_messages,
        ];
        increment(&self.validated, &verdicts);
        if !outbox.app.is_empty() {
            self.delivered.increment(outbox.app.len() as u64);
        }
        let rest = outbox.counters.take_rest();
        let fanned_out = rest.as_ref().map_or(0, |rest| u64::from(rest.fanned_out));
        if !outbox.p2p.is_empty() {
            self.count_said(engine, &Said::of(&outbox.p2p, network), fanned_out);
        }
        let Some(rest) = rest else { return 0 };
        engine.count_rest(&rest);
        increment(std::slice::from_ref(&self.spared), &[rest.spared]);
        increment(&self.grafted, &rest.grafted);
        increment(&self.pruned, &rest.removed);
        sum(&rest.grafted) - sum(&rest.removed)
    }

    fn count_inputs<N: Network>(&self, engine: &Metrics, outbox: &mut Outbox<N>) {
        let (mut copies, mut duplicates) = (0, 0);
        engine.count_outcomes(&mut outbox.counters, |role, count| match role {
            Role::None => {}
            Role::Copy => copies += count,
            Role::Duplicate => duplicates += count,
            Role::Published => self.published.increment(count),
        });
        if copies + duplicates > 0 {
            self.received.increment(copies + duplicates);
            self.received_bytes.increment(std::mem::take(&mut outbox.counters.bytes));
        }
        if duplicates > 0 {
            self.duplicate.increment(duplicates);
        }
    }

    fn count_said(&self, engine: &Metrics, said: &Said, fanned_out: u64) {
        engine.count_said(said);
        let [published, forwarded, answered] = said.messages;
        let published = published.saturating_sub(fanned_out);
        increment(&self.sent, &[published, fanned_out, forwarded, answered]);
        increment(std::slice::from_ref(&self.sent_bytes), &[said.bytes]);
    }

    /// Where a name is shared, each topic adds its own to the sum.
    fn show(&self, now: Census, last: Census) {
        for ((gauge, now), last) in self.gauges.iter().zip(now).zip(last) {
            if !self.shared {
                gauge.set(now as f64);
            } else if now != last {
                gauge.increment(now as f64 - last as f64);
            }
        }
    }

    fn mesh_lost(&self, peers: i64) {
        self.pruned[Removed::Restart as usize].increment(u64::try_from(peers).unwrap_or_default());
    }
}

fn sum(counts: &[u32]) -> i64 {
    counts.iter().copied().map(i64::from).sum()
}

/// What a running topic counts on.
pub(crate) struct TopicMeter {
    pub(crate) series: Arc<TopicSeries>,
    /// How many peers are in the mesh, by what was counted.
    mesh: i64,
    shown: Census,
}

impl TopicMeter {
    pub(crate) fn new(series: Arc<TopicSeries>) -> Self {
        Self { series, mesh: 0, shown: Census::default() }
    }

    /// The mesh grew by so many.
    pub(crate) fn count_mesh(&mut self, more: i64) {
        self.mesh += more;
    }

    pub(crate) fn show(&mut self, now: Census) {
        self.series.show(now, self.shown);
        self.shown = now;
    }

    /// The topic has a name of its own now.
    pub(crate) fn rename(&mut self, series: Arc<TopicSeries>) {
        if !Arc::ptr_eq(&series, &self.series) {
            let shown = self.shown;
            self.show(Census::default());
            self.series = series;
            self.show(shown);
        }
    }

    /// The topic's state is lost, and its mesh with it.
    pub(crate) fn lost(&mut self) {
        self.series.mesh_lost(std::mem::take(&mut self.mesh));
        self.show(Census::default());
    }
}

/// Which topics have series of their own.
pub(crate) struct TopicLabels<N: Network> {
    source: Source,
    max: usize,
    other: Arc<TopicSeries>,
    overflow: Counter,
    known: Mutex<Known<N>>,
}

#[derive_where(Default)]
struct Known<N: Network> {
    series: HashMap<N::Topic, Arc<TopicSeries>, RandomState>,
    names: BTreeSet<String>,
    /// How many of them were named without being joined.
    published_only: usize,
}

impl<N: Network> TopicLabels<N> {
    pub(crate) fn new(source: Source, max: usize) -> Self {
        let (other, overflow) = source.with(|registry| {
            let other = TopicSeries::new(registry, OTHER, true);
            (Arc::new(other), registry.counter(&TOPIC_LABEL_OVERFLOW, &[]))
        });
        Self { source, max, other, overflow, known: Mutex::default() }
    }

    /// The series of a topic.
    pub(crate) fn of(&self, topic: &N::Topic) -> Arc<TopicSeries> {
        Arc::clone(self.known().series.get(topic).unwrap_or(&self.other))
    }

    /// As [`of`](Self::of), of a topic of ours, which gets series of its own if there is room. Most of the room
    /// is kept for those that we join. Peers' topics have none: peers could take all of it.
    pub(crate) fn claim(&self, topic: &N::Topic, joined: bool, network: &N) -> Arc<TopicSeries> {
        let mut known = self.known();
        if let Some(series) = known.series.get(topic) {
            return Arc::clone(series);
        }
        let room = if joined { known.series.len() < self.max } else { known.published_only < self.max / 5 };
        let name = if room { network.topic_label(topic) } else { OTHER.to_owned() };
        if known.series.len() >= self.max || name == OTHER || known.names.contains(&name) {
            self.overflow.increment(1);
            return Arc::clone(&self.other);
        }
        let series = Arc::new(self.source.with(|registry| TopicSeries::new(registry, &name, false)));
        known.series.insert(topic.clone(), Arc::clone(&series));
        known.names.insert(name);
        known.published_only += usize::from(!joined);
        series
    }

    fn known(&self) -> MutexGuard<'_, Known<N>> {
        // Whatever panics while it is held, a name it has stays good.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

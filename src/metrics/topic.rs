//! The metrics of topics. Each of our topics has series under its own label until the limit on labels is reached; all
//! other topics share the series with the label [`OTHER`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::metrics::{Counter, Gauge};
use derive_where::derive_where;
use enum_map::{EnumMap, enum_map};
use foldhash::fast::RandomState;

use super::{
    OTHER,
    catalogue::*,
    engine::{Metrics, OutputCounts, TopicRole, add, add_all},
    labels::{SendPath, Verdict},
    registry::{RecorderSource, Registry},
};
use crate::{
    network::{Network, hooks::Hooks},
    protocol::{
        exchange::Outbox,
        inspect::stats::{Stats, TopicCounts},
        outcome::reason::{GraftReason, LeaveReason},
    },
};

/// The series of one topic, or those that topics without a label share.
pub(crate) struct TopicSeries {
    shared: bool,
    gauges: TopicGauges,
    grafted: EnumMap<GraftReason, Counter>,
    pruned: EnumMap<LeaveReason, Counter>,
    received: Counter,
    duplicate: Counter,
    validated: EnumMap<Verdict, Counter>,
    delivered: Counter,
    published: Counter,
    sent: EnumMap<SendPath, Counter>,
    suppressed_by_idontwant: Counter,
    received_bytes: Counter,
    sent_bytes: Counter,
}

/// The gauges of [`TopicCounts`].
struct TopicGauges {
    subscribed: Gauge,
    peers: Gauge,
    mesh_peers: Gauge,
    mesh_outbound_peers: Gauge,
}

impl TopicSeries {
    fn new(registry: &Registry<'_>, topic: &str, shared: bool) -> Self {
        Self {
            shared,
            gauges: TopicGauges {
                subscribed: registry.gauge(&TOPIC_SUBSCRIBED, &[topic]),
                peers: registry.gauge(&TOPIC_PEERS, &[topic]),
                mesh_peers: registry.gauge(&MESH_PEERS, &[topic]),
                mesh_outbound_peers: registry.gauge(&MESH_OUTBOUND_PEERS, &[topic]),
            },
            grafted: registry.counters(&MESH_GRAFTED, &[topic]),
            pruned: registry.counters(&MESH_PRUNED, &[topic]),
            received: registry.counter(&MESSAGES_RECEIVED, &[topic]),
            duplicate: registry.counter(&MESSAGES_DUPLICATE, &[topic]),
            validated: registry.counters(&MESSAGES_VALIDATED, &[topic]),
            delivered: registry.counter(&MESSAGES_DELIVERED, &[topic]),
            published: registry.counter(&MESSAGES_PUBLISHED, &[topic]),
            sent: registry.counters(&MESSAGES_SENT, &[topic]),
            suppressed_by_idontwant: registry.counter(&MESSAGES_SUPPRESSED_BY_IDONTWANT, &[topic]),
            received_bytes: registry.counter(&MESSAGE_RECEIVED_BYTES, &[topic]),
            sent_bytes: registry.counter(&MESSAGE_SENT_BYTES, &[topic]),
        }
    }

    /// Whether the topic has a label of its own.
    pub(crate) fn is_own(&self) -> bool {
        !self.shared
    }

    /// Counts what a topic put into its outbox; call it before the outbox is emptied. Returns the change of the size
    /// of the mesh.
    pub(crate) fn flush<N: Network>(
        &self,
        engine: &Metrics,
        network: &Hooks<N>,
        outbox: &mut Outbox<N>,
        counted: &Stats,
    ) -> i64 {
        self.count_inputs(engine, outbox);
        let verdicts = enum_map! {
            Verdict::Valid => counted.count_recv_valid_app_messages,
            Verdict::Invalid => counted.count_recv_invalid_app_messages,
            Verdict::Outdated => counted.count_recv_outdated_app_messages,
            Verdict::Unknown => counted.count_recv_unknown_validity_app_messages,
        };
        add_all(&self.validated, &verdicts);
        add(&self.delivered, outbox.app.len() as u64);
        let rare = outbox.counters.take_rare();
        let (fanout, further) = rare.as_ref().map_or((0, 0), |rare| (rare.fanout_sends, rare.further_sends));
        if !outbox.p2p.is_empty() {
            let outputs = OutputCounts::of(&outbox.p2p, network);
            self.count_outputs(engine, &outputs, u64::from(fanout), u64::from(further));
        }
        let Some(rare) = rare else { return 0 };
        engine.count_rare(&rare);
        add(&self.suppressed_by_idontwant, rare.suppressed_by_idontwant);
        add_all(&self.grafted, &rare.grafted);
        add_all(&self.pruned, &rare.removed);
        let sum = |counts: &[u32]| -> i64 { counts.iter().copied().map(i64::from).sum() };
        sum(rare.grafted.as_slice()) - sum(rare.removed.as_slice())
    }

    fn count_inputs<N: Network>(&self, engine: &Metrics, outbox: &mut Outbox<N>) {
        let (mut received, mut duplicates) = (0, 0);
        engine.count_outcomes(&mut outbox.counters, |role, count| match role {
            TopicRole::None => {}
            TopicRole::Received => received += count,
            TopicRole::Duplicate => duplicates += count,
            TopicRole::Published => self.published.increment(count),
        });
        if received + duplicates > 0 {
            self.received.increment(received + duplicates);
            self.received_bytes.increment(std::mem::take(&mut outbox.counters.bytes));
        }
        add(&self.duplicate, duplicates);
    }

    fn count_outputs(&self, engine: &Metrics, outputs: &OutputCounts, fanout_sends: u64, further_sends: u64) {
        engine.count_outputs(outputs);
        let sent = enum_map! {
            SendPath::Publish => outputs.published.saturating_sub(fanout_sends + further_sends),
            SendPath::Fanout => fanout_sends,
            SendPath::BeyondMesh => further_sends,
            SendPath::Forward => outputs.forwarded,
            SendPath::IWant => outputs.iwant_responses,
        };
        add_all(&self.sent, &sent);
        add(&self.sent_bytes, outputs.message_bytes);
    }

    /// Publishes a topic's counts. Topics that share series add the change since they last published.
    fn publish(&self, now: TopicCounts, last: TopicCounts) {
        let TopicGauges { subscribed, peers, mesh_peers, mesh_outbound_peers } = &self.gauges;
        self.set(subscribed, now.joined, last.joined);
        self.set(peers, now.subscribers, last.subscribers);
        self.set(mesh_peers, now.mesh, last.mesh);
        self.set(mesh_outbound_peers, now.outbound_mesh, last.outbound_mesh);
    }

    fn set(&self, gauge: &Gauge, now: usize, last: usize) {
        if !self.shared {
            gauge.set(now as f64);
        } else if now != last {
            gauge.increment(now as f64 - last as f64);
        }
    }

    fn mesh_lost(&self, peers: i64) {
        self.pruned[LeaveReason::Restart].increment(u64::try_from(peers).unwrap_or_default());
    }
}

/// The metrics of one running topic.
pub(crate) struct TopicMeter {
    pub(crate) series: Arc<TopicSeries>,
    /// The size of the mesh according to the counters.
    mesh: i64,
    published: TopicCounts,
}

impl TopicMeter {
    pub(crate) fn new(series: Arc<TopicSeries>) -> Self {
        Self { series, mesh: 0, published: TopicCounts::default() }
    }

    /// The counters recorded this change of the size of the mesh.
    pub(crate) fn mesh_changed(&mut self, by: i64) {
        self.mesh += by;
    }

    /// Sets the gauges.
    pub(crate) fn publish(&mut self, now: TopicCounts) {
        self.series.publish(now, self.published);
        self.published = now;
    }

    /// Moves the topic's gauges to other series, since the topic has a label of its own now.
    pub(crate) fn rename(&mut self, series: Arc<TopicSeries>) {
        if !Arc::ptr_eq(&series, &self.series) {
            let published = self.published;
            self.publish(TopicCounts::default());
            self.series = series;
            self.publish(published);
        }
    }

    /// The topic's state is lost, and its mesh with it.
    pub(crate) fn lost(&mut self) {
        self.series.mesh_lost(std::mem::take(&mut self.mesh));
        self.publish(TopicCounts::default());
    }
}

/// The topics that have a label, and their series.
pub(crate) struct TopicLabels<N: Network> {
    source: RecorderSource,
    max: usize,
    other: Arc<TopicSeries>,
    overflow: Counter,
    labels: Mutex<Labels<N>>,
}

#[derive_where(Default)]
struct Labels<N: Network> {
    series: HashMap<N::Topic, Arc<TopicSeries>, RandomState>,
    names: BTreeSet<String>,
    /// Labels of topics that were published to and not joined.
    published_only: usize,
}

impl<N: Network> TopicLabels<N> {
    pub(crate) fn new(source: RecorderSource, max: usize) -> Self {
        let (other, overflow) = source.with(|registry| {
            let other = TopicSeries::new(registry, OTHER, true);
            (Arc::new(other), registry.counter(&TOPIC_LABEL_OVERFLOW, &[]))
        });
        Self { source, max, other, overflow, labels: Mutex::default() }
    }

    /// The series of a topic.
    pub(crate) fn of(&self, topic: &N::Topic) -> Arc<TopicSeries> {
        Arc::clone(self.labels().series.get(topic).unwrap_or(&self.other))
    }

    /// The series of a topic that the application joins or publishes to. The topic gets a label if one is left; topics
    /// that are only published to get at most a fifth of the labels. Topics that only peers name get none, because
    /// peers could use up all labels.
    pub(crate) fn label_for(&self, topic: &N::Topic, joined: bool, network: &Hooks<N>) -> Arc<TopicSeries> {
        let mut labels = self.labels();
        if let Some(series) = labels.series.get(topic) {
            return Arc::clone(series);
        }
        let free = if joined { labels.series.len() < self.max } else { labels.published_only < self.max / 5 };
        let own = if free { network.topic_label(topic).ok() } else { None };
        let name = own.unwrap_or_else(|| OTHER.to_owned());
        if labels.series.len() >= self.max || name == OTHER || labels.names.contains(&name) {
            self.overflow.increment(1);
            return Arc::clone(&self.other);
        }
        let series = Arc::new(self.source.with(|registry| TopicSeries::new(registry, &name, false)));
        labels.series.insert(topic.clone(), Arc::clone(&series));
        labels.names.insert(name);
        labels.published_only += usize::from(!joined);
        series
    }

    fn labels(&self) -> MutexGuard<'_, Labels<N>> {
        // Entries are only added, so that the map is valid after a panic of a hook.
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The counters and histograms of a whole engine. Counters of one topic are in [`topic`](super::topic), gauges in
//! [`state`](super::state).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::metrics::{Counter, Histogram};
use enum_map::{EnumArray, EnumMap};

use super::{
    catalogue::{self as catalogue, *},
    labels::{
        AfterPanic, Handled, IdListType, RpcDirection, RpcType, StreamItem, TimedQueue, Undelivered,
        Unvalidated,
    },
    registry::{RecorderSource, Registry},
    state::Gauges,
};
use crate::{
    admission::refused::{Refused, RefusedReason},
    build_info,
    clock::Clock,
    limits::Limits,
    network::{Network, P2pMessage, TransportStats, hooks::Hooks},
    outputs::{publication::DropReason, wait_time::WaitTime},
    protocol::{
        outcome::{
            IDontWantOutcome,
            counters::{IWantResponse, InputCounters, Penalties, PromiseEvent, RareCounters},
            labels::{Input, Labelled},
            reason::{Penalty, ScoreAction},
        },
        output::{Lane, pending::PendingOutput},
    },
};

/// The metric handles of one engine.
pub(crate) struct Metrics {
    /// By input and outcome, in the order of [`Input::ALL`] and [`Input::outcomes`].
    inputs: Vec<(Counter, TopicRole)>,
    refused: EnumMap<RefusedReason, Counter>,
    rpc_received: EnumMap<RpcType, Counter>,
    rpc_sent: EnumMap<RpcType, Counter>,
    message_ids: EnumMap<IdListType, EnumMap<RpcDirection, Counter>>,
    iwant_responses: EnumMap<IWantResponse, Counter>,
    promises: EnumMap<PromiseEvent, Counter>,
    promise_duration: Histogram,
    duplicate_delay: Histogram,
    validation_duration: Histogram,
    validations_dropped: EnumMap<Unvalidated, Counter>,
    outputs_dropped: EnumMap<Lane, EnumMap<DropReason, Counter>>,
    deliveries_dropped: EnumMap<Undelivered, Counter>,
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "a series of 0"))]
    unstreamed: EnumMap<StreamItem, Counter>,
    penalties: EnumMap<Penalty, Counter>,
    score_actions: EnumMap<ScoreAction, Counter>,
    slow_peer_reports: Counter,
    heartbeats: Counter,
    heartbeats_skipped: Counter,
    heartbeat_duration: Histogram,
    input_duration: EnumMap<Handled, Histogram>,
    queue_wait: EnumMap<TimedQueue, Histogram>,
    topic_panics: EnumMap<AfterPanic, Counter>,
    hook_panics: Counter,
    published_to_no_peers: Counter,
    /// The panics of hooks that the transport has reported and that are in `hook_panics`.
    transport_hook_panics: AtomicU64,
    pub(crate) gauges: Gauges,
}

/// The change of a topic's counters by the outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicRole {
    None,
    /// A received message that is not a duplicate.
    Received,
    Duplicate,
    Published,
}

impl Metrics {
    pub(crate) fn new<T>(source: &RecorderSource, limits: &Limits<T>) -> Self {
        source.with(|registry| {
            registry.describe_all();
            registry
                .gauge(
                    &BUILD_INFO,
                    &[
                        build_info::VERSION,
                        build_info::commit().unwrap_or("unknown"),
                        &build_info::features(),
                    ],
                )
                .set(1.0);
            Self::register(registry, Gauges::new(registry, limits))
        })
    }

    fn register(registry: &Registry<'_>, gauges: Gauges) -> Self {
        Self {
            inputs: inputs(registry),
            refused: registry.counters(&INPUTS_REFUSED, &[]),
            rpc_received: registry.counters(&RPC_RECEIVED, &[]),
            rpc_sent: registry.counters(&RPC_SENT, &[]),
            message_ids: registry.counter_table(&MESSAGE_IDS),
            iwant_responses: registry.counters(&IWANT_RESPONSES, &[]),
            promises: registry.counters(&IWANT_PROMISES, &[]),
            promise_duration: registry.histogram(&IWANT_PROMISE_DURATION, &[]),
            duplicate_delay: registry.histogram(&DUPLICATE_DELAY, &[]),
            validation_duration: registry.histogram(&VALIDATION_DURATION, &[]),
            validations_dropped: registry.counters(&VALIDATIONS_DROPPED, &[]),
            outputs_dropped: registry.counter_table(&OUTPUTS_DROPPED),
            deliveries_dropped: registry.counters(&DELIVERIES_DROPPED, &[]),
            unstreamed: registry.counters(&UNSTREAMED, &[]),
            penalties: registry.counters(&SCORE_PENALTIES, &[]),
            score_actions: registry.counters(&SCORE_ACTIONS, &[]),
            slow_peer_reports: registry.counter(&catalogue::SLOW_PEER_REPORTS, &[]),
            heartbeats: registry.counter(&HEARTBEATS, &[]),
            heartbeats_skipped: registry.counter(&HEARTBEATS_SKIPPED, &[]),
            heartbeat_duration: registry.histogram(&HEARTBEAT_DURATION, &[]),
            input_duration: registry.histograms(&INPUT_DURATION),
            queue_wait: registry.histograms(&QUEUE_WAIT),
            topic_panics: registry.counters(&TOPIC_PANICS, &[]),
            hook_panics: registry.counter(&HOOK_PANICS, &[]),
            published_to_no_peers: registry.counter(&PUBLISHED_TO_NO_PEERS, &[]),
            transport_hook_panics: AtomicU64::default(),
            gauges,
        }
    }
}

/// One counter for each outcome of each input.
fn inputs(registry: &Registry<'_>) -> Vec<(Counter, TopicRole)> {
    let role = |input, outcome| match (input, outcome) {
        (Input::ReceiveMessage, "duplicate") => TopicRole::Duplicate,
        (Input::ReceiveMessage, _) => TopicRole::Received,
        (Input::Publish, "published") => TopicRole::Published,
        _ => TopicRole::None,
    };
    let pairs = Input::ALL.into_iter().flat_map(|input| input.outcomes().iter().map(move |o| (input, *o)));
    pairs
        .map(|(input, outcome)| (registry.counter(&INPUTS, &[input.name(), outcome]), role(input, outcome)))
        .collect()
}

// === Admission and transport: called on the callers' threads ===

impl Metrics {
    /// A full message of a peer was admitted.
    pub(crate) fn message_received(&self) {
        self.rpc_received[RpcType::Message].increment(1);
    }

    /// An RPC entry of a peer was admitted.
    pub(crate) fn rpc_received<N: Network>(&self, message: &P2pMessage<N>) {
        self.rpc_received[RpcType::of(message)].increment(1);
    }

    pub(crate) fn input_refused(&self, refused: Refused) {
        self.refused[RefusedReason::from(refused)].increment(1);
    }

    /// An IWANT listed `ids` message ids of no known topic.
    pub(crate) fn iwant_not_found(&self, ids: usize) {
        add(&self.iwant_responses[IWantResponse::NotFound], ids as u64);
        add(&self.message_ids[IdListType::IWant][RpcDirection::Received], ids as u64);
    }

    /// An IDONTWANT listed `ids` message ids.
    pub(crate) fn idontwant_received(&self, ids: usize, outcome: &IDontWantOutcome) {
        let (counter, _) = &self.inputs[Input::IDontWant.first_label_index() + outcome.label_index()];
        counter.increment(1);
        self.message_ids[IdListType::IDontWant][RpcDirection::Received].increment(ids as u64);
    }

    /// A topic was announced to `peers` peers, as joined or left.
    pub(crate) fn announced(&self, joined: bool, peers: usize) {
        let rpc = if joined { RpcType::Subscribe } else { RpcType::Unsubscribe };
        add(&self.rpc_sent[rpc], peers as u64);
    }

    pub(crate) fn output_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        self.outputs_dropped[lane][reason].increment(count as u64);
    }

    /// A subscription did not deliver `count` messages.
    pub(crate) fn deliveries_dropped(&self, reason: Undelivered, count: usize) {
        add(&self.deliveries_dropped[reason], count as u64);
    }

    /// A reader of the HTTP stream did not get `count` items.
    #[cfg(feature = "http")]
    pub(crate) fn unstreamed(&self, item: StreamItem, count: u64) {
        self.unstreamed[item].increment(count);
    }

    pub(crate) fn slow_peer(&self) {
        self.slow_peer_reports.increment(1);
    }
}

// === The actors ===

impl Metrics {
    /// Takes what the supervisor counted. Its inputs have no topic, and so no topic role.
    pub(crate) fn flush(&self, counters: &mut InputCounters) {
        self.count_outcomes(counters, |_, _| {});
        if let Some(rare) = counters.take_rare() {
            self.count_rare(&rare);
        }
    }

    #[inline]
    pub(super) fn count_outcomes(&self, counters: &mut InputCounters, mut each: impl FnMut(TopicRole, u64)) {
        counters.take_outcomes(|index, count| {
            let (counter, role) = &self.inputs[index];
            counter.increment(u64::from(count));
            each(*role, u64::from(count));
        });
    }

    pub(super) fn count_rare(&self, rare: &RareCounters) {
        add_all(&self.promises, &rare.promises);
        add_all(&self.iwant_responses, &rare.iwant_responses);
        rare.promise_durations.iter().for_each(|duration| self.promise_duration.record(*duration));
        rare.duplicate_delays.iter().for_each(|delay| self.duplicate_delay.record(*delay));
        add(&self.message_ids[IdListType::IHave][RpcDirection::Received], rare.ihave_ids);
        add(&self.message_ids[IdListType::IWant][RpcDirection::Received], rare.iwant_ids);
    }

    pub(crate) fn count_outputs(&self, outputs: &OutputCounts) {
        add_all(&self.rpc_sent, &outputs.rpcs);
        for (list, ids) in outputs.ids {
            add(&self.message_ids[list][RpcDirection::Sent], ids);
        }
    }

    pub(crate) fn penalised(&self, penalties: &Penalties) {
        add_all(&self.penalties, penalties);
    }

    pub(crate) fn acted_on_score(&self, action: ScoreAction) {
        self.score_actions[action].increment(1);
    }

    pub(crate) fn heartbeat_started(&self) {
        self.heartbeats.increment(1);
    }

    pub(crate) fn heartbeat_finished(&self, duration: Duration) {
        self.heartbeat_duration.record(duration);
    }

    pub(crate) fn heartbeat_skipped(&self) {
        self.heartbeats_skipped.increment(1);
    }

    pub(crate) fn handled(&self, what: Handled, duration: Duration) {
        self.input_duration[what].record(duration);
    }

    pub(crate) fn waited(&self, queue: TimedQueue, duration: Duration) {
        self.queue_wait[queue].record(duration);
    }

    /// A sampler of the waiting time in `queue`.
    pub(crate) fn wait_time(&self, queue: TimedQueue, clock: Arc<dyn Clock>) -> WaitTime {
        WaitTime::new(clock, self.queue_wait[queue].clone())
    }

    pub(crate) fn validated(&self, duration: Duration) {
        self.validation_duration.record(duration);
    }

    pub(crate) fn validations_timed_out(&self, count: usize) {
        self.validations_dropped[Unvalidated::Timeout].increment(count as u64);
    }

    pub(crate) fn validations_expired(&self, count: usize) {
        self.validations_dropped[Unvalidated::Expired].increment(count as u64);
    }

    pub(crate) fn validations_panicked(&self, count: usize) {
        self.validations_dropped[Unvalidated::Panic].increment(count as u64);
    }

    pub(crate) fn validations_throttled(&self, count: usize) {
        self.validations_dropped[Unvalidated::Throttled].increment(count as u64);
    }

    pub(crate) fn published_to_no_peers(&self) {
        self.published_to_no_peers.increment(1);
    }

    pub(crate) fn hook_panicked(&self) {
        self.hook_panics.increment(1);
    }

    /// The counter of [`hook_panicked`](Self::hook_panicked), for the callers of hooks.
    pub(crate) fn hook_panics(&self) -> Counter {
        self.hook_panics.clone()
    }

    /// Sets the counters of the transport to its totals since it started.
    pub(crate) fn set_transport_stats(&self, stats: TransportStats) {
        self.gauges.set_transport_stats(stats);
        let counted = self.transport_hook_panics.swap(stats.hook_panics, Ordering::Relaxed);
        add(&self.hook_panics, stats.hook_panics.saturating_sub(counted));
    }

    pub(crate) fn topic_restarted(&self) {
        self.topic_panics[AfterPanic::Restarted].increment(1);
    }

    pub(crate) fn topic_given_up(&self) {
        self.topic_panics[AfterPanic::GivenUp].increment(1);
    }
}

/// Sums over a burst of outputs. A message to several recipients counts once for each of them.
#[derive(Debug, Default)]
pub(crate) struct OutputCounts {
    pub(super) rpcs: EnumMap<RpcType, u64>,
    /// Message ids in RPC entries that list some.
    pub(super) ids: EnumMap<IdListType, u64>,
    /// Full messages in the publish lane, to the mesh or fanout.
    pub(super) published: u64,
    pub(super) forwarded: u64,
    /// Full messages in response to IWANT.
    pub(super) iwant_responses: u64,
    /// Bytes of all full messages.
    pub(super) message_bytes: u64,
}

impl OutputCounts {
    pub(crate) fn of<N: Network>(outputs: &[PendingOutput<N>], network: &Hooks<N>) -> Self {
        let mut counts = Self::default();
        for output in outputs {
            match output {
                PendingOutput::Broadcast { to, message, lane, .. } => {
                    counts.add_message(to.len() as u64, *lane, network.message_size(&message.message));
                }
                PendingOutput::Gossip { to, message } => counts.add_control(to.len() as u64, message),
                PendingOutput::Message { message, .. } | PendingOutput::ToUnconnected { message, .. } => {
                    counts.add_control(1, message);
                }
                // Announcements are counted when they are read and their recipients known.
                PendingOutput::Connected(_) | PendingOutput::Announcement { .. } => {}
                PendingOutput::Output(_) => {}
            }
        }
        counts
    }

    fn add_message(&mut self, recipients: u64, lane: Lane, bytes: usize) {
        self.rpcs[RpcType::Message] += recipients;
        self.message_bytes += recipients * bytes as u64;
        match lane {
            Lane::Publish => self.published += recipients,
            Lane::Control | Lane::Forward | Lane::Gossip => self.forwarded += recipients,
            Lane::Answer => self.iwant_responses += recipients,
        }
    }

    fn add_control<N: Network>(&mut self, recipients: u64, message: &P2pMessage<N>) {
        self.rpcs[RpcType::of(message)] += recipients;
        let (list, ids) = match message {
            P2pMessage::IHave { message_ids, .. } => (IdListType::IHave, message_ids.len()),
            P2pMessage::IWant { message_ids } => (IdListType::IWant, message_ids.len()),
            P2pMessage::IDontWant { message_ids } => (IdListType::IDontWant, message_ids.len()),
            _ => return,
        };
        self.ids[list] += recipients * ids as u64;
    }
}

/// Adds each count to its counter.
pub(super) fn add_all<K, U>(counters: &EnumMap<K, Counter>, counts: &EnumMap<K, U>)
where
    K: EnumArray<Counter> + EnumArray<U>,
    U: Copy + Into<u64>,
{
    counters.values().zip(counts.values()).for_each(|(counter, count)| add(counter, *count));
}

/// Adds to a counter. Most counts are 0, and an atomic addition of 0 costs as much as any other.
pub(super) fn add(counter: &Counter, count: impl Into<u64>) {
    let count = count.into();
    if count > 0 {
        counter.increment(count);
    }
}

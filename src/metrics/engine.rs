//! What is counted of a whole engine: its handles, held. What is a topic's own is [`topic`](super::topic)'s,
//! what is set at each heartbeat [`state`](super::state)'s.

use std::{sync::Arc, time::Duration};

use ::metrics::{Counter, Histogram};

use super::{
    catalogue::{self, *},
    registry::{Registry, Source},
    said::Said,
    state::Gauges,
};
use crate::{
    admission::refused::Refused,
    clock::Clock,
    limits::Limits,
    network::{Network, P2pMessage},
    outputs::{publication::DropReason, wait_time::WaitTime},
    protocol::{
        outcome::{
            IDontWantOutcome,
            counters::{InputCounters, Penalties, RareCounters},
            labels::{ANSWERS, Input, Labelled},
        },
        output::Lane,
    },
};

/// Held handles of one engine.
pub(crate) struct Metrics {
    /// In the order of all inputs' outcomes.
    inputs: Vec<(Counter, Role)>,
    refused: [Counter; Refused::REASONS.len()],
    rpc_received: [Counter; 9],
    rpc_sent: [Counter; 9],
    ihave_ids: [Counter; 2],
    iwant_ids: [Counter; 2],
    idontwant_ids: [Counter; 2],
    answers: [Counter; ANSWERS.len()],
    promises: [Counter; 4],
    promise_duration: Histogram,
    duplicate_delay: Histogram,
    validation_duration: Histogram,
    validations_dropped: [Counter; 2],
    outputs_dropped: [[Counter; DropReason::ALL.len()]; Lane::ALL.len()],
    penalties: [Counter; 4],
    slow_peers: Counter,
    heartbeats: Counter,
    heartbeats_missed: Counter,
    heartbeat_duration: Histogram,
    input_duration: [Histogram; 13],
    queue_wait: [Histogram; 3],
    topic_restarts: [Counter; 2],
    hook_panics: Counter,
    pub(crate) gauges: Gauges,
}

/// What an outcome tells of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    None,
    /// A copy of a message came.
    Copy,
    /// One of a message that had been accepted before.
    Duplicate,
    Published,
}

/// What an actor handles, as far as it is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Subscribe,
    Unsubscribe,
    Graft,
    Prune,
    IHave,
    IWant,
    ReceiveMessage,
    JudgeMessage,
    Publish,
    Join,
    Leave,
    TopicCommand,
    Supervisor,
}

/// The queues in which items are seen to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Input,
    P2pOutput,
    AppOutput,
}

impl Metrics {
    pub(crate) fn new<T>(source: &Source, limits: &Limits<T>) -> Self {
        source.with(|registry| {
            registry.describe_all();
            registry.gauge(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
            Self::of(registry, Gauges::new(registry, limits))
        })
    }

    fn of(of: &Registry<'_>, gauges: Gauges) -> Self {
        Self {
            inputs: inputs(of),
            refused: of.counters(&INPUTS_REFUSED, &[]),
            rpc_received: of.counters(&RPC_RECEIVED, &[]),
            rpc_sent: of.counters(&RPC_SENT, &[]),
            ihave_ids: of.counters(&MESSAGE_IDS, &["ihave"]),
            iwant_ids: of.counters(&MESSAGE_IDS, &["iwant"]),
            idontwant_ids: of.counters(&MESSAGE_IDS, &["idontwant"]),
            answers: of.counters(&IWANT_ANSWERS, &[]),
            promises: of.counters(&IWANT_PROMISES, &[]),
            promise_duration: of.histogram(&IWANT_PROMISE_DURATION, &[]),
            duplicate_delay: of.histogram(&DUPLICATE_DELAY, &[]),
            validation_duration: of.histogram(&VALIDATION_DURATION, &[]),
            validations_dropped: of.counters(&VALIDATIONS_DROPPED, &[]),
            outputs_dropped: of.table(&OUTPUTS_DROPPED),
            penalties: of.counters(&SCORE_PENALTIES, &[]),
            slow_peers: of.counter(&catalogue::SLOW_PEERS, &[]),
            heartbeats: of.counter(&HEARTBEATS, &[]),
            heartbeats_missed: of.counter(&HEARTBEATS_MISSED, &[]),
            heartbeat_duration: of.histogram(&HEARTBEAT_DURATION, &[]),
            input_duration: of.histograms(&INPUT_DURATION, &[]),
            queue_wait: of.histograms(&QUEUE_WAIT, &[]),
            topic_restarts: of.counters(&TOPIC_RESTARTS, &[]),
            hook_panics: of.counter(&HOOK_PANICS, &[]),
            gauges,
        }
    }
}

/// One for each outcome of each input.
fn inputs(of: &Registry<'_>) -> Vec<(Counter, Role)> {
    let role = |input, outcome| match (input, outcome) {
        (Input::ReceiveMessage, "already_received") => Role::Duplicate,
        (Input::ReceiveMessage, _) => Role::Copy,
        (Input::Publish, "published") => Role::Published,
        _ => Role::None,
    };
    let pairs = Input::ALL.into_iter().flat_map(|input| input.outcomes().iter().map(move |o| (input, *o)));
    pairs
        .map(|(input, outcome)| (of.counter(&INPUTS, &[input.name(), outcome]), role(input, outcome)))
        .collect()
}

// === The door, on the callers' threads ===

impl Metrics {
    /// A peer's full message was taken.
    pub(crate) fn received_message(&self) {
        self.rpc_received[FULL_MESSAGE].increment(1);
    }

    /// A peer's word was taken.
    pub(crate) fn received<N: Network>(&self, message: &P2pMessage<N>) {
        self.rpc_received[rpc(message)].increment(1);
    }

    pub(crate) fn refused(&self, refused: Refused) {
        let reason = Refused::REASONS.iter().position(|reason| *reason == refused.reason());
        if let Some(place) = reason {
            self.refused[place].increment(1);
        }
    }

    /// Nobody knows where these ids' messages are.
    pub(crate) fn not_found(&self, ids: usize) {
        let place = ANSWERS.iter().position(|answer| *answer == "not_found");
        if let Some(place) = place.filter(|_| ids > 0) {
            self.answers[place].increment(ids as u64);
            self.iwant_ids[RECEIVED].increment(ids as u64);
        }
    }

    /// A peer named so many ids that it does not want.
    pub(crate) fn declined(&self, ids: usize, outcome: &IDontWantOutcome) {
        let (counter, _) = &self.inputs[Input::IDontWant.first() + outcome.place()];
        counter.increment(1);
        self.idontwant_ids[RECEIVED].increment(ids as u64);
    }

    pub(crate) fn output_dropped(&self, lane: Lane, reason: DropReason, count: usize) {
        self.outputs_dropped[lane as usize][reason as usize].increment(count as u64);
    }

    pub(crate) fn slow_peer(&self) {
        self.slow_peers.increment(1);
    }
}

// === The actors ===

impl Metrics {
    /// Takes what the peers' side counted. Roles are of topics: it has none.
    pub(crate) fn flush(&self, tally: &mut InputCounters) {
        self.count_outcomes(tally, |_, _| {});
        if let Some(rest) = tally.take_rest() {
            self.count_rest(&rest);
        }
    }

    #[inline]
    pub(super) fn count_outcomes(&self, tally: &mut InputCounters, mut each: impl FnMut(Role, u64)) {
        tally.take_outcomes(|place, count| {
            let (counter, role) = &self.inputs[place];
            counter.increment(u64::from(count));
            each(*role, u64::from(count));
        });
    }

    pub(super) fn count_rest(&self, rest: &RareCounters) {
        increment(&self.promises, &rest.promises);
        increment(&self.answers, &rest.answers);
        let seconds = |durations: &[Duration], of: &Histogram| {
            durations.iter().for_each(|duration| of.record(*duration));
        };
        seconds(&rest.promise_durations, &self.promise_duration);
        seconds(&rest.duplicate_delays, &self.duplicate_delay);
        increment(&[&self.ihave_ids[RECEIVED], &self.iwant_ids[RECEIVED]], &rest.ids);
    }

    pub(crate) fn count_said(&self, said: &Said) {
        increment(&self.rpc_sent, &said.rpcs);
        increment(&[&self.ihave_ids[SENT], &self.iwant_ids[SENT], &self.idontwant_ids[SENT]], &said.ids);
    }

    pub(crate) fn penalised(&self, penalties: &Penalties) {
        increment(&self.penalties, penalties);
    }

    pub(crate) fn heartbeat(&self) {
        self.heartbeats.increment(1);
    }

    pub(crate) fn heartbeat_took(&self, duration: Duration) {
        self.heartbeat_duration.record(duration);
    }

    pub(crate) fn heartbeat_missed(&self) {
        self.heartbeats_missed.increment(1);
    }

    pub(crate) fn handled(&self, what: Handled, duration: Duration) {
        self.input_duration[what as usize].record(duration);
    }

    pub(crate) fn waited(&self, queue: Queue, duration: Duration) {
        self.queue_wait[queue as usize].record(duration);
    }

    /// Follows what waits in `queue`.
    pub(crate) fn wait_time(&self, queue: Queue, clock: Arc<dyn Clock>) -> WaitTime {
        WaitTime::new(clock, self.queue_wait[queue as usize].clone())
    }

    pub(crate) fn validated(&self, duration: Duration) {
        self.validation_duration.record(duration);
    }

    pub(crate) fn validation_timed_out(&self) {
        self.validations_dropped[0].increment(1);
    }

    pub(crate) fn validations_throttled(&self, count: usize) {
        self.validations_dropped[1].increment(count as u64);
    }

    pub(crate) fn hook_panicked(&self) {
        self.hook_panics.increment(1);
    }

    pub(crate) fn topic_restarted(&self) {
        self.topic_restarts[0].increment(1);
    }

    pub(crate) fn topic_given_up(&self) {
        self.topic_restarts[1].increment(1);
    }
}

/// The places of the directions of ids.
const RECEIVED: usize = 0;
const SENT: usize = 1;

/// The place of full messages among the types.
const FULL_MESSAGE: usize = 0;

/// The place of a message's type.
pub(super) fn rpc<N: Network>(message: &P2pMessage<N>) -> usize {
    match message {
        P2pMessage::FullMessage(_) => FULL_MESSAGE,
        P2pMessage::Subscribe { .. } => 1,
        P2pMessage::Unsubscribe { .. } => 2,
        P2pMessage::Graft { .. } => 3,
        P2pMessage::Prune { .. } => 4,
        P2pMessage::IHave { .. } => 5,
        P2pMessage::IWant { .. } => 6,
        P2pMessage::Ping => 7,
        P2pMessage::IDontWant { .. } => 8,
    }
}

/// Adds to each counter, where there is something to add.
pub(super) fn increment<C: AsCounter, U: Copy + Into<u64>>(counters: &[C], counts: &[U]) {
    for (counter, count) in counters.iter().zip(counts) {
        let count = (*count).into();
        if count > 0 {
            counter.as_counter().increment(count);
        }
    }
}

pub(super) trait AsCounter {
    fn as_counter(&self) -> &Counter;
}

impl AsCounter for Counter {
    fn as_counter(&self) -> &Counter {
        self
    }
}

impl AsCounter for &Counter {
    fn as_counter(&self) -> &Counter {
        self
    }
}

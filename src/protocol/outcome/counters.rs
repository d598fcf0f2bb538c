//! What the state machines count for whoever runs them, beside the sixteen of [`Stats`](crate::protocol::inspect::stats::Stats): plain
//! numbers, taken once a burst. Knows no metric; a [`Node`](crate::protocol::node::Node) lets them grow.

use std::time::Duration;

use enum_map::{Enum, EnumMap};
use strum::VariantNames;

use super::{
    IWantAnswer,
    labels::{Input, Labelled},
};
use crate::network::Network;

const OUTCOMES: usize = Input::tallied_outcomes();
/// One word says which outcomes were counted; its last bit, whether anything else was.
const _: () = assert!(OUTCOMES < 64);
const REST: u64 = 1 << 63;
/// Of so many copies, how long after the first one came is kept.
const SAMPLED: u32 = 64;
/// So many durations are kept for whoever takes them.
const MAX_DURATIONS: usize = 64;

/// Why a peer entered our mesh; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Grafted {
    Join,
    FanoutPromoted,
    RemoteGraft,
    #[strum(serialize = "below_d_low")]
    BelowDegreeLow,
    OutboundQuota,
    Opportunistic,
}

/// Why a peer left our mesh; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Removed {
    RemotePrune,
    Unsubscribed,
    Disconnected,
    NegativeScore,
    #[strum(serialize = "above_d_high")]
    AboveDegreeHigh,
    Leave,
    /// The topic's state was lost in a panic; the metrics count it when they drop the topic.
    Restart,
}

/// What happened to an IWANT promise; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PromiseEvent {
    Started,
    Fulfilled,
    Broken,
    /// We left the topic before the message arrived.
    Cancelled,
}

/// Why a peer was penalised; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Penalty {
    GraftBackoff,
    BrokenPromise,
    InvalidMessage,
    SlowPeer,
}

/// How often each penalty was given.
pub(crate) type Penalties = EnumMap<Penalty, u32>;

/// How one id of a received IWANT was answered; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum IWantResponse {
    Message,
    NotFound,
    TooManyRequests,
    Ignored,
}

impl<N: Network> From<&IWantAnswer<N>> for IWantResponse {
    fn from(answer: &IWantAnswer<N>) -> Self {
        match answer {
            IWantAnswer::Message(_) => Self::Message,
            IWantAnswer::NotFound => Self::NotFound,
            IWantAnswer::TooManyRequests => Self::TooManyRequests,
            IWantAnswer::Ignored => Self::Ignored,
        }
    }
}

/// What was counted of one topic, or of the peers' side, since it was last taken.
#[derive(Clone, Debug)]
pub(crate) struct InputCounters {
    /// Which of the outcomes were counted.
    touched: u64,
    outcomes: [u32; OUTCOMES],
    rest: RareCounters,
    copies: u32,
    /// Of the messages that came.
    pub(crate) bytes: u64,
}

/// What is counted more seldom.
#[derive(Clone, Debug, Default)]
pub(crate) struct RareCounters {
    pub(crate) grafted: EnumMap<Grafted, u32>,
    pub(crate) removed: EnumMap<Removed, u32>,
    pub(crate) promises: EnumMap<PromiseEvent, u32>,
    /// Ids of received IWANTs, by response.
    pub(crate) iwant_responses: EnumMap<IWantResponse, u32>,
    /// Message ids in received IHAVEs.
    pub(crate) ihave_ids: u32,
    /// Message ids in received IWANTs.
    pub(crate) iwant_ids: u32,
    /// Messages sent to a fanout, one per recipient.
    pub(crate) fanout_sends: u32,
    /// Messages not sent because of a peer's IDONTWANT, one per peer.
    pub(crate) suppressed_by_idontwant: u32,
    /// How long after asking a watched message came.
    pub(crate) promise_durations: Vec<Duration>,
    /// How long after the first a copy came, of some copies.
    pub(crate) duplicate_delays: Vec<Duration>,
}

impl Default for InputCounters {
    fn default() -> Self {
        Self { touched: 0, outcomes: [0; OUTCOMES], rest: RareCounters::default(), copies: 0, bytes: 0 }
    }
}

impl InputCounters {
    /// An input was handled.
    #[inline]
    pub(crate) fn input(&mut self, input: Input, outcome: &impl Labelled) {
        let place = input.first() + outcome.place();
        self.touched |= 1 << place;
        // Wraps where nobody takes it.
        self.outcomes[place] = self.outcomes[place].wrapping_add(1);
    }

    pub(crate) fn grafted(&mut self, reason: Grafted, count: usize) {
        add(&mut self.rest().grafted[reason], count);
    }

    pub(crate) fn removed(&mut self, reason: Removed, count: usize) {
        add(&mut self.rest().removed[reason], count);
    }

    pub(crate) fn promise(&mut self, event: PromiseEvent, count: usize) {
        add(&mut self.rest().promises[event], count);
    }

    /// One id of a received IWANT was answered.
    pub(crate) fn iwant_response(&mut self, response: IWantResponse) {
        add(&mut self.rest().iwant_responses[response], 1);
    }

    /// An IHAVE with this number of message ids was received.
    pub(crate) fn ihave_ids(&mut self, ids: usize) {
        add(&mut self.rest().ihave_ids, ids);
    }

    /// An IWANT with this number of message ids was received.
    pub(crate) fn iwant_ids(&mut self, ids: usize) {
        add(&mut self.rest().iwant_ids, ids);
    }

    /// A message was sent to this number of fanout peers.
    pub(crate) fn fanout_sends(&mut self, recipients: usize) {
        add(&mut self.rest().fanout_sends, recipients);
    }

    /// A message was not sent to this number of peers because of their IDONTWANT.
    pub(crate) fn suppressed_by_idontwant(&mut self, peers: usize) {
        add(&mut self.rest().suppressed_by_idontwant, peers);
    }

    pub(crate) fn promise_kept(&mut self, after: Duration) {
        self.promise(PromiseEvent::Fulfilled, 1);
        keep(&mut self.rest().promise_durations, after);
    }

    /// A copy of an accepted message came.
    #[inline]
    pub(crate) fn duplicate(&mut self, delay: impl FnOnce() -> Duration) {
        if self.copies.is_multiple_of(SAMPLED) {
            keep(&mut self.rest().duplicate_delays, delay());
        }
        self.copies = self.copies.wrapping_add(1);
    }

    /// Hands each outcome that was counted, by its place among those of all inputs, to `each`.
    #[inline]
    pub(crate) fn take_outcomes(&mut self, mut each: impl FnMut(usize, u32)) {
        let mut touched = self.touched & !REST;
        self.touched &= REST;
        while touched != 0 {
            let place = touched.trailing_zeros() as usize;
            touched &= touched - 1;
            each(place, std::mem::take(&mut self.outcomes[place]));
        }
    }

    /// What else was counted, if anything was.
    #[inline]
    pub(crate) fn take_rest(&mut self) -> Option<RareCounters> {
        let counted = self.touched & REST != 0;
        self.touched &= !REST;
        counted.then(|| std::mem::take(&mut self.rest))
    }

    fn rest(&mut self) -> &mut RareCounters {
        self.touched |= REST;
        &mut self.rest
    }
}

fn add(counter: &mut u32, count: usize) {
    *counter = counter.wrapping_add(count as u32);
}

fn keep(durations: &mut Vec<Duration>, duration: Duration) {
    if durations.len() < MAX_DURATIONS {
        durations.push(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plain::PlainNetwork,
        protocol::outcome::{GraftOutcome, SubscribeOutcome},
    };

    #[test]
    fn what_is_counted_is_taken_once() {
        let mut tally = InputCounters::default();
        tally.input(Input::Graft, &GraftOutcome::MeshFull);
        tally.input(Input::Graft, &GraftOutcome::MeshFull);
        tally.input(Input::Subscribe, &SubscribeOutcome::Subscribed);
        let take = |tally: &mut InputCounters| {
            let mut taken = Vec::new();
            tally.take_outcomes(|place, count| taken.push((place, count)));
            taken
        };
        assert!(tally.take_rest().is_none());
        let (subscribed, full) = (Input::Subscribe.first(), Input::Graft.first() + 8);
        assert_eq!(take(&mut tally), [(subscribed, 1), (full, 2)]);
        assert_eq!(take(&mut tally), []);
        tally.removed(Removed::Leave, 3);
        assert_eq!(take(&mut tally), []);
        assert_eq!(tally.take_rest().map(|rest| rest.removed[Removed::Leave]), Some(3));
        assert!(tally.take_rest().is_none());
    }

    #[test]
    fn label_names_follow_the_specification() {
        assert_eq!(Grafted::VARIANTS[Grafted::BelowDegreeLow.into_usize()], "below_d_low");
        assert_eq!(Removed::VARIANTS[Removed::AboveDegreeHigh.into_usize()], "above_d_high");
        assert_eq!(PromiseEvent::VARIANTS, ["started", "fulfilled", "broken", "cancelled"]);
        let answers = [IWantAnswer::NotFound, IWantAnswer::TooManyRequests, IWantAnswer::Ignored];
        for answer in &answers as &[IWantAnswer<PlainNetwork>] {
            assert_eq!(IWantResponse::VARIANTS[IWantResponse::from(answer).into_usize()], answer.name());
        }
    }

    #[test]
    fn one_copy_of_64_is_measured_beginning_with_the_first() {
        let mut tally = InputCounters::default();
        for _ in 0..65 {
            tally.duplicate(|| Duration::from_secs(1));
        }
        assert_eq!(tally.take_rest().map(|rest| rest.duplicate_delays.len()), Some(2));
    }
}

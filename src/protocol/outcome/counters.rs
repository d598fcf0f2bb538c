//! Counters of the state machines for metrics, in addition to the sixteen of
//! [`Stats`](crate::protocol::inspect::stats::Stats). The owner takes them once per burst; in a
//! [`Node`](crate::protocol::node::Node) they accumulate.

use std::time::Duration;

use enum_map::{Enum, EnumMap};
use strum::VariantNames;

use super::{
    GraftOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, PruneOutcome, ReceiveOutcome, SubscribeOutcome,
    UnsubscribeOutcome,
    labels::{Input, Labelled},
    reason::{GraftReason, LeaveReason, Penalty},
};
use crate::network::{Network, P2pMessage};

const OUTCOMES: usize = Input::counted_outcomes();
/// `InputCounters::dirty` has one bit for each outcome, and the last bit for the rare counters.
const _: () = assert!(OUTCOMES < 127);
const RARE_BIT: u64 = 1 << 63;
/// The delay after the first copy is measured for one of this number of duplicates.
const SAMPLED: u32 = 64;
/// The number of durations that are stored until they are taken. Further ones are dropped.
const MAX_DURATIONS: usize = 64;

/// The fate of an IWANT promise; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PromiseEvent {
    Started,
    Fulfilled,
    Broken,
    /// We left the topic before the message arrived.
    Cancelled,
}

/// The number of penalties, by reason.
pub(crate) type Penalties = EnumMap<Penalty, u32>;

/// How one id of a received IWANT was answered; the names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum IWantResponse {
    Message,
    NotFound,
    TooManyRequests,
    TooManyBytes,
    Declined,
    Ignored,
}

impl<N: Network> From<&IWantAnswer<N>> for IWantResponse {
    fn from(answer: &IWantAnswer<N>) -> Self {
        match answer {
            IWantAnswer::Message(_) => Self::Message,
            IWantAnswer::NotFound => Self::NotFound,
            IWantAnswer::TooManyRequests => Self::TooManyRequests,
            IWantAnswer::TooManyBytes => Self::TooManyBytes,
            IWantAnswer::Ignored => Self::Ignored,
            IWantAnswer::Declined => Self::Declined,
        }
    }
}

/// The counters of one topic, or of the peers' side, since they were last taken.
#[derive(Clone, Debug)]
pub(crate) struct InputCounters {
    /// The outcomes whose counter changed, one bit each. The last bit is set if `rare` changed.
    dirty: [u64; 2],
    outcomes: [u32; OUTCOMES],
    rare: RareCounters,
    copies: u32,
    /// Size of the received messages, in bytes.
    pub(crate) bytes: u64,
}

/// Counters that change less often than the outcomes.
#[derive(Clone, Debug, Default)]
pub(crate) struct RareCounters {
    pub(crate) grafted: EnumMap<GraftReason, u32>,
    pub(crate) removed: EnumMap<LeaveReason, u32>,
    pub(crate) promises: EnumMap<PromiseEvent, u32>,
    /// Ids of received IWANTs, by response.
    pub(crate) iwant_responses: EnumMap<IWantResponse, u32>,
    /// Message ids in received IHAVEs.
    pub(crate) ihave_ids: u32,
    /// Message ids in received IWANTs.
    pub(crate) iwant_ids: u32,
    /// Messages sent to a fanout, one per recipient.
    pub(crate) fanout_sends: u32,
    /// Own messages sent to subscribers beyond the mesh or fanout, one per recipient.
    pub(crate) further_sends: u32,
    /// Messages not sent because of a peer's IDONTWANT, one per peer.
    pub(crate) suppressed_by_idontwant: u32,
    /// Times between an IWANT and the arrival of the promised message. At most [`MAX_DURATIONS`].
    pub(crate) promise_durations: Vec<Duration>,
    /// Times between the first copy of a message and a duplicate, for one of [`SAMPLED`] duplicates. At most
    /// [`MAX_DURATIONS`].
    pub(crate) duplicate_delays: Vec<Duration>,
}

impl Default for InputCounters {
    fn default() -> Self {
        Self { dirty: [0; 2], outcomes: [0; OUTCOMES], rare: RareCounters::default(), copies: 0, bytes: 0 }
    }
}

impl InputCounters {
    /// Counts an input with its outcome.
    #[inline]
    pub(crate) fn input(&mut self, input: Input, outcome: &impl Labelled) {
        let index = input.first_label_index() + outcome.label_index();
        self.dirty[index / 64] |= 1 << (index % 64);
        // A counter that is never taken wraps.
        self.outcomes[index] = self.outcomes[index].wrapping_add(1);
    }

    /// Counts a message of a graylisted peer, which is not handled. An IDONTWANT is counted where it is handled.
    pub(crate) fn graylisted<N: Network>(&mut self, message: &P2pMessage<N>) {
        match message {
            P2pMessage::Subscribe { .. } => self.input(Input::Subscribe, &SubscribeOutcome::Graylisted),
            P2pMessage::Unsubscribe { .. } => self.input(Input::Unsubscribe, &UnsubscribeOutcome::Graylisted),
            P2pMessage::Graft { .. } => self.input(Input::Graft, &GraftOutcome::Graylisted),
            P2pMessage::Prune { .. } => self.input(Input::Prune, &PruneOutcome::<N>::Graylisted),
            P2pMessage::IHave { .. } => self.input(Input::IHave, &IHaveOutcome::<N>::Graylisted),
            P2pMessage::IWant { .. } => self.input(Input::IWant, &IWantOutcome::<N>::Graylisted),
            P2pMessage::FullMessage(_) => {
                self.input(Input::ReceiveMessage, &ReceiveOutcome::<N>::Graylisted);
            }
            P2pMessage::IDontWant { .. } | P2pMessage::Ping => {}
        }
    }

    pub(crate) fn grafted(&mut self, reason: GraftReason, count: usize) {
        add(&mut self.rare().grafted[reason], count);
    }

    pub(crate) fn removed(&mut self, reason: LeaveReason, count: usize) {
        add(&mut self.rare().removed[reason], count);
    }

    pub(crate) fn promise(&mut self, event: PromiseEvent, count: usize) {
        add(&mut self.rare().promises[event], count);
    }

    /// Counts the response to one id of a received IWANT.
    pub(crate) fn iwant_response(&mut self, response: IWantResponse) {
        add(&mut self.rare().iwant_responses[response], 1);
    }

    /// Counts a received IHAVE with this number of message ids.
    pub(crate) fn ihave_ids(&mut self, ids: usize) {
        add(&mut self.rare().ihave_ids, ids);
    }

    /// Counts a received IWANT with this number of message ids.
    pub(crate) fn iwant_ids(&mut self, ids: usize) {
        add(&mut self.rare().iwant_ids, ids);
    }

    /// Counts a message that was sent to this number of fanout peers.
    pub(crate) fn fanout_sends(&mut self, recipients: usize) {
        add(&mut self.rare().fanout_sends, recipients);
    }

    /// Counts an own message that was sent to this number of subscribers beyond the mesh or fanout.
    pub(crate) fn further_sends(&mut self, recipients: usize) {
        add(&mut self.rare().further_sends, recipients);
    }

    /// Counts a message that was not sent to this number of peers because of their IDONTWANT.
    pub(crate) fn suppressed_by_idontwant(&mut self, peers: usize) {
        add(&mut self.rare().suppressed_by_idontwant, peers);
    }

    pub(crate) fn promise_fulfilled(&mut self, after: Duration) {
        self.promise(PromiseEvent::Fulfilled, 1);
        keep(&mut self.rare().promise_durations, after);
    }

    /// Counts a duplicate of an accepted message. `delay` returns the time since the first copy.
    #[inline]
    pub(crate) fn duplicate(&mut self, delay: impl FnOnce() -> Duration) {
        if self.copies.is_multiple_of(SAMPLED) {
            keep(&mut self.rare().duplicate_delays, delay());
        }
        self.copies = self.copies.wrapping_add(1);
    }

    /// Takes the outcome counters that changed. Calls `each` with the index of the outcome among those of all inputs,
    /// and its count.
    #[inline]
    pub(crate) fn take_outcomes(&mut self, mut each: impl FnMut(usize, u32)) {
        let [first, second] = self.dirty;
        self.dirty = [0, second & RARE_BIT];
        for (half, mut dirty) in [first, second & !RARE_BIT].into_iter().enumerate() {
            while dirty != 0 {
                let index = 64 * half + dirty.trailing_zeros() as usize;
                dirty &= dirty - 1;
                each(index, std::mem::take(&mut self.outcomes[index]));
            }
        }
    }

    /// Takes the rare counters, or returns `None` if none of them changed.
    #[inline]
    pub(crate) fn take_rare(&mut self) -> Option<RareCounters> {
        let counted = self.dirty[1] & RARE_BIT != 0;
        self.dirty[1] &= !RARE_BIT;
        counted.then(|| std::mem::take(&mut self.rare))
    }

    fn rare(&mut self) -> &mut RareCounters {
        self.dirty[1] |= RARE_BIT;
        &mut self.rare
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
    use crate::plain::PlainNetwork;

    #[test]
    fn what_is_counted_is_taken_once() {
        let mut counters = InputCounters::default();
        counters.input(Input::Graft, &GraftOutcome::MeshFull);
        counters.input(Input::Graft, &GraftOutcome::MeshFull);
        counters.input(Input::Subscribe, &SubscribeOutcome::Subscribed);
        let take = |counters: &mut InputCounters| {
            let mut taken = Vec::new();
            counters.take_outcomes(|index, count| taken.push((index, count)));
            taken
        };
        assert!(counters.take_rare().is_none());
        let (subscribed, full) = (Input::Subscribe.first_label_index(), Input::Graft.first_label_index() + 9);
        assert_eq!(take(&mut counters), [(subscribed, 1), (full, 2)]);
        assert_eq!(take(&mut counters), []);
        counters.removed(LeaveReason::Leave, 3);
        assert_eq!(take(&mut counters), []);
        assert_eq!(counters.take_rare().map(|rare| rare.removed[LeaveReason::Leave]), Some(3));
        assert!(counters.take_rare().is_none());
    }

    #[test]
    fn label_names_follow_the_specification() {
        assert_eq!(PromiseEvent::VARIANTS, ["started", "fulfilled", "broken", "cancelled"]);
        let answers = [IWantAnswer::NotFound, IWantAnswer::TooManyRequests, IWantAnswer::Ignored];
        for answer in &answers as &[IWantAnswer<PlainNetwork>] {
            assert_eq!(IWantResponse::VARIANTS[IWantResponse::from(answer).into_usize()], answer.name());
        }
    }

    #[test]
    fn one_copy_of_64_is_measured_beginning_with_the_first() {
        let mut counters = InputCounters::default();
        for _ in 0..65 {
            counters.duplicate(|| Duration::from_secs(1));
        }
        assert_eq!(counters.take_rare().map(|rare| rare.duplicate_delays.len()), Some(2));
    }
}

//! What the state machines count for whoever runs them, beside the sixteen of [`Stats`](crate::protocol::inspect::stats::Stats): plain
//! numbers, taken once a burst. Knows no metric; a [`Node`](crate::protocol::node::Node) lets them grow.

use std::time::Duration;

use super::labels::{ANSWERS, Input, Labelled};

const OUTCOMES: usize = Input::tallied_outcomes();
/// One word says which outcomes were counted; its last bit, whether anything else was.
const _: () = assert!(OUTCOMES < 64);
const REST: u64 = 1 << 63;
/// Of so many copies, how long after the first one came is kept.
const SAMPLED: u32 = 64;
/// So many durations are kept for whoever takes them.
const MAX_DURATIONS: usize = 64;

/// Why a peer came into a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grafted {
    Join,
    FanoutPromoted,
    RemoteGraft,
    BelowDegreeLow,
    OutboundQuota,
    Opportunistic,
}

/// Why a peer left a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    RemotePrune,
    Unsubscribed,
    Disconnected,
    NegativeScore,
    AboveDegreeHigh,
    Leave,
    /// The topic's state was lost. Counted by whoever finds out.
    Restart,
}

/// What became of a request that was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromiseEvent {
    Started,
    Kept,
    Broken,
    /// We took no part in the topic any more.
    Cancelled,
}

/// Why a peer was penalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Penalty {
    GraftBackoff,
    BrokenPromise,
    InvalidMessage,
    SlowPeer,
}

/// How often each penalty was given, by [`Penalty`].
pub(crate) type Penalties = [u32; 4];

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
    /// By [`Grafted`].
    pub(crate) grafted: [u32; 6],
    /// By [`Removed`].
    pub(crate) removed: [u32; 7],
    /// By [`PromiseEvent`].
    pub(crate) promises: [u32; 4],
    /// What became of ids that peers asked for.
    pub(crate) answers: [u32; ANSWERS.len()],
    /// Ids of messages in IHAVEs, and in IWANTs.
    pub(crate) ids: [u32; 2],
    /// Messages sent to a fanout, one a recipient.
    pub(crate) fanned_out: u32,
    /// Messages not sent to peers that said IDONTWANT, one a peer.
    pub(crate) spared: u32,
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
        add(&mut self.rest().grafted[reason as usize], count);
    }

    pub(crate) fn removed(&mut self, reason: Removed, count: usize) {
        add(&mut self.rest().removed[reason as usize], count);
    }

    pub(crate) fn promise(&mut self, event: PromiseEvent, count: usize) {
        add(&mut self.rest().promises[event as usize], count);
    }

    pub(crate) fn answered(&mut self, answer: &impl Labelled) {
        add(&mut self.rest().answers[answer.place()], 1);
    }

    /// A peer offered so many messages.
    pub(crate) fn offered(&mut self, ids: usize) {
        add(&mut self.rest().ids[0], ids);
    }

    /// A peer asked for so many messages.
    pub(crate) fn asked(&mut self, ids: usize) {
        add(&mut self.rest().ids[1], ids);
    }

    pub(crate) fn fanned_out(&mut self, recipients: usize) {
        add(&mut self.rest().fanned_out, recipients);
    }

    /// So many peers said that they don't want a message.
    pub(crate) fn suppressed_by_idontwant(&mut self, peers: usize) {
        add(&mut self.rest().spared, peers);
    }

    pub(crate) fn promise_kept(&mut self, after: Duration) {
        self.promise(PromiseEvent::Kept, 1);
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
    use crate::protocol::outcome::{GraftOutcome, SubscribeOutcome};

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
        assert_eq!(tally.take_rest().map(|rest| rest.removed[Removed::Leave as usize]), Some(3));
        assert!(tally.take_rest().is_none());
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

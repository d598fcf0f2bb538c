//! What peers are blamed for (P4, P7) and what copies are credited (P3): neither more nor less than they did.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    Validity,
    limits::Limits,
    protocol::{GraftOutcome, IHaveOutcome, ReceiveOutcome, TopicScoreView, View},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Driver, Outcome, Step},
    network::{Ids, Net, TOPICS},
    op::{Msg, Op},
};

/// Sums of decayed numbers may differ in their last digits.
const CLOSE: f64 = 1e-9;

/// What was found out so far.
#[derive(Debug, Default)]
pub struct Wrongs {
    /// Who was ever asked for a message.
    asked: BTreeSet<u32>,
    /// The tick at which messages of a number could last be found invalid.
    invalid: BTreeMap<u16, u64>,
}

impl Wrongs {
    pub fn check<I: Ids>(&mut self, driver: &Driver<I>, step: &Step<'_, I>) -> Checked {
        if let (Op::IHave { peer, .. }, Outcome::IHave(IHaveOutcome::Requested { ids })) =
            (step.op, &step.outcome)
            && !ids.is_empty()
        {
            self.asked.insert(*peer);
        }
        promises_are_counted(&driver.limits, step)?;
        self.misbehaviour(&driver.limits, step)?;
        invalid_messages(step)?;
        copies(&driver.limits, step)?;
        self.memory(driver, step)
    }

    /// P7.
    fn misbehaviour<I: Ids>(&self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        let mut broken = 0;
        for peer in step.before.scores.keys().filter(|peer| step.after.scores.contains_key(peer)) {
            let rise = rise_of_misbehaviour(limits, step, *peer);
            let expected = match (step.op, &step.outcome) {
                (Op::Graft { peer: from, .. }, Outcome::Graft(GraftOutcome::BackedOff)) if from == peer => {
                    1..=2
                }
                (Op::Heartbeat, _) if self.asked.contains(peer) => 0..=i64::from(TOPICS),
                _ => 0..=0,
            };
            prop_assert!((rise - rise.round()).abs() <= CLOSE * rise.abs().max(1.0), "P7 rose by {rise}");
            prop_assert!(expected.contains(&(rise.round() as i64)), "P7 of {peer} rose by {rise}");
            broken += rise.round() as usize;
        }
        if matches!(step.op, Op::Heartbeat) {
            let due = step.held_before.promises - step.held.promises;
            let known = self.asked.iter().all(|peer| step.after.scores.contains_key(peer));
            let all_told = if known { broken == due } else { broken <= due };
            prop_assert!(all_told, "{due} promises were broken, {broken} are counted (P7)");
        }
        Ok(())
    }

    /// A message that is valid now is refused only if it was found invalid not long ago.
    fn memory<I: Ids>(&mut self, driver: &Driver<I>, step: &Step<'_, I>) -> Checked {
        let now = step.after.heartbeat_ticks;
        let answers = driver.network.answers();
        if let (Op::Receive { message, .. }, Outcome::Receive(ReceiveOutcome::Invalid)) =
            (step.op, &step.outcome)
        {
            let is_valid = |judged: &BTreeMap<u16, Validity>| {
                judged.get(&message.number).is_none_or(|verdict| *verdict == Validity::Valid)
            };
            if message.home == message.topic && is_valid(&answers.ids) && is_valid(&answers.messages) {
                let ticks = driver.limits.extensions.invalid_memory_ticks as u64;
                let last = self.invalid.get(&message.number);
                prop_assert!(last.is_some_and(|last| now - last < ticks), "{message:?} was never invalid");
            }
        }
        if matches!(step.op, Op::Receive { .. } | Op::ApplyBatch { .. } | Op::CheckParked | Op::ProcessBatch)
        {
            let invalid = answers.messages.iter().filter(|(_, verdict)| **verdict == Validity::Invalid);
            self.invalid.extend(invalid.map(|(number, _)| (*number, now)));
        }
        Ok(())
    }
}

/// By how much P7 of a peer with a score rose, beside its decay.
pub fn rise_of_misbehaviour<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>, peer: u32) -> f64 {
    let penalty = |view: &View<Net<I>>| view.scores.get(&peer).map_or(0.0, |score| score.behaviour_penalty);
    let mut before = penalty(step.before);
    let ticks = step.after.heartbeat_ticks;
    if matches!(step.op, Op::Heartbeat) && ticks.is_multiple_of(limits.score_cleanup_ticks) {
        before *= limits.score.behaviour_penalty_decay;
        if before < limits.score.decay_zero {
            before = 0.0;
        }
    }
    penalty(step.after) - before
}

fn promises_are_counted<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let requested = match &step.outcome {
        Outcome::IHave(IHaveOutcome::Requested { ids }) => !ids.is_empty(),
        _ => false,
    };
    let watched = requested && !limits.extensions.iwant_followup_time.is_zero();
    let most = step.held_before.promises + usize::from(watched);
    prop_assert!(step.held.promises <= most, "{} promises of {most}", step.held.promises);
    Ok(())
}

type Counter = fn(&TopicScoreView) -> f64;

/// By how much a counter of each peer and topic changed that has a score before and after.
fn changes<'a, I: Ids>(
    step: &'a Step<'_, I>,
    counter: Counter,
) -> impl Iterator<Item = (u32, u8, f64)> + use<'a, I> {
    let both = step.before.scores.iter().filter_map(|(peer, before)| {
        let after = step.after.scores.get(peer)?;
        Some((*peer, before, after))
    });
    both.flat_map(move |(peer, before, after)| {
        (0..TOPICS).map(move |topic| {
            let [before, after] = [before, after].map(|score| score.topics.get(&topic).map_or(0.0, counter));
            (peer, topic, after - before)
        })
    })
}

/// P4.
fn invalid_messages<I: Ids>(step: &Step<'_, I>) -> Checked {
    let blamed = match (step.op, &step.outcome) {
        (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::Invalid)) => {
            Some((*sender, message.topic))
        }
        (Op::IHave { peer, topic, .. }, Outcome::IHave(IHaveOutcome::InvalidId)) => Some((*peer, *topic)),
        // Of several peers and messages.
        (Op::ApplyBatch { .. } | Op::CheckParked | Op::ProcessBatch, _) => return Ok(()),
        _ => None,
    };
    for (peer, topic, change) in changes(step, |counters| counters.invalid) {
        if blamed == Some((peer, topic)) {
            prop_assert!((change - 1.0).abs() <= CLOSE * 1e3, "P4 of {peer} on {topic} changed by {change}");
        } else {
            prop_assert!(change <= 0.0, "P4 of {peer} on {topic} rose by {change}");
        }
    }
    Ok(())
}

/// P3: a copy is credited to who sends it, once or each time.
fn copies<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::AlreadyReceived)) =
        (step.op, &step.outcome)
    else {
        return Ok(());
    };
    let [before, after] = [step.before, step.after].map(|view| senders(view, message));
    let once = limits.extensions.credit_duplicates_once;
    let learned: BTreeSet<_> = after.difference(&before).collect();
    prop_assert!(learned.is_empty() || once && learned.iter().all(|peer| *peer == sender));
    let most = before.len().max(1 + limits.bounds.max_co_senders);
    prop_assert!(after.len() <= most, "{} senders are remembered, of {most}", after.len());
    for (peer, topic, change) in changes(step, |counters| counters.delivered) {
        let may_be = peer == *sender && topic == message.topic && !before.contains(sender);
        let is_credit = may_be && change <= 1.0 + CLOSE;
        prop_assert!(change == 0.0 || is_credit, "P3 of {peer} on {topic} rose by {change}");
        prop_assert!(change == 0.0 || !once || after.contains(sender), "credited to {peer}, not noted");
    }
    Ok(())
}

/// Who is remembered to have sent a message.
fn senders<I: Ids>(view: &View<Net<I>>, message: &Msg) -> BTreeSet<u32> {
    let id = I::id(message.home, message.number);
    let seen = view.seen.iter().find(|seen| seen.topic == message.topic && seen.id == id);
    seen.map(|seen| seen.senders.clone()).unwrap_or_default()
}

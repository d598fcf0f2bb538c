//! Recounts penalties (P4, P7) and delivery credits (P3) and compares them with the node's.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{
    P2pMessage, P2pOutput, Validity,
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

/// The tolerance of comparisons: sums of decayed numbers may differ in their last digits.
const CLOSE: f64 = 1e-9;

/// The requests and invalid messages so far.
#[derive(Debug, Default)]
pub struct Penalties {
    /// The peers that were ever sent an IWANT.
    requested_from: BTreeSet<u32>,
    /// By message number, the last tick at which a message could be found invalid.
    invalid: BTreeMap<u16, u64>,
}

impl Penalties {
    pub fn check<I: Ids>(&mut self, driver: &Driver<I>, step: &Step<'_, I>) -> Checked {
        if let (Op::IHave { peer, .. }, Outcome::IHave(IHaveOutcome::Requested { ids })) =
            (step.op, &step.outcome)
            && !ids.is_empty()
        {
            self.requested_from.insert(*peer);
        }
        self.requested_from.extend(repeated_iwants(step));
        promises_are_counted(&driver.limits, step)?;
        self.misbehaviour(&driver.limits, step)?;
        invalid_messages(step)?;
        duplicates(&driver.limits, step)?;
        self.invalid_cache(driver, step)
    }

    /// P7.
    fn misbehaviour<I: Ids>(&self, limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
        let mut broken = 0;
        // A message that is requested again at the heartbeat may be a new promise.
        let least_due = step.footprint_before.promises.saturating_sub(step.footprint.promises);
        let due = (step.footprint_before.promises + repeated_iwants(step).count())
            .saturating_sub(step.footprint.promises);
        for peer in step.before.scores.keys().filter(|peer| step.after.scores.contains_key(peer)) {
            let rise = rise_of_misbehaviour(limits, step, *peer);
            let expected = match (step.op, &step.outcome) {
                (Op::Graft { peer: from, .. }, Outcome::Graft(GraftOutcome::BackedOff)) if from == peer => {
                    1..=2
                }
                (Op::Heartbeat, _) if self.requested_from.contains(peer) => 0..=due as i64,
                _ => 0..=0,
            };
            prop_assert!((rise - rise.round()).abs() <= CLOSE * rise.abs().max(1.0), "P7 rose by {rise}");
            prop_assert!(expected.contains(&(rise.round() as i64)), "P7 of {peer} rose by {rise}");
            broken += rise.round() as usize;
        }
        if matches!(step.op, Op::Heartbeat) {
            let known = self.requested_from.iter().all(|peer| step.after.scores.contains_key(peer));
            let all_counted = broken <= due && (!known || broken >= least_due);
            prop_assert!(all_counted, "{due} promises were broken, {broken} are counted (P7)");
        }
        Ok(())
    }

    /// A message that is valid now is refused only while it is remembered as invalid.
    fn invalid_cache<I: Ids>(&mut self, driver: &Driver<I>, step: &Step<'_, I>) -> Checked {
        let now = step.after.heartbeat_ticks;
        let answers = driver.network.answers();
        if let (Op::Receive { message, .. }, Outcome::Receive(ReceiveOutcome::Invalid)) =
            (step.op, &step.outcome)
        {
            let is_valid = |verdicts: &BTreeMap<u16, Validity>| {
                verdicts.get(&message.number).is_none_or(|verdict| *verdict == Validity::Valid)
            };
            if message.id_topic == message.topic && is_valid(&answers.ids) && is_valid(&answers.messages) {
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

/// The rise of P7 of a peer, without its decay.
pub fn rise_of_misbehaviour<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>, peer: u32) -> f64 {
    let penalty = |view: &View<Net<I>>| view.scores.get(&peer).map_or(0.0, |score| score.behaviour_penalty);
    let mut before = penalty(step.before);
    let ticks = step.after.heartbeat_ticks;
    let is_retained = step.before.scores.get(&peer).is_some_and(|score| score.expires.is_some());
    let decays = !is_retained || limits.extensions.retained_scores_decay;
    if matches!(step.op, Op::Heartbeat) && ticks.is_multiple_of(limits.score_cleanup_ticks) && decays {
        before *= limits.score.behaviour_penalty_decay;
        if before < limits.score.decay_zero {
            before = 0.0;
        }
    }
    penalty(step.after) - before
}

/// The peers that are sent an IWANT at a heartbeat.
fn repeated_iwants<'a, I: Ids>(step: &'a Step<'_, I>) -> impl Iterator<Item = u32> + 'a {
    let outputs = if matches!(step.op, Op::Heartbeat) { &step.drained.p2p[..] } else { &[] };
    outputs.iter().filter_map(|output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::IWant { .. } } => Some(*to_peer),
        _ => None,
    })
}

fn promises_are_counted<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let requested = match &step.outcome {
        Outcome::IHave(IHaveOutcome::Requested { ids }) => !ids.is_empty(),
        _ => false,
    };
    let tracked = requested && !limits.extensions.iwant_followup_time.is_zero();
    let most = step.footprint_before.promises + usize::from(tracked) + repeated_iwants(step).count();
    prop_assert!(
        step.footprint.promises <= most,
        "{} promises, at most {most} are expected",
        step.footprint.promises
    );
    Ok(())
}

type Counter = fn(&TopicScoreView) -> f64;

/// The changes of a counter of each peer and topic. The peers have a score before and after the step.
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
    let penalised = match (step.op, &step.outcome) {
        (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::Invalid)) => {
            Some((*sender, message.topic))
        }
        (Op::IHave { peer, topic, .. }, Outcome::IHave(IHaveOutcome::InvalidId)) => Some((*peer, *topic)),
        // These validate messages of several peers.
        (Op::ApplyBatch { .. } | Op::CheckParked | Op::ProcessBatch, _) => return Ok(()),
        _ => None,
    };
    for (peer, topic, change) in changes(step, |counters| counters.invalid) {
        if penalised == Some((peer, topic)) {
            prop_assert!((change - 1.0).abs() <= CLOSE * 1e3, "P4 of {peer} on {topic} changed by {change}");
        } else {
            prop_assert!(change <= 0.0, "P4 of {peer} on {topic} rose by {change}");
        }
    }
    Ok(())
}

/// P3: a duplicate is credited to its sender, once or each time.
fn duplicates<I: Ids>(limits: &Limits<u8>, step: &Step<'_, I>) -> Checked {
    let (Op::Receive { sender, message, .. }, Outcome::Receive(ReceiveOutcome::AlreadyReceived)) =
        (step.op, &step.outcome)
    else {
        return Ok(());
    };
    let [before, after] = [step.before, step.after].map(|view| senders(view, message));
    let once = limits.extensions.credit_duplicates_once;
    let added: BTreeSet<_> = after.difference(&before).collect();
    prop_assert!(added.is_empty() || once && added.iter().all(|peer| *peer == sender));
    let most = before.len().max(1 + limits.bounds.max_co_senders);
    prop_assert!(after.len() <= most, "{} senders are remembered, of {most}", after.len());
    for (peer, topic, change) in changes(step, |counters| counters.delivered) {
        let may_be = peer == *sender && topic == message.topic && !before.contains(sender);
        let is_credit = may_be && change <= 1.0 + CLOSE;
        prop_assert!(change == 0.0 || is_credit, "P3 of {peer} on {topic} rose by {change}");
        prop_assert!(
            change == 0.0 || !once || after.contains(sender),
            "{peer} is credited but not stored as a sender"
        );
    }
    Ok(())
}

/// The stored senders of a message.
fn senders<I: Ids>(view: &View<Net<I>>, message: &Msg) -> BTreeSet<u32> {
    let id = I::id(message.id_topic, message.number);
    let seen = view.seen.iter().find(|seen| seen.topic == message.topic && seen.id == id);
    seen.map(|seen| seen.senders.clone()).unwrap_or_default()
}

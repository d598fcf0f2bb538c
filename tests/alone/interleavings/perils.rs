//! The kinds of events of a plan: when they happen, and which have happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use strum::VariantArray;

use super::{
    checks::Checks,
    heartbeats::Heartbeats,
    hooks::Hook,
    network::{Id, arm_clone, disarm_clone},
    plan::{Peril, Plan},
    schedule::Schedule,
    steps::Step,
};

/// The peer that reconnects if the plan contains it and no other peer did.
const RECONNECTING: u64 = 3;

impl Schedule {
    /// Runs the step of the plan for a kind of event.
    pub async fn run_planned(&mut self, peril: Peril) {
        match peril {
            Peril::Batch => self.run_step_in_order(Step::Batch).await,
            Peril::Panic => arm_clone(),
            Peril::Reconnection => self.run_step_in_order(Step::Reconnect).await,
            Peril::Cancellation => self.run_step_in_order(Step::Cancel).await,
            Peril::Shutdown => {
                // The engine refuses all inputs from now on.
                self.complete_plan().await;
                self.run_step_in_order(Step::Shutdown).await;
            }
        }
    }

    /// Makes what the plan contains happen, if it has not happened by chance: a batch may have been empty, and a hook that
    /// should panic may not have been called.
    pub async fn complete_plan(&mut self) {
        let missing: Vec<_> =
            self.plan.perils.iter().copied().filter(|peril| !self.has_seen(*peril)).collect();
        for peril in missing {
            match peril {
                Peril::Batch => {
                    self.hooks.arm(None);
                    disarm_clone();
                    self.validate_new_message().await;
                }
                Peril::Panic => {
                    arm_clone();
                    self.validate_new_message().await;
                }
                Peril::Reconnection => {
                    while !self.has_seen(Peril::Reconnection) {
                        self.reconnect(RECONNECTING).await;
                    }
                }
                Peril::Cancellation => {
                    self.read_streams();
                    self.cancel_one();
                }
                Peril::Shutdown => {}
            }
        }
    }

    fn has_seen(&self, peril: Peril) -> bool {
        self.checks.borrow().seen_perils.contains(&peril)
    }

    /// A peer of the mesh sends a message that no other copy has, and the engine validates it.
    async fn validate_new_message(&mut self) {
        self.new_messages += 1;
        let id = Id { number: 64 * self.new_messages, topic: "a".to_owned() };
        self.copy_of(super::checks::STABLE[0], &id);
        self.drain().await;
        if self.plan.validation.in_batches() {
            self.process_batch();
            self.drain().await;
        }
    }
}

/// How many schedules had each kind of event, and each two of them.
#[derive(Debug, Default)]
pub struct Summary {
    schedules: usize,
    compared: usize,
    fewest_kinds: Option<usize>,
    fewest_steps: Option<usize>,
    pairs: BTreeMap<(Peril, Peril), usize>,
    heartbeats: Heartbeats,
    /// The panics of hooks.
    fired: BTreeMap<Hook, usize>,
}

impl Summary {
    pub fn add(&mut self, plan: &Plan, perils: &BTreeSet<Peril>, checks: &Checks) {
        self.schedules += 1;
        self.heartbeats.checked += checks.heartbeats.checked;
        self.heartbeats.with_both += checks.heartbeats.with_both;
        checks.fired.iter().for_each(|(hook, count)| *self.fired.entry(*hook).or_default() += count);
        self.compared += usize::from(plan.is_compared);
        let fewest = |known: Option<usize>, new| Some(known.map_or(new, |known| known.min(new)));
        self.fewest_kinds = fewest(self.fewest_kinds, perils.len());
        self.fewest_steps = fewest(self.fewest_steps, plan.steps);
        for first in perils {
            for second in perils.range(first..).skip(1) {
                *self.pairs.entry((*first, *second)).or_default() += 1;
            }
        }
    }

    /// Whether a heartbeat sent GRAFT and PRUNE.
    pub fn has_full_heartbeat(&self) -> bool {
        self.heartbeats.with_both > 0
    }

    /// The hooks that panicked in no schedule.
    pub fn never_fired(&self) -> Vec<Hook> {
        Hook::VARIANTS.iter().copied().filter(|hook| !self.fired.contains_key(hook)).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kinds, steps) = (self.fewest_kinds.unwrap_or(0), self.fewest_steps.unwrap_or(0));
        writeln!(f, "each of {} had at least {steps} steps and {kinds} kinds of events", self.schedules)?;
        writeln!(f, "{:>7} had the same result as a node", self.compared)?;
        let Heartbeats { checked, with_both } = self.heartbeats;
        writeln!(f, "{with_both:>7} of {checked} checked heartbeats sent GRAFT and PRUNE")?;
        write!(f, "the panics of hooks: {:?}", self.fired)?;
        self.pairs
            .iter()
            .try_for_each(|((first, second), count)| write!(f, "\n{count:>7} had {first:?} and {second:?}"))
    }
}

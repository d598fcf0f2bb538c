//! What a schedule contains, by its seed.

use std::collections::BTreeMap;

use super::{network::Validation, random::Random};

/// A kind of event. Each schedule has at least two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peril {
    Batch,
    Panic,
    Reconnection,
    Cancellation,
    Shutdown,
}

/// The fewest steps of a schedule.
pub const MIN_STEPS: usize = 20;

const PERILS: [Peril; 5] =
    [Peril::Batch, Peril::Panic, Peril::Reconnection, Peril::Cancellation, Peril::Shutdown];

#[derive(Clone, Debug)]
pub struct Plan {
    pub perils: Vec<Peril>,
    pub validation: Validation,
    pub arbiters: usize,
    pub peers: u64,
    pub steps: usize,
    /// Whether the result is compared with that of a `Node`: nothing is lost in a panic, and no verdict awaited.
    pub is_compared: bool,
    /// Whether the engine settles before and after each heartbeat, so that what a heartbeat sends is known.
    pub settles_heartbeats: bool,
    /// Whether a peer that subscribes is grafted at once, or at the next heartbeat.
    pub grafts_on_subscribe: bool,
    /// The steps at which the kinds of events happen. They also happen at other steps, except a shutdown: the engine
    /// refuses all inputs after it.
    planned: BTreeMap<usize, Peril>,
}

impl Plan {
    pub fn new(random: &mut Random) -> Self {
        let first = random.below(PERILS.len());
        let second = (first + 1 + random.below(PERILS.len() - 1)) % PERILS.len();
        let is_in = |index: usize, random: &mut Random| [first, second].contains(&index) || random.one_in(4);
        let perils: Vec<_> =
            (0..PERILS.len()).filter(|index| is_in(*index, random)).map(|index| PERILS[index]).collect();
        let validation = match (perils.contains(&Peril::Batch), random.below(3)) {
            (true, 0) => Validation::Batches,
            (true, 1) => Validation::AwaitedBatches,
            (true, _) => Validation::AwaitedEach,
            (false, 0) => Validation::Awaited,
            (false, _) => Validation::Immediate,
        };
        let is_determined = matches!(validation, Validation::Immediate | Validation::Batches);
        // In the others, heartbeats race.
        let is_compared = is_determined && !perils.contains(&Peril::Panic) && !random.one_in(3);
        let settles_heartbeats = is_compared || random.one_in(2);
        let steps = MIN_STEPS + random.below(30);
        let planned = planned(&perils, steps, random);
        Self {
            perils,
            validation,
            arbiters: 1 + random.below(3),
            peers: 3 + random.below(2) as u64,
            steps,
            planned,
            is_compared,
            settles_heartbeats,
            grafts_on_subscribe: random.one_in(2),
        }
    }

    /// The kind of event that happens at this step.
    pub fn planned(&self, step: usize) -> Option<Peril> {
        self.planned.get(&step).copied()
    }

    pub fn has(&self, peril: Peril) -> bool {
        self.perils.contains(&peril)
    }
}

/// A shutdown is in the second half of the steps, and all else in the first.
fn planned(perils: &[Peril], steps: usize, random: &mut Random) -> BTreeMap<usize, Peril> {
    let mut planned = BTreeMap::new();
    let half = steps / 2;
    for peril in perils {
        let first = if *peril == Peril::Shutdown { half } else { 0 };
        let mut step = first + random.below(half);
        while planned.contains_key(&step) {
            step = (step + 1) % half;
        }
        planned.insert(step, *peril);
    }
    planned
}

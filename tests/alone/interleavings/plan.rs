//! What a schedule contains, by its seed.

use super::{network::Validation, random::Random};

/// A kind of event of which each schedule has at least two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peril {
    Batch,
    Panic,
    Reconnection,
    Cancellation,
    Shutdown,
}

const PERILS: [Peril; 5] =
    [Peril::Batch, Peril::Panic, Peril::Reconnection, Peril::Cancellation, Peril::Shutdown];

#[derive(Clone, Debug)]
pub struct Plan {
    pub perils: Vec<Peril>,
    pub validation: Validation,
    pub arbiters: usize,
    pub peers: u64,
    pub steps: usize,
}

impl Plan {
    pub fn new(random: &mut Random) -> Self {
        let first = random.below(PERILS.len());
        let second = (first + 1 + random.below(PERILS.len() - 1)) % PERILS.len();
        let is_in = |index: usize, random: &mut Random| [first, second].contains(&index) || random.one_in(4);
        let perils: Vec<_> =
            (0..PERILS.len()).filter(|index| is_in(*index, random)).map(|index| PERILS[index]).collect();
        let validation = match (perils.contains(&Peril::Batch), random.one_in(3)) {
            (true, true) => Validation::Batches,
            (true, false) => Validation::AwaitedBatches,
            (false, true) => Validation::Awaited,
            (false, false) => Validation::Immediate,
        };
        Self {
            perils,
            validation,
            arbiters: 1 + random.below(3),
            peers: 3 + random.below(2) as u64,
            steps: 20 + random.below(30),
        }
    }

    pub fn has(&self, peril: Peril) -> bool {
        self.perils.contains(&peril)
    }
}

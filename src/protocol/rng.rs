//! The random choices of the protocol. Each owner (a topic, or the peers' side) has its own seeded generator.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::{
    SeedableRng,
    rngs::ChaCha8Rng,
    seq::{IndexedRandom, SliceRandom, index},
};

/// The generator of a state machine.
pub(crate) type ProtocolRng = ChaCha8Rng;

/// Makes the generator of one owner. It depends only on the engine's seed, the kind and the name of the owner, so a
/// new topic, or another order of joins, does not change the choices of the others.
pub(crate) fn rng_for(seed: u64, kind: &str, owner: &impl Hash) -> ProtocolRng {
    let mut hasher = DefaultHasher::new();
    (seed, kind).hash(&mut hasher);
    owner.hash(&mut hasher);
    ChaCha8Rng::seed_from_u64(hasher.finish())
}

/// Chooses at most `count` of `items` uniformly. The order of the result is arbitrary.
pub(crate) fn choose<T>(mut items: Vec<T>, count: usize, rng: &mut ProtocolRng) -> Vec<T> {
    if items.len() > count {
        let (_chosen, rest) = items.partial_shuffle(rng, count);
        // partial_shuffle moves the chosen items to the end.
        let rest = rest.len();
        return items.split_off(rest);
    }
    items
}

/// Chooses at most `count` of `items`, which are ascending, uniformly and without `excluded`. Takes time in proportion to
/// `count`. The order of the result is arbitrary.
pub(crate) fn choose_except<T: Ord + Clone>(
    items: &[T],
    excluded: &T,
    count: usize,
    rng: &mut ProtocolRng,
) -> Vec<T> {
    let found = items.binary_search(excluded);
    let length = items.len() - usize::from(found.is_ok());
    let skip = found.unwrap_or(items.len());
    let chosen = index::sample(rng, length, count.min(length)).into_iter();
    chosen.map(|index| items[index + usize::from(index >= skip)].clone()).collect()
}

/// Chooses at most `count` of `items` uniformly. Takes time in proportion to `count`. The order of the result is arbitrary.
pub(crate) fn choose_some<T: Copy>(items: &[T], count: usize, rng: &mut ProtocolRng) -> Vec<T> {
    index::sample(rng, items.len(), count.min(items.len())).into_iter().map(|index| items[index]).collect()
}

/// Chooses one of `items` uniformly.
pub(crate) fn pick<'a, T>(items: &'a [T], rng: &mut ProtocolRng) -> Option<&'a T> {
    items.choose(rng)
}

/// Puts `items` into a random order.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ProtocolRng) {
    items.shuffle(rng);
}

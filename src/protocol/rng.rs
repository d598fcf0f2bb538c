//! Every random choice of the protocol. Chooses; never judges what it chooses among.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::{
    SeedableRng,
    rngs::ChaCha8Rng,
    seq::{IndexedRandom, SliceRandom},
};

/// The source of a state machine's choices.
pub(crate) type ProtocolRng = ChaCha8Rng;

/// A generator for one owner (of some kind: a topic, the peers' side). Derived from the engine's seed and the owner's
/// name, so that another topic, or another order of joining, changes nobody else's choices.
pub(crate) fn rng_for(seed: u64, kind: &str, owner: &impl Hash) -> ProtocolRng {
    let mut hasher = DefaultHasher::new();
    (seed, kind).hash(&mut hasher);
    owner.hash(&mut hasher);
    ChaCha8Rng::seed_from_u64(hasher.finish())
}

/// At most `count` of `items`, chosen uniformly; in no order.
pub(crate) fn choose<T>(mut items: Vec<T>, count: usize, rng: &mut ProtocolRng) -> Vec<T> {
    if items.len() > count {
        let (_chosen, rest) = items.partial_shuffle(rng, count);
        // The rest stands in front of the chosen.
        let rest = rest.len();
        return items.split_off(rest);
    }
    items
}

/// One of `items`.
pub(crate) fn pick<'a, T>(items: &'a [T], rng: &mut ProtocolRng) -> Option<&'a T> {
    items.choose(rng)
}

/// All of `items` in a random order.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ProtocolRng) {
    items.shuffle(rng);
}

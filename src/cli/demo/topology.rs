//! Who dials whom: random, connected, and the same for the same seed. No sockets here.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

/// Dials of a node, if there are so many others.
const DIALS: usize = 3;

/// Pairs of who dials and who is dialled; no pair twice, in either direction.
pub fn dials(nodes: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut linked = BTreeSet::new();
    let mut dials = Vec::new();
    let mut dial = |from: usize, to: usize| {
        let new = linked.insert((from.min(to), from.max(to)));
        if new {
            dials.push((from, to));
        }
        new
    };
    // A random tree first: whatever the rest is, everyone is connected.
    for node in 1..nodes {
        dial(node, random.random_range(0..node));
    }
    for node in 0..nodes {
        let mut others: Vec<_> = (0..nodes).filter(|other| *other != node).collect();
        others.shuffle(&mut random);
        // The first node has no parent in the tree.
        let wanted = if node == 0 { DIALS } else { DIALS - 1 };
        others.into_iter().filter(|other| dial(node, *other)).take(wanted).for_each(drop);
    }
    dials
}

/// The links of each node, dialled by it or not.
pub fn degrees(nodes: usize, dials: &[(usize, usize)]) -> Vec<usize> {
    let mut degrees = vec![0; nodes];
    for (from, to) in dials {
        degrees[*from] += 1;
        degrees[*to] += 1;
    }
    degrees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_connected_and_no_pair_twice() {
        for (nodes, seed) in [(2, 1), (3, 2), (8, 3), (50, 4), (128, 5)] {
            let dials = dials(nodes, seed);
            let mut reached = BTreeSet::from([0]);
            for _ in 0..nodes {
                for (a, b) in &dials {
                    if reached.contains(a) || reached.contains(b) {
                        reached.extend([*a, *b]);
                    }
                }
            }
            assert_eq!(reached.len(), nodes);
            let pairs: BTreeSet<_> = dials.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            assert_eq!(pairs.len(), dials.len());
            assert_eq!(degrees(nodes, &dials).iter().sum::<usize>(), 2 * dials.len());
        }
        assert_eq!(dials(20, 7), dials(20, 7));
        assert_ne!(dials(20, 7), dials(20, 8));
    }
}

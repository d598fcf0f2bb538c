//! These tests check that work that peers can cause is bounded. They count calls of hooks.

use std::sync::atomic::Ordering::Relaxed;

use actix_gossipsub::{limits::Extensions, protocol::IHaveOutcome};
use testkit::counted::CountedNetwork;

use super::counted::CountedNode;

/// A peer offers more ids than may be requested from it.
#[test]
fn the_ids_of_an_ihave_are_judged_until_the_quota_is_used_up() {
    const QUOTA: u64 = 100;
    let requested = |extensions: Extensions, invalid_from| {
        let network = CountedNetwork { invalid_from, ..CountedNetwork::default() };
        let mut counted = CountedNode::new(network, |limits| {
            limits.max_sent_iwant_per_heartbeat = QUOTA as u32;
            limits.extensions = extensions;
        });
        let (peer, topic) = (counted.connect(0), counted.topic(0));
        counted.node.join(&topic, counted.now);
        let outcome = counted.node.ihave(&peer, &topic, (0..10_000).collect(), counted.now);
        let requested = match outcome {
            IHaveOutcome::Requested { ids } => Some(ids),
            _ => None,
        };
        (requested, counted.network.judged_ids.load(Relaxed))
    };
    let (ids, judged) = requested(Extensions::default(), u64::MAX);
    let ids = ids.expect("all ids are valid");
    assert_eq!((ids.len() as u64, judged), (QUOTA, QUOTA));
    assert!(ids.iter().any(|id| *id > 1000), "the choice among all ids is random");
    // The reference judges all ids, and finds the last one invalid.
    let (ids, judged) = requested(Extensions::none(), 9999);
    assert_eq!((ids, judged), (None, 10_000));
}

//! These tests check the subscriptions of peers.

use std::collections::BTreeSet;

use actix_gossipsub::protocol::{GraftOutcome, SubscribeOutcome};

use super::setup::{Setup, TOPIC};

#[test]
fn subscriptions_are_kept_and_unknown_peers_have_none() {
    let mut world = Setup::new().connected(0..2).start();
    let now = world.now();
    for topic in 1..=4 {
        world.node.join(&topic, now);
    }
    for peer in [0, 1, 99] {
        for topic in 1..=3 {
            world.node.subscribe(&peer, &topic, now);
        }
        world.node.unsubscribe(&peer, &4, now);
    }
    assert_eq!(world.topics_of(0), BTreeSet::from([1, 2, 3]));
    assert_eq!(world.topics_of(1), BTreeSet::from([1, 2, 3]));
    assert!(world.topics_of(99).is_empty());
    assert!(!world.view().connections.contains_key(&99));

    world.heartbeat();
    assert_eq!(world.view().mesh[&1], BTreeSet::from([0, 1]));

    world.node.unsubscribe(&0, &1, now);
    assert_eq!(world.topics_of(0), BTreeSet::from([2, 3]));
    assert_eq!(world.view().mesh[&1], BTreeSet::from([1]));
}

#[test]
fn a_flood_of_subscriptions_ends_at_the_cap() {
    let mut world = Setup::new().connected(0..1).start();
    let (now, cap) = (world.now(), world.limits.max_topics_per_peer);
    assert_eq!(cap, 1024);
    for topic in 0..cap as u32 {
        assert_eq!(world.node.subscribe(&0, &topic, now), SubscribeOutcome::Subscribed);
    }
    let overflow = world.node.subscribe(&0, &9999, now);
    assert_eq!(overflow, SubscribeOutcome::TopicLimitExceeded);
    assert_eq!(world.topics_of(0).len(), cap);
}

#[test]
fn a_graft_beyond_the_cap_is_refused() {
    let mut world = Setup::new().connected(0..1).joined().start();
    let now = world.now();
    for topic in 1..=world.limits.max_topics_per_peer as u32 {
        world.node.subscribe(&0, &topic, now);
    }
    assert_eq!(world.graft(0), GraftOutcome::PeerFiltered);
    assert!(world.mesh().is_empty());
}

#[test]
fn a_graft_subscribes() {
    let mut world = Setup::new().connected(0..1).joined().start();
    assert!(world.topics_of(0).is_empty());
    world.graft(0);
    assert_eq!(world.topics_of(0), BTreeSet::from([TOPIC]));
}

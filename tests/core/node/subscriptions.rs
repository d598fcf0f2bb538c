//! These tests check the subscriptions of peers.

use std::collections::BTreeSet;

use actix_gossipsub::protocol::{GraftOutcome, SubscribeOutcome};

use super::setup::{Setup, TOPIC};

#[test]
fn subscriptions_are_kept_and_unknown_peers_have_none() {
    let mut fixture = Setup::new().connected(0..2).start();
    let now = fixture.now();
    for topic in 1..=4 {
        fixture.node.join(&topic, now);
    }
    for peer in [0, 1, 99] {
        for topic in 1..=3 {
            fixture.node.subscribe(&peer, &topic, now);
        }
        fixture.node.unsubscribe(&peer, &4, now);
    }
    assert_eq!(fixture.topics_of(0), BTreeSet::from([1, 2, 3]));
    assert_eq!(fixture.topics_of(1), BTreeSet::from([1, 2, 3]));
    assert!(fixture.topics_of(99).is_empty());
    assert!(!fixture.view().connections.contains_key(&99));

    fixture.heartbeat();
    assert_eq!(fixture.view().mesh[&1], BTreeSet::from([0, 1]));

    fixture.node.unsubscribe(&0, &1, now);
    assert_eq!(fixture.topics_of(0), BTreeSet::from([2, 3]));
    assert_eq!(fixture.view().mesh[&1], BTreeSet::from([1]));
}

#[test]
fn subscriptions_above_the_limit_are_refused() {
    let mut fixture = Setup::new().connected(0..1).start();
    let (now, cap) = (fixture.now(), fixture.limits.max_topics_per_peer);
    assert_eq!(cap, 1024);
    for topic in 0..cap as u32 {
        assert_eq!(fixture.node.subscribe(&0, &topic, now), SubscribeOutcome::Subscribed);
    }
    let overflow = fixture.node.subscribe(&0, &9999, now);
    assert_eq!(overflow, SubscribeOutcome::TopicLimitExceeded);
    assert_eq!(fixture.topics_of(0).len(), cap);
}

#[test]
fn a_graft_above_the_subscription_limit_is_refused() {
    let mut fixture = Setup::new().connected(0..1).joined().start();
    let now = fixture.now();
    for topic in 1..=fixture.limits.max_topics_per_peer as u32 {
        fixture.node.subscribe(&0, &topic, now);
    }
    assert_eq!(fixture.graft(0), GraftOutcome::PeerFiltered);
    assert!(fixture.mesh().is_empty());
}

#[test]
fn a_graft_subscribes() {
    let mut fixture = Setup::new().connected(0..1).joined().start();
    assert!(fixture.topics_of(0).is_empty());
    fixture.graft(0);
    assert_eq!(fixture.topics_of(0), BTreeSet::from([TOPIC]));
}

//! These tests check the subscriptions of peers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pOutput,
    plain::PlainNetwork,
    protocol::{GraftOutcome, Node, NodeOptions, SubscribeOutcome, Timestamp},
};

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
    let setup = Setup::new().limits(|limits| limits.extensions.keep_joined_subscriptions = false);
    let mut fixture = setup.connected(0..1).joined().start();
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

#[test]
fn subscriptions_to_joined_topics_are_kept_above_the_limit() {
    let mut fixture = Setup::new().connected(0..1).joined().start();
    let (now, cap) = (fixture.now(), fixture.limits.max_topics_per_peer);
    for topic in 1..=cap as u32 {
        fixture.node.subscribe(&0, &topic, now);
    }
    assert_eq!(fixture.node.subscribe(&0, &9999, now), SubscribeOutcome::TopicLimitExceeded);
    assert_eq!(fixture.node.subscribe(&0, &TOPIC, now), SubscribeOutcome::Subscribed);
    assert_eq!(fixture.graft(0), GraftOutcome::Grafted);
    // The joined topic does not count.
    fixture.node.unsubscribe(&0, &1, now);
    assert_eq!(fixture.node.subscribe(&0, &9999, now), SubscribeOutcome::Subscribed);
    assert_eq!(fixture.node.subscribe(&0, &9998, now), SubscribeOutcome::TopicLimitExceeded);
    // One that is left counts.
    fixture.node.leave(&TOPIC, now);
    fixture.node.unsubscribe(&0, &2, now);
    assert_eq!(fixture.node.subscribe(&0, &9998, now), SubscribeOutcome::TopicLimitExceeded);
    fixture.node.unsubscribe(&0, &3, now);
    assert_eq!(fixture.node.subscribe(&0, &9998, now), SubscribeOutcome::Subscribed);
}

/// Passes the outputs of each node to the other until there are none.
fn exchange(nodes: &mut [Node<PlainNetwork>; 2], now: Timestamp) {
    loop {
        let outputs: Vec<_> = nodes.iter_mut().map(|node| node.drain().p2p).collect();
        if outputs.iter().all(Vec::is_empty) {
            return;
        }
        for (from, outputs) in outputs.into_iter().enumerate() {
            for output in outputs {
                let P2pOutput::OutMessage { message, .. } = output else { continue };
                nodes[1 - from].p2p_input(P2pInput::message(from as u64, message), now);
            }
        }
    }
}

#[test]
fn two_nodes_with_default_limits_build_the_meshes_of_5000_topics() {
    const TOPICS: usize = 5_000;
    let mut now = Timestamp::ZERO;
    let mut nodes = [1, 2].map(|seed| {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
        assert!(limits.max_topics_per_peer < TOPICS);
        let options = NodeOptions::default().with(|o| o.seed = seed);
        Node::new(Arc::new(PlainNetwork::new()), limits, options)
    });
    for (index, node) in nodes.iter_mut().enumerate() {
        // Each node subscribes in another order.
        for number in 0..TOPICS {
            node.join(&((number + index * 2_500) % TOPICS).to_string(), now);
        }
        node.p2p_input(P2pInput::connected(1 - index as u64), now);
    }
    for _ in 0..3 {
        exchange(&mut nodes, now);
        now = now.after(Duration::from_secs(1));
        nodes.iter_mut().for_each(|node| drop(node.heartbeat(now)));
    }
    for (index, node) in nodes.iter().enumerate() {
        let mesh = node.view(now).mesh;
        let complete = mesh.values().filter(|peers| peers.contains(&(1 - index as u64))).count();
        assert_eq!(complete, TOPICS, "mesh links of node {index}");
    }
}

//! These tests check what a node does for topics that it has not joined and does not publish to. They count uses of the
//! names of topics.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix_gossipsub::{
    FullMessage, P2pMessage, P2pOutput,
    protocol::{
        GraftOutcome, IHaveOutcome, JoinOutcome, LeaveOutcome, PruneOutcome, ReceiveOutcome, Timestamp,
        UnsubscribeOutcome, ValidationMode,
    },
};
use testkit::counted::CountedNetwork;

use super::counted::CountedNode;

#[test]
fn a_heartbeat_does_nothing_for_topics_that_only_peers_subscribe_to() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    counted.subscribe_all(10, 1000);
    for tick in 1..=100 {
        assert_eq!(counted.heartbeat(), 0, "heartbeat {tick}");
    }
    let footprint = counted.node.footprint();
    assert_eq!((footprint.topics, footprint.subscribers, footprint.subscriptions), (0, 0, 10_000));
    assert!(counted.node.view(counted.now).connections.values().all(|it| it.topics.len() == 1000));
}

/// The work of a heartbeat for joined topics does not depend on the number of others.
#[test]
fn a_heartbeat_visits_joined_topics_only() {
    let uses = |topics| {
        let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
        counted.subscribe_all(2, topics);
        for topic in [0, 1] {
            let topic = counted.topic(topic);
            counted.node.join(&topic, counted.now);
        }
        counted.node.drain();
        (1..=20).map(|_| counted.heartbeat()).sum::<u64>()
    };
    // The maps have random hash keys, so a lookup may compare a name more or less.
    let (few, many): (u64, u64) = (uses(2), uses(1000));
    assert!(many.abs_diff(few) < few / 10, "{few} uses of names with 2 topics, {many} with 1000");
}

#[test]
fn the_backoff_of_a_refused_graft_is_remembered_until_it_ends() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |limits| {
        limits.bounds.max_idle_topics = 5;
        limits.extensions.ignore_unknown_grafts = false;
    });
    counted.subscribe_all(2, 20);
    let grafting = counted.peer(0);
    for topic in 0..20 {
        let topic = counted.topic(topic);
        let outcome = counted.node.graft(&grafting, &topic, counted.now);
        assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
    }
    let prunes = counted.node.drain().p2p.into_iter();
    let is_prune =
        |it: &P2pOutput<_>| matches!(it, P2pOutput::OutMessage { message: P2pMessage::Prune { .. }, .. });
    assert_eq!(prunes.filter(is_prune).count(), 20, "each GRAFT is answered");
    let footprint = counted.node.footprint();
    assert_eq!((footprint.topics, footprint.backoffs), (5, 5));

    // A peer with a backoff is not grafted when the topic is joined.
    let joined = counted.topic(0);
    let JoinOutcome::Joined { to_graft } = counted.node.join(&joined, counted.now) else { panic!("joined") };
    assert_eq!(to_graft, [counted.peer(1)]);
    let view = counted.node.view(counted.now);
    assert!(view.backoff[&joined].contains_key(&grafting));
    assert_eq!(view.backoff.values().map(|of_topic| of_topic.len()).sum::<usize>(), 5);
    counted.node.leave(&joined, counted.now);

    while counted.node.footprint().backoffs > 0 {
        counted.heartbeat();
        assert!(counted.now < Timestamp::ZERO.after(Duration::from_secs(120)), "the backoffs end");
    }
    assert_eq!(counted.node.footprint().topics, 0);
    assert_eq!(counted.heartbeat(), 0);
}

/// B12. A GRAFT of a topic that was never joined is no reason to send or to remember anything.
#[test]
fn a_graft_of_an_unknown_topic_is_ignored() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    counted.subscribe_all(2, 20);
    let (grafting, unconnected) = (counted.peer(0), counted.peer(99));
    counted.node.drain();
    let before = counted.node.footprint();
    for topic in 0..20 {
        let topic = counted.topic(topic);
        for peer in [&grafting, &unconnected] {
            let outcome = counted.node.graft(peer, &topic, counted.now);
            assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
        }
    }
    assert!(counted.node.drain().p2p.is_empty(), "a GRAFT is answered");
    assert_eq!(counted.node.footprint(), before);
    // So a peer that grafted too early is grafted when the topic is joined.
    let joined = counted.topic(0);
    let JoinOutcome::Joined { to_graft } = counted.node.join(&joined, counted.now) else { panic!("joined") };
    assert_eq!(to_graft, [grafting, counted.peer(1)]);
}

/// The subscribers of a topic are known again when it is joined, after it was passive for a while.
#[test]
fn a_topic_that_becomes_active_has_its_subscribers() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    counted.subscribe_all(4, 3);
    let (topic, gone, unsubscribed) = (counted.topic(1), counted.peer(0), counted.peer(1));
    for _ in 0..2 {
        counted.node.join(&topic, counted.now);
        counted.node.leave(&topic, counted.now);
        // The backoffs of the leave end.
        (0..120).for_each(|_| _ = counted.heartbeat());
        assert_eq!(counted.node.footprint().topics, 0);
    }
    counted.node.remove_peer(&gone, counted.now);
    let outcome = counted.node.unsubscribe(&unsubscribed, &topic, counted.now);
    assert_eq!(outcome, UnsubscribeOutcome::Unsubscribed);
    let JoinOutcome::Joined { mut to_graft } = counted.node.join(&topic, counted.now) else {
        panic!("joined")
    };
    to_graft.sort();
    assert_eq!(to_graft, [counted.peer(2), counted.peer(3)]);
}

/// What peers send about a topic that nobody here has joined has its outcome, and leaves nothing.
#[test]
fn messages_about_a_topic_that_nobody_joined_store_nothing() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    let (peer, unconnected, topic) = (counted.connect(0), counted.peer(99), counted.topic(7));
    let before = counted.node.footprint();
    let now = counted.now;
    let node = &mut counted.node;
    assert_eq!(node.prune(&peer, &topic, Vec::new(), Duration::MAX, now), PruneOutcome::TopicNotTracked);
    assert_eq!(node.leave(&topic, now), LeaveOutcome::NotJoined);
    assert_eq!(node.graft(&unconnected, &topic, now), GraftOutcome::UnsubscribedTopic);
    assert_eq!(node.unsubscribe(&peer, &topic, now), UnsubscribeOutcome::Unsubscribed);
    let message = Arc::new(FullMessage { topic: topic.clone(), message_id: 1, message: () });
    let received = node.receive_message(&peer, message, ValidationMode::Sequential, now);
    assert_eq!(received, ReceiveOutcome::NotSubscribed);
    assert_eq!(node.ihave(&peer, &topic, vec![1], now), IHaveOutcome::TopicNotTracked);
    let mut after = node.footprint();
    assert_eq!(after.heartbeat_quotas, 1);
    after.heartbeat_quotas = 0;
    assert_eq!(after, before);
    assert_eq!(counted.network.judged_ids.load(Relaxed), 0);
}

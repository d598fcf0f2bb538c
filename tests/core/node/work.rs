//! These tests check that work that peers can cause is bounded. They count uses of the names of peers and calls of hooks.

use std::sync::atomic::Ordering::Relaxed;

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    limits::Extensions,
    protocol::{IHaveOutcome, PublishOutcome, Timestamp},
};
use testkit::counted::CountedNetwork;

use super::counted::CountedNode;

/// A leave prunes the whole mesh and offers peers to each of them. It gathers the subscribers once.
#[test]
fn the_peers_to_offer_are_gathered_once_for_all_prunes() {
    const SUBSCRIBERS: u64 = 1000;
    let mut counted = CountedNode::new(CountedNetwork::default(), |limits| {
        limits.do_px = true;
        (limits.degree_low, limits.degree_optimal, limits.degree_high) = (100, 100, 100);
        (limits.degree_score, limits.degree_out) = (0, 0);
        limits.peers_to_px = 3;
    });
    counted.subscribe_all(SUBSCRIBERS, 1);
    let topic = counted.topic(0);
    counted.node.join(&topic, counted.now);
    counted.node.drain();
    let before = counted.peer_uses.load(Relaxed);
    counted.node.leave(&topic, counted.now);
    let uses = counted.peer_uses.load(Relaxed) - before;
    let mut prunes = 0;
    for output in counted.node.drain().p2p {
        if let P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { px, .. } } = output {
            prunes += 1;
            assert_eq!(px.len(), 3);
            assert!(px.iter().all(|offered| offered.peer != to_peer), "a peer is not offered to itself");
        }
    }
    assert_eq!(prunes, 100);
    // To gather and sort the subscribers takes less than 40 uses of each, and UNSUBSCRIBE one.
    assert!(uses < 100 * SUBSCRIBERS, "{uses} uses of peers for {prunes} prunes");
}

/// A publication that goes to some of the subscribers beyond the mesh looks at a sample of them.
#[test]
fn a_publication_takes_time_for_its_recipients_and_not_for_all_subscribers() {
    let publication = |subscribers, flood| {
        let mut counted = CountedNode::new(CountedNetwork::default(), |limits| {
            limits.extensions.graft_on_subscribe = false;
            limits.extensions.flood_publish_bytes_per_second = flood;
        });
        let topic = counted.topic(0);
        counted.node.join(&topic, counted.now);
        counted.subscribe_all(subscribers, 1);
        counted.node.drain();
        let before = counted.peer_uses.load(Relaxed);
        let PublishOutcome::Published { to } = counted.node.publish(counted.message(0, 1), counted.now)
        else {
            panic!("the message is new")
        };
        (to.len(), counted.peer_uses.load(Relaxed) - before)
    };
    for flood in [0, 1000] {
        let ((few, few_uses), (many, many_uses)) = (publication(1000, flood), publication(20_000, flood));
        assert_eq!(few, many);
        assert!(if flood == 0 { few == 6 } else { (20..200).contains(&few) }, "{few} recipients");
        // To gather, sort and send takes less than 50 uses of each peer in the sample.
        assert!(
            many_uses < 2 * few_uses && many_uses < 50 * (2 * many as u64 + 8),
            "{few_uses}, {many_uses}"
        );
    }
}

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

/// D18. A disconnection concerns the topics that this node has, not all those that the peer is subscribed to.
#[test]
fn a_disconnection_takes_time_for_our_topics_only() {
    let disconnection = |subscriptions, joined: u64| {
        let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
        counted.subscribe_all(2, subscriptions);
        for topic in 0..joined {
            let topic = counted.topic(topic);
            counted.node.join(&topic, counted.now);
        }
        counted.node.drain();
        let (peer, before) = (counted.peer(0), counted.topic_uses.load(Relaxed));
        counted.node.remove_peer(&peer, counted.now);
        let uses = counted.topic_uses.load(Relaxed) - before;
        let view = counted.node.view(counted.now);
        assert!(view.mesh.values().all(|mesh| !mesh.contains(&peer)), "the peer is in no mesh");
        assert_eq!(counted.node.footprint().subscribers as u64, joined, "the other peer");
        uses
    };
    assert_eq!(disconnection(1000, 0), 0);
    let (few, many) = (disconnection(10, 2), disconnection(1000, 2));
    // A search among a thousand names compares some more of them.
    assert!(many < few + 2 * 20, "{few} uses of names with 10 subscriptions, {many} with 1000");
}

/// A topic that has messages only, because it was left, forgets the connections too.
#[test]
fn a_disconnection_reaches_topics_that_were_left() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    counted.subscribe_all(2, 1);
    let (topic, peer) = (counted.topic(0), counted.peer(0));
    counted.node.join(&topic, counted.now);
    counted.node.publish(counted.message(0, 1), counted.now);
    counted.node.leave(&topic, counted.now);
    assert_eq!(counted.node.footprint().subscribers, 2);
    counted.node.remove_peer(&peer, counted.now);
    assert_eq!(counted.node.footprint().subscribers, 1);
}

/// D18. A peer that offers messages and does not send them is ignored soon after the time in which it must send them, not after
/// one promise at a time.
#[test]
fn a_peer_that_breaks_promises_is_ignored_at_the_next_heartbeat() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |_| {});
    let (peer, topic) = (counted.connect(0), counted.topic(0));
    counted.node.join(&topic, counted.now);
    // As many IHAVEs as are accepted within a heartbeat.
    let offer = |counted: &mut CountedNode, id: u64| {
        let outcomes = (0..10).map(|n| counted.node.ihave(&peer, &topic, vec![id + n], counted.now));
        outcomes.filter(|outcome| matches!(outcome, IHaveOutcome::Requested { .. })).count()
    };
    let mut heartbeats = 0;
    while offer(&mut counted, 1000 * (heartbeats + 1)) > 0 {
        assert!(counted.now < Timestamp::ZERO.after(std::time::Duration::from_secs(60)));
        counted.heartbeat();
        heartbeats += 1;
    }
    assert_eq!(heartbeats, 3, "the first ones are due after iwant_followup_time");
    assert!(counted.node.view(counted.now).scores[&peer].behaviour_penalty >= 10.0);
}

/// The promises of some peers do not use up the limit of a topic.
#[test]
fn a_first_promise_is_tracked_while_others_have_many() {
    let mut counted = CountedNode::new(CountedNetwork::default(), |limits| {
        limits.bounds.max_promises_per_topic = 20;
    });
    let topic = counted.topic(0);
    counted.node.join(&topic, counted.now);
    let (one, other) = (counted.connect(0), counted.connect(1));
    let promises = |counted: &mut CountedNode, peer: &_, ids: std::ops::Range<u64>| {
        for id in ids {
            counted.node.ihave(peer, &topic, vec![id], counted.now);
            if id % 10 == 9 {
                counted.node.heartbeat(counted.now);
            }
        }
        counted.node.footprint().promises
    };
    assert_eq!(promises(&mut counted, &one, 0..50), 10, "half of the limit");
    assert_eq!(promises(&mut counted, &other, 50..51), 11);
    // A message fulfils all its promises, of any peer.
    counted.receive(&one, 0, 50);
    counted.receive(&other, 0, 3);
    assert_eq!(counted.node.footprint().promises, 9);
    for _ in 0..4 {
        counted.heartbeat();
    }
    assert_eq!(counted.node.footprint().promises, 0);
    let penalty = |peer| counted.node.view(counted.now).scores[peer].behaviour_penalty;
    assert_eq!(penalty(&other), 0.0);
    let broken = penalty(&one);
    assert!((8.9..=9.0).contains(&broken), "{broken}");
}

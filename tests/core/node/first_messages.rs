//! These tests check what reaches a peer before the next heartbeat: the GRAFT of a new subscriber, and a publication beyond a
//! small mesh or fanout. The reference waits for the heartbeat (A10).

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput,
    limits::{Extensions, LimitsConfig},
    protocol::{PublishOutcome, ReceiveOutcome, SubscribeOutcome, ValidationMode},
};

use super::setup::{Fixture, MANY, SECOND, Setup, TOPIC, full};

/// Changes of the limits in which each of the extensions is off unless the test enables it.
fn with(change: impl FnOnce(&mut Extensions)) -> impl FnOnce(&mut LimitsConfig<u32>) {
    |limits| change(&mut limits.extensions)
}

fn grafting() -> Setup {
    Setup::new().limits(with(|extensions| extensions.graft_on_subscribe = true))
}

fn reaching() -> Setup {
    Setup::new().limits(with(|extensions| extensions.publish_reaches_degree_optimal = true))
}

fn flooding(bytes_per_second: usize) -> Setup {
    Setup::new().limits(with(|extensions| extensions.flood_publish_bytes_per_second = bytes_per_second))
}

fn subscribe(fixture: &mut Fixture, peer: u32) -> SubscribeOutcome {
    let now = fixture.now();
    fixture.node.subscribe(&peer, &TOPIC, now)
}

/// The kinds of the messages that are sent, with their recipients, in order.
fn sent(fixture: &mut Fixture) -> Vec<(u32, &'static str)> {
    let kind = |output| match output {
        P2pOutput::OutMessage { to_peer, message } => match message {
            P2pMessage::Subscribe { .. } => Some((to_peer, "SUBSCRIBE")),
            P2pMessage::Graft { .. } => Some((to_peer, "GRAFT")),
            P2pMessage::IHave { .. } => Some((to_peer, "IHAVE")),
            P2pMessage::FullMessage(_) => Some((to_peer, "message")),
            _ => None,
        },
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(kind).collect()
}

// === GRAFT on SUBSCRIBE ===

/// Case 20.
#[test]
fn a_new_subscriber_is_grafted_at_once_and_after_our_subscribe() {
    let mut fixture = grafting().joined().start();
    fixture.connect(7, ConnectionInfo::inbound());
    assert_eq!(subscribe(&mut fixture, 7), SubscribeOutcome::Grafted);
    assert_eq!(sent(&mut fixture), [(7, "SUBSCRIBE"), (7, "GRAFT")]);
    assert_eq!(fixture.mesh(), BTreeSet::from([7]));
    assert!(fixture.view().scores[&7].topics[&TOPIC].mesh.is_some(), "its time in the mesh (P1) counts");
    assert_eq!(subscribe(&mut fixture, 7), SubscribeOutcome::Subscribed, "it is no new subscriber");

    // The peer may know of the topic only when we join.
    let mut fixture = grafting().connected(0..1).start();
    assert_eq!(subscribe(&mut fixture, 0), SubscribeOutcome::Subscribed);
    assert_eq!(fixture.node.footprint().topics, 0, "a passive topic has no state");
    fixture.join();
    assert_eq!(sent(&mut fixture), [(0, "SUBSCRIBE"), (0, "GRAFT")]);
}

#[test]
fn a_new_subscriber_waits_for_the_heartbeat_in_the_reference() {
    let mut fixture = Setup::new().connected(0..1).joined().start();
    assert_eq!(subscribe(&mut fixture, 0), SubscribeOutcome::Subscribed);
    assert!(fixture.mesh().is_empty());
    assert_eq!(fixture.next_heartbeat(), 1);
}

/// Case 20, the refusals.
#[test]
fn a_subscriber_that_a_heartbeat_would_not_graft_is_not_grafted() {
    let mut fixture = grafting().connected(0..8).joined().start();
    fixture.connect(100, ConnectionInfo::inbound().direct());
    assert_eq!(subscribe(&mut fixture, 100), SubscribeOutcome::Subscribed);

    fixture.set_application_score(0, -1.0);
    assert_eq!(subscribe(&mut fixture, 0), SubscribeOutcome::Subscribed);
    fixture.set_application_score(1, -1e6);
    assert_eq!(subscribe(&mut fixture, 1), SubscribeOutcome::Graylisted);

    // 2 has a backoff, and is not grafted by a new connection either.
    assert_eq!(subscribe(&mut fixture, 2), SubscribeOutcome::Grafted);
    fixture.prune(2, fixture.limits.prune_backoff);
    fixture.node.remove_peer(&2, fixture.now());
    fixture.connect(2, ConnectionInfo::inbound());
    assert_eq!(subscribe(&mut fixture, 2), SubscribeOutcome::Subscribed);
    assert!(fixture.mesh().is_empty());
}

/// Case 20: a mesh of D peers stays as it is.
#[test]
fn subscribers_are_grafted_until_the_mesh_has_d_peers() {
    let mut fixture = grafting().connected(MANY).joined().start();
    let grafted = MANY.filter(|peer| subscribe(&mut fixture, *peer) == SubscribeOutcome::Grafted);
    assert_eq!(grafted.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(fixture.mesh().len(), fixture.limits.degree_optimal);
    let grafts = sent(&mut fixture).into_iter().filter(|(_, kind)| *kind == "GRAFT");
    assert_eq!(grafts.map(|(peer, _)| peer).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_peer_that_subscribes_again_and_again_is_grafted_once_a_heartbeat() {
    let mut fixture = grafting().connected(0..1).joined().start();
    let churn = |fixture: &mut Fixture| {
        let mut grafts = 0;
        for _ in 0..1000 {
            grafts += usize::from(subscribe(fixture, 0) == SubscribeOutcome::Grafted);
            let now = fixture.now();
            fixture.node.unsubscribe(&0, &TOPIC, now);
        }
        let sent = sent(fixture).into_iter().filter(|(_, kind)| *kind == "GRAFT").count();
        (grafts, sent)
    };
    assert_eq!(churn(&mut fixture), (1, 1));
    fixture.next_heartbeat();
    assert_eq!(churn(&mut fixture), (1, 1));
    // Another connection is another peer's.
    fixture.node.remove_peer(&0, fixture.now());
    fixture.connect(0, ConnectionInfo::inbound());
    assert_eq!(subscribe(&mut fixture, 0), SubscribeOutcome::Grafted);
}

// === Publications beyond the mesh ===

/// Case 21.
#[test]
fn a_publication_reaches_d_subscribers_beyond_a_small_mesh() {
    for (setup, receivers) in [(Setup::new(), 1), (reaching(), 6)] {
        let mut fixture = setup.connected(0..10).joined().start();
        (0..10).for_each(|peer| fixture.subscribe(peer));
        fixture.graft(3);
        assert_eq!(fixture.mesh(), BTreeSet::from([3]));
        let mut reached = BTreeSet::new();
        for id in 0..100 {
            let to = fixture.publish(id);
            assert_eq!(to.len(), receivers);
            assert!(to.is_sorted() && to.contains(&3));
            let full = |fixture: &mut Fixture| -> Vec<u32> {
                let sent = sent(fixture).into_iter().filter(|(_, kind)| *kind == "message");
                sent.map(|(peer, _)| peer).collect()
            };
            assert_eq!(full(&mut fixture), to);
            reached.extend(to);
        }
        let all = if receivers == 1 { BTreeSet::from([3]) } else { (0..10).collect() };
        assert_eq!(reached, all, "the choice is random");
        assert_eq!(fixture.mesh(), BTreeSet::from([3]), "the mesh is as before");
    }
}

#[test]
fn a_publication_goes_beyond_the_mesh_only_to_those_that_may_be_sent_it() {
    let large = |limits: &mut LimitsConfig<u32>| limits.publish_threshold = -1.0;
    let mut fixture = reaching().limits(large).connected(0..9).joined().start();
    fixture.connect(9, ConnectionInfo::inbound().bootstrap());
    (0..10).for_each(|peer| fixture.subscribe(peer));
    fixture.set_message_size(2000);
    // These are below the publish threshold, one has a score that is low enough not to be in a mesh.
    [0, 1].into_iter().for_each(|peer| fixture.set_application_score(peer, -2.0));
    fixture.set_application_score(2, -0.05);
    // These decline the message.
    [3, 4].into_iter().for_each(|peer| _ = fixture.idontwant(peer, 0..1));
    assert_eq!(fixture.publish(0), [2, 5, 6, 7, 8]);
    assert_eq!(fixture.publish(1).len(), 6);
}

#[test]
fn a_publication_goes_beyond_the_mesh_to_none_that_has_sent_the_message() {
    let mut fixture = reaching().connected(0..4).joined().start();
    (0..4).for_each(|peer| fixture.subscribe(peer));
    // The copy awaits the verdict on its batch.
    let (now, copy) = (fixture.now(), Arc::new(full(1)));
    let outcome = fixture.node.receive_message(&2, copy, ValidationMode::Batched, now);
    assert_eq!(outcome, ReceiveOutcome::Batched);
    assert_eq!(fixture.publish(1), [0, 1, 3]);
}

/// Of many subscribers a sample is looked at.
#[test]
fn a_publication_finds_d_of_many_subscribers() {
    let mut fixture = reaching().connected(0..5000).joined().start();
    (0..5000).for_each(|peer| fixture.subscribe(peer));
    (0..5).for_each(|peer| _ = fixture.graft(peer));
    let reached: BTreeSet<u32> = (0..200).flat_map(|id| fixture.publish(id)).collect();
    assert!(reached.len() > 150, "{} peers", reached.len());
    (200..400).for_each(|id| assert_eq!(fixture.publish(id).len(), 6));
}

/// Case 23. Before the heartbeat a publication goes to others, and the heartbeat tops up the fanout.
#[test]
fn a_fanout_is_topped_up_and_forgotten_after_its_time() {
    let mut fixture = reaching().connected(0..8).subscribed().start();
    let first: BTreeSet<u32> = fixture.publish(0).into_iter().collect();
    assert_eq!((first.len(), &first), (6, &fixture.fanout()));
    let leaver = *first.first().unwrap();
    fixture.node.unsubscribe(&leaver, &TOPIC, fixture.now());
    assert_eq!(fixture.fanout().len(), 5);
    assert_eq!(fixture.publish(1).len(), 6, "one more subscriber is sent the message");
    fixture.next_heartbeat();
    assert_eq!(fixture.fanout().len(), 6);
    assert!(!fixture.fanout().contains(&leaver));
    fixture.advance(fixture.limits.fanout_ttl);
    fixture.next_heartbeat();
    assert!(fixture.fanout().is_empty());
}

/// A fanout whose peers have all left is filled by the next heartbeat. What is published before goes to other subscribers.
#[test]
fn a_publication_on_a_topic_with_an_empty_fanout_is_not_lost() {
    let mut fixture = reaching().connected(0..2).start();
    fixture.subscribe(0);
    assert_eq!(fixture.publish(0), [0]);
    fixture.node.remove_peer(&0, fixture.now());
    fixture.subscribe(1);
    assert_eq!((fixture.fanout(), fixture.publish(1)), (BTreeSet::new(), vec![1]));
}

/// Case 24. [`joining_takes_the_fanout_into_the_mesh`](super::mesh) has the rest.
#[test]
fn a_fanout_peer_with_a_backoff_or_a_negative_score_is_not_taken_into_the_mesh() {
    let threshold = |limits: &mut LimitsConfig<u32>| limits.publish_threshold = -5.0;
    let mut fixture = Setup::new().limits(threshold).connected(0..4).subscribed().joined().start();
    fixture.prune(0, fixture.limits.prune_backoff);
    fixture.leave();
    fixture.advance(2 * fixture.limits.unsubscribe_backoff);
    // The backoffs of the leave are removed, and that of the PRUNE is not.
    (0..fixture.limits.backoff_cleanup_ticks).for_each(|_| _ = fixture.next_heartbeat());
    fixture.set_application_score(1, -0.1);
    assert_eq!(fixture.publish(0), [0, 1, 2, 3]);
    assert_eq!(fixture.fanout(), BTreeSet::from([0, 1, 2, 3]));
    assert_eq!(fixture.join(), BTreeSet::from([2, 3]));
}

// === Flood publishing ===

/// Case 22.
#[test]
fn a_publication_goes_to_all_subscribers_above_the_publish_threshold() {
    for joined in [true, false] {
        let mut fixture = flooding(1 << 20).connected(MANY).subscribed().start();
        if joined {
            fixture.join();
        }
        fixture.set_application_score(7, -1.0);
        fixture.heartbeat();
        let all: Vec<u32> = MANY.filter(|peer| *peer != 7).collect();
        assert_eq!(fixture.publish(0), all);
        // A message of a peer goes to the mesh only.
        if let ReceiveOutcome::Route { to } = fixture.deliver(3, 1) {
            assert!(to.len() <= fixture.limits.degree_optimal);
        }
    }
}

#[test]
fn flood_publishing_keeps_to_its_bytes_per_second() {
    let mut fixture = flooding(10_000).connected(MANY).subscribed().joined().start();
    let mesh = fixture.mesh();
    // With the id and the topic it is somewhat more.
    fixture.set_message_size(1900);
    let to = fixture.publish(0);
    assert_eq!(to.len(), mesh.len() + 5, "10,000 bytes beyond the mesh in a heartbeat of 1 s");
    assert!(mesh.iter().all(|peer| to.contains(peer)));
    assert_eq!(fixture.publish(1).len(), mesh.len(), "nothing is left in this heartbeat");
    fixture.next_heartbeat();
    assert_eq!(fixture.publish(2).len(), fixture.mesh().len() + 5);
    fixture.next_heartbeat();
    fixture.set_message_size(100_000);
    assert_eq!(fixture.publish(3).len(), fixture.mesh().len(), "one copy is too much");
}

// === A minimum of peers ===

#[test]
fn a_publication_to_too_few_peers_is_not_published() {
    let mut fixture = reaching().connected(0..3).joined().start();
    (0..2).for_each(|peer| fixture.subscribe(peer));
    let now = fixture.now();
    let outcome = fixture.node.publish_to_at_least(3, full(1), now);
    assert_eq!(outcome, PublishOutcome::TooFewPeers { peers: 2 });
    assert!(!fixture.is_cached(1));
    assert!(sent(&mut fixture).iter().all(|(_, kind)| *kind != "message"));
    fixture.subscribe(2);
    assert_eq!(
        fixture.node.publish_to_at_least(3, full(1), now),
        PublishOutcome::Published { to: vec![0, 1, 2] }
    );
    assert_eq!(fixture.node.publish_to_at_least(3, full(1), now), PublishOutcome::AlreadyPublished);
}

// === Offers ===

#[test]
fn a_publication_to_few_peers_is_offered_to_those_that_subscribe_later() {
    for joined in [true, false] {
        let mut fixture = reaching().connected(0..10).start();
        if joined {
            fixture.join();
        }
        fixture.subscribe(0);
        fixture.publish(1);
        sent(&mut fixture);
        fixture.set_application_score(9, -1.0);
        let offered = [9, 1, 2, 3].map(|peer| {
            fixture.subscribe(peer);
            sent(&mut fixture)
        });
        assert_eq!(offered, [vec![], vec![(1, "IHAVE")], vec![(2, "IHAVE")], vec![(3, "IHAVE")]]);
        assert!(matches!(fixture.iwant(1, 1), actix_gossipsub::protocol::IWantAnswer::Message(_)));
        sent(&mut fixture);
        // With these it is offered or sent to D peers.
        let offered = [4, 5, 6, 7].map(|peer| {
            fixture.subscribe(peer);
            sent(&mut fixture).len()
        });
        assert_eq!(offered, [1, 1, 0, 0]);
    }
}

#[test]
fn a_peer_that_subscribes_again_and_again_is_offered_a_publication_once() {
    let mut fixture = reaching().connected(0..2).joined().start();
    fixture.publish(1);
    sent(&mut fixture);
    for _ in 0..20 {
        subscribe(&mut fixture, 0);
        let now = fixture.now();
        fixture.node.unsubscribe(&0, &TOPIC, now);
    }
    assert_eq!(sent(&mut fixture), [(0, "IHAVE")]);
    subscribe(&mut fixture, 1);
    assert_eq!(sent(&mut fixture), [(1, "IHAVE")], "the other one took no place of this one");
}

/// Bootstrap peers are sent no messages, so they do not count for D.
#[test]
fn a_publication_reaches_subscribers_although_the_mesh_is_full_of_bootstrap_peers() {
    let mut fixture = reaching().joined().start();
    for peer in 0..6 {
        let mut info = ConnectionInfo::inbound();
        info.kind.bootstrap = true;
        fixture.connect(peer, info);
        subscribe(&mut fixture, peer);
        fixture.graft(peer);
    }
    fixture.connect(7, ConnectionInfo::inbound());
    subscribe(&mut fixture, 7);
    sent(&mut fixture);
    fixture.publish(1);
    assert_eq!(sent(&mut fixture), [(7, "message")]);
}

#[test]
fn a_publication_is_offered_as_long_as_it_is_gossiped() {
    let mut fixture = reaching().connected(0..10).joined().start();
    fixture.publish(1);
    (1..fixture.limits.history_gossip_length).for_each(|_| _ = fixture.next_heartbeat());
    sent(&mut fixture);
    fixture.subscribe(0);
    assert_eq!(sent(&mut fixture), [(0, "IHAVE")]);
    fixture.next_heartbeat();
    sent(&mut fixture);
    fixture.subscribe(1);
    assert_eq!(sent(&mut fixture), []);
    // At most 64 ids, the latest.
    (1000..1100).for_each(|id| _ = fixture.publish(id));
    sent(&mut fixture);
    fixture.subscribe(2);
    let ids = fixture.node.drain().p2p.into_iter().find_map(|output| match output {
        P2pOutput::OutMessage { message: P2pMessage::IHave { message_ids, .. }, .. } => Some(message_ids),
        _ => None,
    });
    assert_eq!(ids, Some((1036..1100).collect()));
}

// === A verdict does not prevent a publication ===

/// Case 33 (go#719).
#[test]
fn a_message_that_was_ignored_can_be_published() {
    let mut fixture = Setup::new().connected(0..3).subscribed().joined().start();
    fixture.make_all_messages_outdated();
    assert_eq!(fixture.deliver(0, 1), ReceiveOutcome::Outdated);
    fixture.advance(SECOND);
    assert_eq!(fixture.publish(1), [0, 1, 2]);
}

//! These tests check how a mesh changes on join, leave, GRAFT and PRUNE.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{
    ConnectionInfo, P2pMessage, P2pOutput, limits::TopicScoreLimits, protocol::GraftOutcome,
};

use super::setup::{Fixture, MANY, SECOND, Setup, TOPIC};

/// The peers that are sent a PRUNE, each once for each PRUNE.
fn pruned(fixture: &mut Fixture) -> Vec<u32> {
    let prune = |output| match output {
        P2pOutput::OutMessage { to_peer, message: P2pMessage::Prune { .. } } => Some(to_peer),
        _ => None,
    };
    fixture.node.drain().p2p.into_iter().filter_map(prune).collect()
}

#[test]
fn joining_grafts_d_peers_and_others_after_a_leave() {
    let mut fixture = Setup::new().connected(MANY).subscribed().start();
    let first = fixture.join();
    assert_eq!((first.len(), &first), (fixture.limits.degree_optimal, &fixture.mesh()));

    fixture.leave();
    assert!(fixture.mesh().is_empty());

    let second = fixture.join();
    assert_eq!((second.len(), &second), (fixture.limits.degree_optimal, &fixture.mesh()));
    assert!(first.is_disjoint(&second), "the peers of the first mesh are backed off");
}

#[test]
fn joining_takes_the_fanout_into_the_mesh() {
    let mut fixture = Setup::new().connected(0..3).subscribed().start();
    fixture.publish(0);
    let fanout = fixture.fanout();
    assert_eq!(fanout, BTreeSet::from([0, 1, 2]));

    for peer in 3..MANY.end {
        fixture.connect(peer, ConnectionInfo::inbound());
        fixture.subscribe(peer);
    }
    let to_graft = fixture.join();
    assert_eq!((to_graft.len(), &to_graft), (fixture.limits.degree_optimal, &fixture.mesh()));
    assert!(fanout.is_subset(&to_graft));
    assert!(!fixture.view().fanout.contains_key(&TOPIC));
}

#[test]
fn a_graft_on_an_unknown_topic_is_not_accepted() {
    let mut fixture = Setup::new().connected(0..1).start();
    assert_eq!(fixture.graft(0), GraftOutcome::UnsubscribedTopic);
}

#[test]
fn a_graft_on_another_topic_does_not_change_the_mesh() {
    let mut fixture = Setup::new().connected(MANY).subscribed().joined().start();
    fixture.connect(26, ConnectionInfo::inbound());
    fixture.subscribe(26);
    let outcome = fixture.node.graft(&26, &7, fixture.now());
    assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
    assert!(!fixture.mesh().contains(&26));
}

#[test]
fn a_pruned_peer_with_a_backoff_of_zero_may_graft_again() {
    let mut fixture = Setup::new().connected(MANY).subscribed().joined().start();
    fixture.prune(7, Duration::ZERO);
    assert!(!fixture.mesh().contains(&7));
    fixture.graft(7);
    assert!(fixture.mesh().contains(&7));
}

#[test]
fn a_prune_takes_the_peer_out_of_the_mesh() {
    let mut fixture = Setup::new().connected(MANY).subscribed().joined().start();
    fixture.graft(7);
    assert!(fixture.mesh().contains(&7));
    fixture.prune(7, fixture.limits.prune_backoff);
    assert!(!fixture.mesh().contains(&7));
}

/// Case 26.
#[test]
fn a_full_mesh_accepts_grafts_of_outbound_peers_only() {
    let mut fixture = Setup::new().connected(0..12).subscribed().joined().start();
    fixture.graft_all(0..12);
    assert_eq!(fixture.mesh().len(), fixture.limits.degree_high);

    fixture.connect(99, ConnectionInfo::inbound());
    fixture.connect(98, ConnectionInfo::outbound());
    assert_eq!(fixture.graft(99), GraftOutcome::MeshFull);
    assert_eq!(fixture.graft(98), GraftOutcome::Grafted);
    assert!(!fixture.mesh().contains(&99) && fixture.mesh().contains(&98));
}

/// B12. GRAFTs that cross our own join or leave are ignored too: the backoffs of a leave remain what peers were sent.
#[test]
fn grafts_around_a_leave_do_not_change_its_backoffs() {
    let mut fixture = Setup::new().connected(0..8).subscribed().joined().start();
    let mesh = fixture.mesh();
    let (member, other) = (*mesh.first().unwrap(), (0..8).find(|peer| !mesh.contains(peer)).unwrap());
    fixture.leave();
    assert_eq!(BTreeSet::from_iter(pruned(&mut fixture)), mesh);
    let backoffs = fixture.view().backoff;
    assert!(backoffs[&TOPIC].keys().eq(&mesh));

    fixture.advance(SECOND);
    for peer in [member, other] {
        assert_eq!(fixture.graft(peer), GraftOutcome::UnsubscribedTopic);
    }
    assert_eq!((pruned(&mut fixture), fixture.view().backoff), (vec![], backoffs));

    // After the next join those of the former mesh are backed off, and the others are not.
    assert_eq!(fixture.join(), BTreeSet::from_iter((0..8).filter(|peer| !mesh.contains(peer))));
    assert_eq!(fixture.graft(member), GraftOutcome::BackedOff);
    assert!(fixture.score(member) < 0.0, "a GRAFT within the backoff of a leave is penalised");
    fixture.advance(fixture.limits.prune_backoff);
    let patient = *mesh.last().unwrap();
    assert_eq!(fixture.graft(patient), GraftOutcome::Grafted);
}

/// D5. Each GRAFT within a backoff is penalised, but not answered.
#[test]
fn a_flood_of_grafts_is_answered_by_one_prune_a_heartbeat() {
    let flood = |one_prune_per_heartbeat| {
        let mut fixture = Setup::new()
            .limits(|limits| {
                limits.extensions.one_prune_per_heartbeat = one_prune_per_heartbeat;
                // Otherwise all but the first of them are dropped.
                limits.extensions.graylist_threshold = None;
                limits.extensions.disconnect_threshold = None;
            })
            .connected(0..8)
            .subscribed()
            .joined()
            .start();
        fixture.prune(7, fixture.limits.prune_backoff);
        fixture.node.drain();
        (0..10_000).for_each(|_| assert_eq!(fixture.graft(7), GraftOutcome::BackedOff));
        let prunes = pruned(&mut fixture).len();
        let penalty = fixture.view().scores[&7].behaviour_penalty;
        fixture.next_heartbeat();
        fixture.node.drain();
        (0..10_000).for_each(|_| _ = fixture.graft(7));
        (prunes, pruned(&mut fixture), penalty)
    };
    let (prunes, next, penalty) = flood(true);
    assert_eq!((prunes, next), (1, vec![7]));
    let (prunes, next, expected) = flood(false);
    assert_eq!((prunes, next.len()), (10_000, 10_000), "the reference answers each");
    assert_eq!(penalty, expected);
    assert_eq!(penalty, 20_000.0, "each counts twice within the flood threshold");
}

/// D5. Another peer, and another topic, have answers of their own.
#[test]
fn each_refused_peer_is_answered() {
    let mut fixture = Setup::new().connected(0..20).subscribed().joined().start();
    fixture.graft_all(0..12);
    let full = fixture.mesh().len();
    for _ in 0..3 {
        fixture.graft_all(0..20);
    }
    let refused: Vec<_> = (0..20).filter(|peer| !fixture.mesh().contains(peer)).collect();
    assert_eq!((refused.len(), full), (20 - full, fixture.limits.degree_high));
    let mut pruned = pruned(&mut fixture);
    pruned.sort();
    assert_eq!(pruned, refused, "each once");
}

/// D6. A full mesh has room for those that the next heartbeat would keep because of their scores.
#[test]
fn a_full_mesh_accepts_the_peers_with_the_best_scores() {
    // Only the application gives scores.
    let scores = |topic: &mut TopicScoreLimits| {
        (topic.time_in_mesh_weight, topic.mesh_message_deliveries_weight) = (0.0, 0.0);
        topic.mesh_failure_penalty_weight = 0.0;
    };
    let mut fixture = Setup::new().topic_score(scores).connected(0..40).subscribed().joined().start();
    fixture.graft_all(0..40);
    let mesh = fixture.mesh();
    assert_eq!(mesh.len(), fixture.limits.degree_high);
    // The others wait until their backoff is over. Nobody has delivered anything.
    fixture.advance(fixture.limits.prune_backoff);
    let others: Vec<_> = (0..40).filter(|peer| !mesh.contains(peer)).collect();
    assert_eq!(fixture.graft(others[0]), GraftOutcome::MeshFull);
    // Two members are good, and all others are better than the rest.
    mesh.iter().take(2).for_each(|peer| fixture.set_application_score(*peer, 2.0));
    others.iter().for_each(|peer| fixture.set_application_score(*peer, 1.0));
    let outcomes: Vec<_> = others[1..].iter().map(|peer| fixture.graft(*peer)).collect();
    let accepted = outcomes.iter().filter(|outcome| **outcome == GraftOutcome::Grafted).count();
    assert_eq!(accepted, 2, "of D_score = 4 places");
    assert!(outcomes.iter().skip(2).all(|outcome| *outcome == GraftOutcome::MeshFull));
    let kept = fixture.mesh();
    fixture.heartbeat();
    assert_eq!(fixture.mesh().len(), fixture.limits.degree_optimal);
    assert!(kept.contains(&others[1]) && fixture.mesh().contains(&others[1]));
    assert!(mesh.iter().take(2).all(|peer| fixture.mesh().contains(peer)));
}

//! These tests check how a mesh changes on join, leave, GRAFT and PRUNE.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{ConnectionInfo, protocol::GraftOutcome};

use super::setup::{MANY, Setup, TOPIC};

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
fn a_graft_on_an_unknown_topic_is_refused() {
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

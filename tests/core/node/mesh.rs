//! These tests check how a mesh changes on join, leave, GRAFT and PRUNE.

use std::{collections::BTreeSet, time::Duration};

use actix_gossipsub::{ConnectionInfo, protocol::GraftOutcome};

use super::setup::{MANY, Setup, TOPIC};

#[test]
fn joining_grafts_d_peers_and_others_after_a_leave() {
    let mut world = Setup::new().connected(MANY).subscribed().start();
    let first = world.join();
    assert_eq!((first.len(), &first), (world.limits.degree_optimal, &world.mesh()));

    world.leave();
    assert!(world.mesh().is_empty());

    let second = world.join();
    assert_eq!((second.len(), &second), (world.limits.degree_optimal, &world.mesh()));
    assert!(first.is_disjoint(&second), "those of the first mesh are backed off");
}

#[test]
fn joining_takes_the_fanout_into_the_mesh() {
    let mut world = Setup::new().connected(0..3).subscribed().start();
    world.publish(0);
    let fanout = world.fanout();
    assert_eq!(fanout, BTreeSet::from([0, 1, 2]));

    for peer in 3..MANY.end {
        world.connect(peer, ConnectionInfo::inbound());
        world.subscribe(peer);
    }
    let to_graft = world.join();
    assert_eq!((to_graft.len(), &to_graft), (world.limits.degree_optimal, &world.mesh()));
    assert!(fanout.is_subset(&to_graft));
    assert!(!world.view().fanout.contains_key(&TOPIC));
}

#[test]
fn a_graft_on_an_unknown_topic_is_refused() {
    let mut world = Setup::new().connected(0..1).start();
    assert_eq!(world.graft(0), GraftOutcome::UnsubscribedTopic);
}

#[test]
fn a_graft_on_another_topic_than_the_joined_changes_no_mesh() {
    let mut world = Setup::new().connected(MANY).subscribed().joined().start();
    world.connect(26, ConnectionInfo::inbound());
    world.subscribe(26);
    let outcome = world.node.graft(&26, &7, world.now());
    assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
    assert!(!world.mesh().contains(&26));
}

#[test]
fn a_pruned_peer_may_graft_again_when_its_backoff_was_zero() {
    let mut world = Setup::new().connected(MANY).subscribed().joined().start();
    world.prune(7, Duration::ZERO);
    assert!(!world.mesh().contains(&7));
    world.graft(7);
    assert!(world.mesh().contains(&7));
}

#[test]
fn a_prune_takes_the_peer_out_of_the_mesh() {
    let mut world = Setup::new().connected(MANY).subscribed().joined().start();
    world.graft(7);
    assert!(world.mesh().contains(&7));
    world.prune(7, world.limits.prune_backoff);
    assert!(!world.mesh().contains(&7));
}

#[test]
fn a_full_mesh_is_open_to_outbound_peers_only() {
    let mut world = Setup::new().connected(0..12).subscribed().joined().start();
    world.graft_all(0..12);
    assert_eq!(world.mesh().len(), world.limits.degree_high);

    world.connect(99, ConnectionInfo::inbound());
    world.connect(98, ConnectionInfo::outbound());
    assert_eq!(world.graft(99), GraftOutcome::MeshFull);
    assert_eq!(world.graft(98), GraftOutcome::Grafted);
    assert!(!world.mesh().contains(&99) && world.mesh().contains(&98));
}

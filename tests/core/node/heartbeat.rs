//! These tests check how heartbeats maintain meshes.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::ConnectionInfo;

use super::setup::{SECOND, Setup, TOPIC};

#[test]
fn a_small_mesh_is_filled_up_to_d() {
    let mut world = Setup::new().connected(0..8).subscribed().joined().start();
    let mesh = world.mesh();
    assert_eq!(mesh.len(), 6);
    mesh.iter().take(2).for_each(|peer| world.prune(*peer, world.limits.prune_backoff));
    assert_eq!(world.mesh().len(), 4);

    let grafted: BTreeSet<u32> = world.heartbeat().to_graft.into_keys().collect();
    assert_eq!((grafted.len(), world.mesh().len()), (2, 6));
    assert!(grafted.is_subset(&world.mesh()) && grafted.is_disjoint(&mesh));
}

#[test]
fn a_large_mesh_is_cut_to_d() {
    let mut world = Setup::new().outbound(0..22).subscribed().joined().start();
    world.graft_all(0..22);
    assert_eq!(world.mesh().len(), 22);

    let pruned: BTreeSet<u32> = world.heartbeat().to_prune.into_keys().collect();
    assert_eq!((pruned.len(), world.mesh().len()), (16, 6));
    assert!(pruned.is_disjoint(&world.mesh()));
}

#[test]
fn nobody_is_grafted_before_the_backoff_and_its_slack_are_over() {
    let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| limits.backoff_cleanup_ticks = 1;
    let mut world = Setup::new().limits(limits).connected(0..1).subscribed().joined().start();
    world.prune(0, 30 * SECOND);
    for tick in 1..=31 {
        assert_eq!(world.next_heartbeat(), 0, "at heartbeat {tick}");
    }
    assert_eq!(world.next_heartbeat(), 1);
}

#[test]
fn leaving_backs_off_for_the_backoff_of_an_unsubscription() {
    let interval = 4 * SECOND / 7;
    let setup = Setup::new().limits(|limits| {
        limits.backoff_cleanup_ticks = 1;
        limits.heartbeat_interval = interval;
        limits.unsubscribe_backoff = 5 * interval;
    });
    let mut world = setup.connected(0..1).subscribed().joined().start();
    world.leave();
    assert!(world.join().is_empty());
    for tick in 1..=6 {
        assert_eq!(world.next_heartbeat(), 0, "at heartbeat {tick}");
    }
    assert_eq!(world.next_heartbeat(), 1);
}

#[test]
fn outbound_peers_are_not_pruned_below_their_quota() {
    let mut world = Setup::new().connected(0..12).subscribed().joined().start();
    world.graft_all(0..12);
    for peer in [12, 13] {
        world.connect(peer, ConnectionInfo::outbound());
        world.subscribe(peer);
        world.graft(peer);
    }
    assert_eq!(world.mesh().len(), 14);

    let pruned = world.heartbeat().to_prune;
    assert_eq!(pruned.len(), 8);
    assert!(!pruned.contains_key(&12) && !pruned.contains_key(&13));
}

#[test]
fn outbound_peers_are_grafted_up_to_their_quota() {
    let mut world = Setup::new().connected(0..12).subscribed().joined().start();
    world.graft_all(0..12);
    assert_eq!(world.mesh().len(), 12);
    for peer in [12, 13] {
        world.connect(peer, ConnectionInfo::outbound());
        world.subscribe(peer);
    }
    let outcome = world.heartbeat();
    assert!(outcome.to_prune.is_empty());
    assert_eq!(outcome.to_graft.into_keys().collect::<Vec<_>>(), [12, 13]);
    assert_eq!(world.mesh().len(), 14);
}

#[test]
fn peers_of_negative_score_are_pruned_and_others_grafted() {
    let mut world = Setup::new().connected(0..1).subscribed().joined().start();
    assert_eq!(world.mesh(), BTreeSet::from([0]));

    world.set_application_score(0, -1.0);
    let outcome = world.heartbeat();
    assert_eq!(outcome.to_prune, BTreeMap::from([(0, BTreeSet::from([TOPIC]))]));
    assert!(world.mesh().is_empty());

    world.connect(1, ConnectionInfo::inbound());
    world.subscribe(1);
    let outcome = world.heartbeat();
    assert_eq!(outcome.to_graft, BTreeMap::from([(1, BTreeSet::from([TOPIC]))]));
    assert_eq!(world.mesh(), BTreeSet::from([1]));
}

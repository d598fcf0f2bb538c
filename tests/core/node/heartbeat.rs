//! These tests check how heartbeats maintain meshes.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::ConnectionInfo;

use super::setup::{SECOND, Setup, TOPIC};

#[test]
fn a_small_mesh_is_filled_up_to_d() {
    let mut fixture = Setup::new().connected(0..8).subscribed().joined().start();
    let mesh = fixture.mesh();
    assert_eq!(mesh.len(), 6);
    mesh.iter().take(2).for_each(|peer| fixture.prune(*peer, fixture.limits.prune_backoff));
    assert_eq!(fixture.mesh().len(), 4);

    let grafted: BTreeSet<u32> = fixture.heartbeat().to_graft.into_keys().collect();
    assert_eq!((grafted.len(), fixture.mesh().len()), (2, 6));
    assert!(grafted.is_subset(&fixture.mesh()) && grafted.is_disjoint(&mesh));
}

#[test]
fn a_large_mesh_is_pruned_to_d() {
    let mut fixture = Setup::new().outbound(0..22).subscribed().joined().start();
    fixture.graft_all(0..22);
    assert_eq!(fixture.mesh().len(), 22);

    let pruned: BTreeSet<u32> = fixture.heartbeat().to_prune.into_keys().collect();
    assert_eq!((pruned.len(), fixture.mesh().len()), (16, 6));
    assert!(pruned.is_disjoint(&fixture.mesh()));
}

/// Case 25, and D6. A mesh of D_hi refuses the GRAFTs of inbound peers, so it must not stay as it is.
#[test]
fn a_mesh_of_exactly_degree_high_is_pruned() {
    let full_mesh = |prune_at_degree_high| {
        let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
            limits.extensions.prune_at_degree_high = prune_at_degree_high;
        };
        let mut fixture = Setup::new().limits(limits).connected(0..10).outbound(10..12).subscribed().start();
        fixture.join();
        fixture.graft_all(0..12);
        assert_eq!(fixture.mesh().len(), fixture.limits.degree_high);
        // Those with the best scores are inbound.
        (0..4).for_each(|peer| fixture.set_application_score(peer, 1.0));
        let pruned = fixture.heartbeat().to_prune;
        assert_eq!(fixture.mesh().len() + pruned.len(), fixture.limits.degree_high);
        fixture.mesh()
    };
    assert_eq!(full_mesh(true), BTreeSet::from([0, 1, 2, 3, 10, 11]), "D_score and D_out peers are kept");
    assert_eq!(full_mesh(false).len(), 12, "the reference prunes a larger mesh only");
}

#[test]
fn no_peer_is_grafted_before_its_backoff_and_slack_are_over() {
    for slack in [2, 0, 5] {
        let limits = |limits: &mut actix_gossipsub::limits::LimitsConfig<u32>| {
            limits.backoff_cleanup_ticks = 1;
            limits.extensions.backoff_slack_ticks = slack;
        };
        let mut fixture = Setup::new().limits(limits).connected(0..1).subscribed().joined().start();
        fixture.prune(0, 30 * SECOND);
        for tick in 1..30 + slack {
            assert_eq!(fixture.next_heartbeat(), 0, "at heartbeat {tick}, with a slack of {slack}");
        }
        assert_eq!(fixture.next_heartbeat(), 1, "with a slack of {slack}");
    }
}

#[test]
fn peers_of_a_left_topic_are_backed_off_for_unsubscribe_backoff() {
    let interval = 4 * SECOND / 7;
    let setup = Setup::new().limits(|limits| {
        limits.backoff_cleanup_ticks = 1;
        limits.heartbeat_interval = interval;
        limits.unsubscribe_backoff = 5 * interval;
    });
    let mut fixture = setup.connected(0..1).subscribed().joined().start();
    fixture.leave();
    assert!(fixture.join().is_empty());
    for tick in 1..=6 {
        assert_eq!(fixture.next_heartbeat(), 0, "at heartbeat {tick}");
    }
    assert_eq!(fixture.next_heartbeat(), 1);
}

#[test]
fn outbound_peers_are_not_pruned_below_their_quota() {
    let mut fixture = Setup::new().connected(0..12).subscribed().joined().start();
    fixture.graft_all(0..12);
    for peer in [12, 13] {
        fixture.connect(peer, ConnectionInfo::outbound());
        fixture.subscribe(peer);
        fixture.graft(peer);
    }
    assert_eq!(fixture.mesh().len(), 14);

    let pruned = fixture.heartbeat().to_prune;
    assert_eq!(pruned.len(), 8);
    assert!(!pruned.contains_key(&12) && !pruned.contains_key(&13));
}

#[test]
fn outbound_peers_are_grafted_up_to_their_quota() {
    let mut fixture = Setup::new().connected(0..11).subscribed().joined().start();
    fixture.graft_all(0..11);
    assert_eq!(fixture.mesh().len(), 11);
    for peer in [12, 13] {
        fixture.connect(peer, ConnectionInfo::outbound());
        fixture.subscribe(peer);
    }
    let outcome = fixture.heartbeat();
    assert!(outcome.to_prune.is_empty());
    assert_eq!(outcome.to_graft.into_keys().collect::<Vec<_>>(), [12, 13]);
    assert_eq!(fixture.mesh().len(), 13);
}

#[test]
fn peers_of_negative_score_are_pruned_and_others_grafted() {
    let mut fixture = Setup::new().connected(0..1).subscribed().joined().start();
    assert_eq!(fixture.mesh(), BTreeSet::from([0]));

    fixture.set_application_score(0, -1.0);
    let outcome = fixture.heartbeat();
    assert_eq!(outcome.to_prune, BTreeMap::from([(0, BTreeSet::from([TOPIC]))]));
    assert!(fixture.mesh().is_empty());

    fixture.connect(1, ConnectionInfo::inbound());
    fixture.subscribe(1);
    let outcome = fixture.heartbeat();
    assert_eq!(outcome.to_graft, BTreeMap::from([(1, BTreeSet::from([TOPIC]))]));
    assert_eq!(fixture.mesh(), BTreeSet::from([1]));
}

/// The degrees of Lotus: the 6 best and 3 outbound peers of 8 overlap. Outbound peers replace the worst of the others.
#[test]
fn a_pruned_mesh_has_its_outbound_peers_also_where_they_leave_less_room_for_the_best() {
    let setup = Setup::new().limits(|limits| {
        (limits.degree_optimal, limits.degree_low, limits.degree_high) = (8, 6, 12);
        (limits.degree_score, limits.degree_out) = (6, 3);
    });
    let mut fixture = setup.outbound(9..12).connected(0..9).subscribed().joined().start();
    fixture.graft_all(0..12);
    assert_eq!(fixture.mesh().len(), 12);
    (0..9).for_each(|peer| fixture.set_application_score(peer, f64::from(peer + 1)));
    fixture.next_heartbeat();
    let mesh = fixture.mesh();
    assert_eq!(mesh.len(), 8);
    assert!(mesh.is_superset(&(9..12).collect()), "{mesh:?}");
    assert!(mesh.is_superset(&(4..9).collect()), "the five best inbound peers: {mesh:?}");
}

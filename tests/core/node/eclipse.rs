//! These tests check that Sybils that come first do not keep the mesh (eclipse attack, D6). Honest nodes come later: three
//! that know only the attacked node, so that their messages reach each other through it, or ten that know each other.

use std::collections::BTreeSet;

use actix_gossipsub::{
    ConnectionInfo,
    limits::{LimitsConfig, TopicScores},
};

use super::{
    setup::Setup,
    simulation::{Dial, Simulation, Strategy, with_topic},
};

/// The number of heartbeats for which Sybils are alone.
const ALONE: u64 = 31;

fn presets() -> [(&'static str, LimitsConfig<u32>); 2] {
    let default = with_topic(LimitsConfig::default(), "any");
    [("default", default), ("ethereum", with_topic(LimitsConfig::ethereum(), "beacon_block"))]
}

/// Sybils come, and honest nodes after them. Checks the delivery from `heartbeats` heartbeats later on.
fn assert_delivered(
    (name, limits): &(&str, LimitsConfig<u32>),
    sybils: u32,
    strategy: Strategy,
    heartbeats: u64,
) {
    for (honest, are_connected) in [(3, false), (10, true)] {
        for dial in [Dial::In, Dial::Out] {
            let mut simulation = Simulation::new(limits.clone(), honest, are_connected);
            simulation.attack(sybils, strategy);
            simulation.run(ALONE);
            simulation.dial(dial);
            simulation.run_with_traffic(heartbeats);
            let mesh = simulation.mesh();
            let (inward, outward) = simulation.deliver(50);
            let case = format!("{name}, {sybils} Sybils, {strategy:?}, {honest} honest nodes, {dial:?}");
            println!("{case}: {inward:.3} and {outward:.3} delivered, mesh {mesh:?}");
            assert!(inward >= 0.99 && outward >= 0.99, "{case}: {inward:.3} and {outward:.3} are delivered");
        }
    }
}

#[test]
fn sybils_that_come_first_lose_their_places_within_10_heartbeats() {
    for preset in presets() {
        for sybils in [12, 40] {
            assert_delivered(&preset, sybils, Strategy::AtOnce, 10);
        }
    }
}

#[test]
fn many_sybils_lose_their_places_when_the_backoffs_end() {
    for preset in presets() {
        let (interval, backoff) = (preset.1.heartbeat_interval, preset.1.prune_backoff);
        let backoff = backoff.as_millis().div_ceil(interval.as_millis()) as u64;
        assert_delivered(&preset, 400, Strategy::AtOnce, backoff + 10);
        for sybils in [40, 400] {
            // The peers that were refused come back two heartbeats and a cleanup after their backoff: with the default
            // limits these are 10 heartbeats too.
            assert_delivered(
                &preset,
                sybils,
                Strategy::OneByOne,
                backoff + 5 + preset.1.backoff_cleanup_ticks,
            );
        }
    }
}

/// The reference refuses all inbound peers once the mesh has D_hi.
#[test]
fn sybils_that_come_first_stay_with_the_reference() {
    for (_, mut limits) in presets() {
        limits.extensions.prune_at_degree_high = false;
        limits.extensions.full_mesh_accepts_best = false;
        let mut simulation = Simulation::new(limits, 3, false);
        simulation.attack(40, Strategy::AtOnce);
        simulation.run(ALONE);
        simulation.dial(Dial::In);
        simulation.run_with_traffic(10);
        assert_eq!(simulation.mesh(), (0, 12));
        let (_, outward) = simulation.deliver(50);
        assert!(outward < 0.6, "{outward:.3} of the messages reach the honest nodes by gossip");
    }
}

/// The Sybils keep all places in the mesh, as above, but what the attacked node publishes goes past it.
#[test]
fn flood_publishing_reaches_honest_peers_while_sybils_have_the_mesh() {
    for (_, mut limits) in presets() {
        limits.extensions.prune_at_degree_high = false;
        limits.extensions.full_mesh_accepts_best = false;
        limits.extensions.flood_publish_bytes_per_second = 1 << 20;
        let mut simulation = Simulation::new(limits, 3, false);
        simulation.attack(40, Strategy::AtOnce);
        simulation.run(ALONE);
        simulation.dial(Dial::In);
        assert_eq!(simulation.mesh(), (0, 12));
        let (_, outward) = simulation.deliver(50);
        assert_eq!(outward, 1.0);
    }
}

/// A mesh of six Sybils, each of which publishes a message every `sybils_publish_every` heartbeats, and ten peers outside it, one
/// of which delivers a message by gossip in each heartbeat. Returns the honest peers that are in the mesh after three minutes.
fn grafted_for_their_scores(threshold: f64, sybils_publish_every: u32) -> BTreeSet<u32> {
    const SYBILS: u32 = 6;
    let default = LimitsConfig::<u32>::default();
    let mut fixture = Setup::new()
        .limits(|limits| {
            *limits = default;
            limits.opportunistic_graft_threshold = threshold;
        })
        .connected(0..SYBILS)
        .subscribed()
        .joined()
        .start();
    fixture.graft_all(0..SYBILS);
    (SYBILS..SYBILS + 10).for_each(|peer| {
        fixture.connect(peer, ConnectionInfo::inbound());
        fixture.subscribe(peer);
    });
    for heartbeat in 1..=180 {
        for sybil in (0..SYBILS).filter(|sybil| (heartbeat + sybil) % sybils_publish_every == 0) {
            fixture.deliver(sybil, 1_000_000 * (sybil + 1) + heartbeat);
        }
        fixture.deliver(SYBILS + heartbeat % 10, heartbeat);
        fixture.next_heartbeat();
        fixture.node.drain();
    }
    fixture.mesh().split_off(&SYBILS)
}

/// Case 28, and P4 of the black-box cases. Sybils that publish just enough to keep the median of the mesh above the threshold. The default threshold requires a
/// message every 13 s of each of them.
#[test]
fn opportunistic_grafting_works_against_peers_that_publish_just_enough() {
    let default = LimitsConfig::<u32>::default().opportunistic_graft_threshold;
    for (threshold, every, expected) in [
        (1.0, 1000, true),
        (1.0, 60, false),
        (1.0, 26, false),
        (5.0, 60, true),
        (5.0, 7, false),
        (default, 60, true),
        (default, 26, true),
        (default, 5, false),
    ] {
        let grafted = grafted_for_their_scores(threshold, every);
        println!("threshold {threshold}, a message every {every} s: {} honest peers", grafted.len());
        assert_eq!(!grafted.is_empty(), expected, "threshold {threshold}, a message every {every} s");
    }
}

/// P1 alone does not reach the threshold: silent peers are replaced however long they have been in the mesh.
#[test]
fn the_default_threshold_is_above_what_time_in_the_mesh_can_add() {
    let limits = LimitsConfig::<String>::default();
    let TopicScores::Single { parameters } = &limits.score.topics else { panic!("the default has one set") };
    assert!(
        limits.opportunistic_graft_threshold > parameters.time_in_mesh_weight * parameters.time_in_mesh_cap
    );
    assert!(limits.opportunistic_graft_threshold < parameters.first_message_deliveries_cap);
}

/// Only peers that deliver more than the median of the mesh are grafted, and in a healthy network none outside the mesh does.
#[test]
fn a_healthy_mesh_is_not_changed_by_opportunistic_grafting() {
    let meshes = |threshold| {
        let mut limits = with_topic(LimitsConfig::default(), "any");
        limits.opportunistic_graft_threshold = threshold;
        let mut simulation = Simulation::new(limits, 20, true);
        simulation.dial(Dial::In);
        let minutes = (0..6).map(|_| {
            simulation.run_with_traffic(60);
            simulation.mesh()
        });
        minutes.collect::<Vec<_>>()
    };
    let default = LimitsConfig::<u32>::default().opportunistic_graft_threshold;
    assert_eq!(meshes(default), meshes(0.0));
}

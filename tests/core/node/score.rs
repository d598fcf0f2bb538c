//! These tests check the components of a score.

use std::time::Duration;

use actix_gossipsub::{limits::TopicScoreLimits, protocol::GraftOutcome};

use super::setup::{BOTH, Setup, World, assert_score};

fn without_p1(topic: &mut TopicScoreLimits) {
    topic.time_in_mesh_weight = 0.0;
}

#[test]
fn p1_grows_with_the_quanta_in_the_mesh_up_to_its_cap() {
    let quantum = Duration::from_millis(50);
    let setup = Setup::new().topic_score(|topic| {
        topic.time_in_mesh_weight = 2.0;
        topic.time_in_mesh_quantum = quantum;
        topic.time_in_mesh_cap = 10.0;
    });
    let mut world = setup.connected(0..1).subscribed().joined().start();
    for (quanta, expected) in [(2, 4.0), (2, 8.0), (20, 20.0)] {
        world.advance(quanta * quantum);
        world.heartbeat();
        assert_score(&world, 0, expected);
    }
}

#[test]
fn p2_grows_with_first_deliveries_up_to_its_cap_and_decays() {
    for validation_mode in BOTH {
        let setup = Setup::new().validation_mode(validation_mode).topic_score(|topic| {
            without_p1(topic);
            topic.first_message_deliveries_weight = 2.0;
            topic.first_message_deliveries_cap = 10;
            topic.first_message_deliveries_decay = 0.9;
        });
        let mut world = setup.connected(0..2).subscribed().joined().start();
        world.deliver(0, 0);
        world.deliver(1, 0);
        assert_score(&world, 0, 2.0);
        assert_score(&world, 1, 0.0);

        (1..3).for_each(|id| drop(world.deliver(1, id)));
        assert_score(&world, 1, 4.0);

        world.heartbeat();
        assert_score(&world, 0, 1.8);
        assert_score(&world, 1, 3.6);

        (3..13).for_each(|id| drop(world.deliver(1, id)));
        assert_score(&world, 1, 20.0);
    }
}

#[test]
fn p4_grows_with_the_square_of_invalid_messages_and_decays() {
    for validation_mode in BOTH {
        let setup = Setup::new().validation_mode(validation_mode).topic_score(|topic| {
            without_p1(topic);
            topic.first_message_deliveries_weight = 0.0;
            topic.mesh_message_deliveries_weight = 0.0;
            topic.mesh_failure_penalty_weight = 0.0;
            topic.invalid_message_deliveries_weight = -2.0;
            topic.invalid_message_deliveries_decay = 0.9;
        });
        let mut world = setup.connected(0..1).subscribed().joined().start();
        world.refuse_all_messages();
        (0..3).for_each(|id| drop(world.deliver(0, id)));
        assert_score(&world, 0, -18.0);
        world.heartbeat();
        assert_score(&world, 0, -2.0 * 2.7 * 2.7);
    }
}

#[test]
fn p5_is_the_applications_score_weighted() {
    let setup = Setup::new().limits(|limits| limits.score.app_specific_weight = 2.0);
    let mut world = setup.connected(0..1).start();
    world.set_application_score(0, 1.1);
    assert_score(&world, 0, 2.2);
}

/// A graft is refused for a negative score, which then is mended: what stays is the backoff.
fn backed_off(world: &mut World, peer: u32) {
    world.set_application_score(peer, -99.0);
    assert_eq!(world.graft(peer), GraftOutcome::NegativeScore);
    world.set_application_score(peer, 0.0);
}

#[test]
fn p7_counts_an_early_graft_once_and_one_at_once_twice() {
    let setup = Setup::new().limits(|limits| {
        limits.prune_backoff = Duration::from_millis(200);
        limits.graft_flood_threshold = Duration::from_millis(100);
        limits.score.behaviour_penalty_weight = -2.0;
        limits.score.behaviour_penalty_decay = 0.9;
    });
    let mut world = setup.connected(0..2).joined().start();
    [0, 1].into_iter().for_each(|peer| backed_off(&mut world, peer));

    world.advance(Duration::from_millis(99));
    assert_eq!(world.graft(0), GraftOutcome::BackedOff);
    world.advance(Duration::from_millis(2));
    assert_eq!(world.graft(1), GraftOutcome::BackedOff);
    assert_score(&world, 0, -2.0 * 2.0 * 2.0);
    assert_score(&world, 1, -2.0 * 1.0 * 1.0);

    world.heartbeat();
    assert_score(&world, 0, -2.0 * 1.8 * 1.8);
    assert_score(&world, 1, -2.0 * 0.9 * 0.9);
}

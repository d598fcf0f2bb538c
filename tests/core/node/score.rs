//! These tests check the components of a score.

use std::time::Duration;

use actix_gossipsub::{limits::TopicScoreLimits, protocol::GraftOutcome};

use super::setup::{BOTH, Fixture, Setup, assert_score};

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
    let mut fixture = setup.connected(0..1).subscribed().joined().start();
    for (quanta, expected) in [(2, 4.0), (2, 8.0), (20, 20.0)] {
        fixture.advance(quanta * quantum);
        fixture.heartbeat();
        assert_score(&fixture, 0, expected);
    }
}

#[test]
fn p2_grows_with_first_deliveries_up_to_its_cap_and_decays() {
    for validation_mode in BOTH {
        let setup = Setup::new().validation_mode(validation_mode).topic_score(|topic| {
            without_p1(topic);
            topic.first_message_deliveries_weight = 2.0;
            topic.first_message_deliveries_cap = 10.0;
            topic.first_message_deliveries_decay = 0.9;
        });
        let mut fixture = setup.connected(0..2).subscribed().joined().start();
        fixture.deliver(0, 0);
        fixture.deliver(1, 0);
        assert_score(&fixture, 0, 2.0);
        assert_score(&fixture, 1, 0.0);

        (1..3).for_each(|id| drop(fixture.deliver(1, id)));
        assert_score(&fixture, 1, 4.0);

        fixture.heartbeat();
        assert_score(&fixture, 0, 1.8);
        assert_score(&fixture, 1, 3.6);

        (3..13).for_each(|id| drop(fixture.deliver(1, id)));
        assert_score(&fixture, 1, 20.0);
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
        let mut fixture = setup.connected(0..1).subscribed().joined().start();
        fixture.make_all_messages_invalid();
        (0..3).for_each(|id| drop(fixture.deliver(0, id)));
        assert_score(&fixture, 0, -18.0);
        fixture.heartbeat();
        assert_score(&fixture, 0, -2.0 * 2.7 * 2.7);
    }
}

#[test]
fn p5_is_the_weighted_application_score() {
    let setup = Setup::new().limits(|limits| limits.score.app_specific_weight = 2.0);
    let mut fixture = setup.connected(0..1).start();
    fixture.set_application_score(0, 1.1);
    assert_score(&fixture, 0, 2.2);
}

/// Backs a peer off: its graft is refused because of a negative score, which is then reset.
fn back_off(fixture: &mut Fixture, peer: u32) {
    fixture.set_application_score(peer, -99.0);
    assert_eq!(fixture.graft(peer), GraftOutcome::NegativeScore);
    fixture.set_application_score(peer, 0.0);
}

#[test]
fn p7_counts_a_graft_during_backoff_once_and_one_within_the_flood_threshold_twice() {
    let setup = Setup::new().limits(|limits| {
        limits.prune_backoff = Duration::from_millis(200);
        limits.graft_flood_threshold = Duration::from_millis(100);
        limits.score.behaviour_penalty_weight = -2.0;
        limits.score.behaviour_penalty_decay = 0.9;
    });
    let mut fixture = setup.connected(0..2).joined().start();
    [0, 1].into_iter().for_each(|peer| back_off(&mut fixture, peer));

    fixture.advance(Duration::from_millis(99));
    assert_eq!(fixture.graft(0), GraftOutcome::BackedOff);
    fixture.advance(Duration::from_millis(2));
    assert_eq!(fixture.graft(1), GraftOutcome::BackedOff);
    assert_score(&fixture, 0, -2.0 * 2.0 * 2.0);
    assert_score(&fixture, 1, -2.0 * 1.0 * 1.0);

    fixture.heartbeat();
    assert_score(&fixture, 0, -2.0 * 1.8 * 1.8);
    assert_score(&fixture, 1, -2.0 * 0.9 * 0.9);
}

//! The components of a peer, P5 and P7, and the cap of what topics add.

use super::{IN_MESH, PEER, Step::*, Vector, nothing, square};
use crate::node::setup::{Setup, assert_score};

#[test]
fn p5_is_the_weight_by_the_application_score() {
    for score in (-100..=100).map(f64::from) {
        let mut fixture = Setup::new()
            .topic_score(nothing)
            .limits(|limits| limits.score.app_specific_weight = 0.5)
            .connected(0..1)
            .start();
        fixture.set_application_score(PEER, score);
        assert_score(&fixture, PEER, 0.5 * score);
        // It does not decay.
        fixture.next_heartbeat();
        assert_score(&fixture, PEER, 0.5 * score);
    }
}

#[test]
fn p7_is_the_square_of_the_misbehaviours_above_the_threshold() {
    let vectors = [
        Vector {
            name: "one",
            limits: |limits| limits.score.behaviour_penalty_weight = -1.0,
            steps: &[Misbehave(1)],
            expected: -1.0,
            ..IN_MESH
        },
        Vector {
            name: "two and a decay by 0.99",
            limits: |limits| {
                limits.score.behaviour_penalty_weight = -1.0;
                limits.score.behaviour_penalty_decay = 0.99;
            },
            steps: &[Misbehave(2), Ticks(1)],
            expected: -square(2.0 * 0.99),
            ..IN_MESH
        },
        Vector {
            name: "at the threshold",
            limits: |limits| {
                limits.score.behaviour_penalty_weight = -10.0;
                limits.score.behaviour_penalty_threshold = 6.0;
            },
            steps: &[Misbehave(6)],
            expected: 0.0,
            ..IN_MESH
        },
        Vector {
            name: "nine with a threshold of 6.5",
            limits: |limits| {
                limits.score.behaviour_penalty_weight = -10.0;
                limits.score.behaviour_penalty_threshold = 6.5;
            },
            steps: &[Misbehave(9)],
            expected: -10.0 * square(9.0 - 6.5),
            ..IN_MESH
        },
    ];
    vectors.iter().for_each(Vector::check);
}

/// The weight of a topic and the cap apply to the sum of its components; P4 is below the cap, P7 beside it.
#[test]
fn the_cap_limits_what_topics_add() {
    let vector = Vector {
        name: "100 first deliveries with a cap of 40, and two misbehaviours",
        topic: |topic| topic.first_message_deliveries_weight = 1.0,
        limits: |limits| {
            limits.score.topic_score_cap = Some(40.0);
            limits.score.behaviour_penalty_weight = -1.0;
        },
        steps: &[First(100), Misbehave(2)],
        expected: 40.0 - square(2.0),
        ..IN_MESH
    };
    vector.check();
}

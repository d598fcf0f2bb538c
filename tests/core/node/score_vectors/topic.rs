//! The components that a topic adds: P1 to P4.

use std::time::Duration;

use actix_gossipsub::limits::TopicScoreLimits;

use super::{IN_MESH, Step::*, Vector, decayed, square};
use crate::node::setup::SECOND;

#[test]
fn p1_is_the_weight_by_the_quanta_in_the_mesh_up_to_a_cap() {
    let vectors = [
        Vector {
            name: "20 s in quanta of 100 ms",
            topic: |topic| {
                topic.time_in_mesh_weight = 0.5;
                topic.time_in_mesh_quantum = Duration::from_millis(100);
                topic.time_in_mesh_cap = 3600.0;
            },
            steps: &[Ticks(20)],
            expected: 0.5 * 200.0,
            ..IN_MESH
        },
        Vector {
            name: "20 s with a cap of 10 quanta",
            topic: |topic| {
                topic.time_in_mesh_weight = 0.5;
                topic.time_in_mesh_quantum = Duration::from_millis(100);
                topic.time_in_mesh_cap = 10.0;
            },
            steps: &[Ticks(20)],
            expected: 0.5 * 10.0,
            ..IN_MESH
        },
        Vector {
            name: "a peer that left the mesh",
            topic: |topic| topic.time_in_mesh_weight = 0.5,
            steps: &[Ticks(20), Leave],
            expected: 0.0,
            ..IN_MESH
        },
        Vector {
            name: "a peer that never was in the mesh",
            topic: |topic| topic.time_in_mesh_weight = 0.5,
            in_mesh: false,
            steps: &[Ticks(20)],
            expected: 0.0,
            ..IN_MESH
        },
    ];
    vectors.iter().for_each(Vector::check);
}

#[test]
fn p2_is_the_weight_by_the_first_deliveries_up_to_a_cap() {
    let vectors = [
        Vector {
            name: "100 messages, also outside the mesh",
            topic: |topic| topic.first_message_deliveries_weight = 1.5,
            in_mesh: false,
            steps: &[First(100)],
            expected: 1.5 * 100.0,
            ..IN_MESH
        },
        Vector {
            name: "100 messages with a cap of 50",
            topic: |topic| {
                topic.first_message_deliveries_weight = 1.0;
                topic.first_message_deliveries_cap = 50.0;
            },
            steps: &[First(100)],
            expected: 50.0,
            ..IN_MESH
        },
        Vector {
            name: "a cap that is no whole number",
            topic: |topic| {
                topic.first_message_deliveries_weight = 1.0;
                topic.first_message_deliveries_cap = 34.87;
            },
            steps: &[First(100)],
            expected: 34.87,
            ..IN_MESH
        },
        Vector {
            name: "100 messages and 11 decays by 0.9",
            topic: |topic| {
                topic.first_message_deliveries_weight = 1.0;
                topic.first_message_deliveries_decay = 0.9;
            },
            steps: &[First(100), Ticks(11)],
            expected: decayed(100.0, 0.9, 11),
            ..IN_MESH
        },
        Vector {
            name: "a counter below decay_zero is 0",
            topic: |topic| {
                topic.first_message_deliveries_weight = 1.0;
                topic.first_message_deliveries_decay = 0.1;
            },
            steps: &[First(1), Ticks(3)],
            expected: 0.0,
            ..IN_MESH
        },
        Vector {
            name: "later copies are no first deliveries",
            topic: |topic| topic.first_message_deliveries_weight = 1.0,
            steps: &[After(100, 0)],
            expected: 0.0,
            ..IN_MESH
        },
    ];
    vectors.iter().for_each(Vector::check);
}

/// P3 with a threshold of 20, which applies after a second in the mesh.
fn p3(topic: &mut TopicScoreLimits) {
    topic.mesh_message_deliveries_weight = -1.0;
    topic.mesh_message_deliveries_threshold = 20.0;
    topic.mesh_message_deliveries_cap = 100.0;
    topic.mesh_message_deliveries_window = Duration::from_millis(10);
}

#[test]
fn p3_is_the_square_of_the_deliveries_that_lack() {
    let vectors = [
        Vector {
            name: "no penalty before the activation",
            topic: |topic| {
                p3(topic);
                topic.mesh_message_deliveries_activation = 10 * SECOND;
            },
            steps: &[Ticks(9)],
            expected: 0.0,
            ..IN_MESH
        },
        Vector { name: "no delivery", topic: p3, steps: &[Ticks(2)], expected: -square(20.0), ..IN_MESH },
        Vector {
            name: "first deliveries",
            topic: p3,
            steps: &[First(100), Ticks(2)],
            expected: 0.0,
            ..IN_MESH
        },
        Vector {
            name: "copies within the window",
            topic: p3,
            steps: &[After(15, 10), Ticks(2)],
            expected: -square(20.0 - 15.0),
            ..IN_MESH
        },
        Vector {
            name: "copies after the window",
            topic: p3,
            steps: &[After(100, 11), Ticks(2)],
            expected: -square(20.0),
            ..IN_MESH
        },
        Vector {
            name: "40 deliveries and 20 decays by 0.9",
            topic: |topic| {
                p3(topic);
                topic.mesh_message_deliveries_decay = 0.9;
            },
            steps: &[First(40), Ticks(20)],
            expected: -square(20.0 - decayed(40.0, 0.9, 20)),
            ..IN_MESH
        },
        Vector {
            name: "deliveries count up to the cap",
            topic: |topic| {
                p3(topic);
                topic.mesh_message_deliveries_cap = 25.5;
                topic.mesh_message_deliveries_decay = 0.5;
            },
            steps: &[First(100), Ticks(2)],
            expected: -square(20.0 - decayed(25.5, 0.5, 2)),
            ..IN_MESH
        },
        Vector {
            name: "a threshold below one message: that of Ethereum's blocks",
            topic: |topic| {
                p3(topic);
                topic.mesh_message_deliveries_weight = -0.5;
                topic.mesh_message_deliveries_threshold = 0.684_918;
                topic.mesh_message_deliveries_cap = 2.054_754;
                topic.mesh_message_deliveries_decay = 0.971_628;
            },
            steps: &[First(1), Ticks(20)],
            expected: -0.5 * square(0.684_918 - decayed(1.0, 0.971_628, 20)),
            ..IN_MESH
        },
        Vector {
            name: "a peer outside the mesh",
            topic: p3,
            in_mesh: false,
            steps: &[Ticks(2)],
            expected: 0.0,
            ..IN_MESH
        },
    ];
    vectors.iter().for_each(Vector::check);
}

#[test]
fn p3b_keeps_the_square_of_what_lacked_when_the_peer_left_the_mesh() {
    fn p3b(topic: &mut TopicScoreLimits) {
        p3(topic);
        topic.mesh_message_deliveries_weight = 0.0;
        topic.mesh_failure_penalty_weight = -1.0;
    }
    let vectors = [
        Vector { name: "in the mesh", topic: p3b, steps: &[Ticks(2)], expected: 0.0, ..IN_MESH },
        Vector {
            name: "12 of 20 deliveries",
            topic: p3b,
            steps: &[First(12), Ticks(2), Leave],
            expected: -square(20.0 - 12.0),
            ..IN_MESH
        },
        Vector {
            name: "the square decays, not the deficit",
            topic: |topic| {
                p3b(topic);
                topic.mesh_failure_penalty_decay = 0.9;
            },
            steps: &[Ticks(2), Leave, Ticks(5)],
            expected: -decayed(square(20.0), 0.9, 5),
            ..IN_MESH
        },
        Vector {
            name: "enough deliveries",
            topic: p3b,
            steps: &[First(20), Ticks(2), Leave],
            expected: 0.0,
            ..IN_MESH
        },
        Vector { name: "before the activation", topic: p3b, steps: &[Leave], expected: 0.0, ..IN_MESH },
    ];
    vectors.iter().for_each(Vector::check);
}

#[test]
fn p4_is_the_square_of_the_invalid_messages() {
    let vectors = [
        Vector {
            name: "100 messages",
            topic: |topic| topic.invalid_message_deliveries_weight = -1.0,
            steps: &[Invalid(100)],
            expected: -square(100.0),
            ..IN_MESH
        },
        Vector {
            name: "a peer outside the mesh",
            topic: |topic| topic.invalid_message_deliveries_weight = -2.5,
            in_mesh: false,
            steps: &[Invalid(3)],
            expected: -2.5 * square(3.0),
            ..IN_MESH
        },
        Vector {
            name: "100 messages and 11 decays by 0.9: the counter decays, not its square",
            topic: |topic| {
                topic.invalid_message_deliveries_weight = -1.0;
                topic.invalid_message_deliveries_decay = 0.9;
            },
            steps: &[Invalid(100), Ticks(11)],
            expected: -square(decayed(100.0, 0.9, 11)),
            ..IN_MESH
        },
    ];
    vectors.iter().for_each(Vector::check);
}

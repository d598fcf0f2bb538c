//! Numeric vectors of the score: for each component the parameters, what a peer does, and the expected value by the formula
//! of the specification (v1.1, "the score function"). The situations are those of the score tests of go-libp2p-pubsub and
//! rust-libp2p.

use std::time::Duration;

use actix_gossipsub::limits::{LimitsConfig, TopicScoreLimits};

use super::setup::{Fixture, SECOND, Setup, assert_score};

/// The peer of the vectors.
const PEER: u32 = 0;
/// Another peer, which may deliver messages first.
const OTHER: u32 = 1;
/// P5 of both peers, so that no heartbeat prunes a peer whose vector is negative.
const BASE: f64 = 100_000.0;

/// What the peer does or what happens to it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer is the first to deliver so many messages.
    First(u32),
    /// The peer delivers so many messages after the other one, by so many milliseconds.
    After(u32, u64),
    /// The peer delivers so many invalid messages. The validator refuses everything from then on.
    Invalid(u32),
    /// The transport reports the peer as slow so many times: misbehaviours of 1.
    Misbehave(u32),
    /// The peer leaves our mesh.
    Leave,
    /// So many heartbeats of a second, each with a decay.
    Ticks(u32),
}
use Step::*;

struct Vector {
    name: &'static str,
    topic: fn(&mut TopicScoreLimits),
    limits: fn(&mut LimitsConfig<u32>),
    in_mesh: bool,
    steps: &'static [Step],
    expected: f64,
}

/// A peer in the mesh, with limits without other differences.
const IN_MESH: Vector =
    Vector { name: "", topic: |_| {}, limits: |_| {}, in_mesh: true, steps: &[], expected: 0.0 };

/// All weights are 0 and nothing decays, so that each vector has one component.
fn nothing(topic: &mut TopicScoreLimits) {
    topic.time_in_mesh_weight = 0.0;
    topic.first_message_deliveries_weight = 0.0;
    topic.mesh_message_deliveries_weight = 0.0;
    topic.mesh_failure_penalty_weight = 0.0;
    topic.invalid_message_deliveries_weight = 0.0;
    topic.first_message_deliveries_decay = 1.0;
    topic.mesh_message_deliveries_decay = 1.0;
    topic.mesh_failure_penalty_decay = 1.0;
    topic.invalid_message_deliveries_decay = 1.0;
    topic.mesh_message_deliveries_activation = SECOND;
}

impl Vector {
    fn start(&self) -> Fixture {
        let setup = Setup::new().topic_score(nothing).topic_score(self.topic).limits(|limits| {
            limits.score.app_specific_weight = 1.0;
            limits.score.topic_score_cap = None;
            limits.score.behaviour_penalty_decay = 1.0;
            limits.score.decay_zero = 0.01;
            limits.extensions.slow_peer_penalty = 1.0;
        });
        let connected = setup.limits(self.limits).connected(0..2);
        let mut fixture =
            if self.in_mesh { connected.subscribed().joined() } else { connected.joined() }.start();
        assert_eq!(fixture.mesh().contains(&PEER), self.in_mesh);
        [PEER, OTHER].into_iter().for_each(|peer| fixture.set_application_score(peer, BASE));
        fixture
    }

    fn check(&self) {
        let mut fixture = self.start();
        let mut ids = 0..;
        let mut id = move || ids.next().expect("there are enough ids");
        for step in self.steps {
            match *step {
                First(count) => (0..count).for_each(|_| drop(fixture.deliver(PEER, id()))),
                After(count, milliseconds) => {
                    let ids: Vec<_> = (0..count).map(|_| id()).collect();
                    ids.iter().for_each(|id| drop(fixture.deliver(OTHER, *id)));
                    fixture.advance(Duration::from_millis(milliseconds));
                    ids.iter().for_each(|id| drop(fixture.deliver(PEER, *id)));
                }
                Invalid(count) => {
                    fixture.make_all_messages_invalid();
                    (0..count).for_each(|_| drop(fixture.deliver(PEER, id())));
                }
                Misbehave(count) => (0..count).for_each(|_| fixture.node.report_slow_peer(&PEER)),
                Leave => fixture.prune(PEER, 3600 * SECOND),
                Ticks(count) => {
                    for _ in 0..count {
                        fixture.next_heartbeat();
                    }
                }
            }
        }
        let found = fixture.score(PEER) - BASE;
        assert!((found - self.expected).abs() < 1e-6, "{}: {found}, not {}", self.name, self.expected);
    }
}

/// The value after so many decays.
fn decayed(value: f64, decay: f64, ticks: i32) -> f64 {
    value * decay.powi(ticks)
}

fn square(value: f64) -> f64 {
    value * value
}

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

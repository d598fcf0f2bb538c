//! Numeric vectors of the score: for each component the parameters, what a peer does, and the expected value by the formula
//! of the specification (v1.1, "the score function"). The situations are those of the score tests of go-libp2p-pubsub and
//! rust-libp2p.

mod peer;
mod topic;

use std::time::Duration;

use actix_gossipsub::limits::{LimitsConfig, TopicScoreLimits};

use super::setup::{Fixture, SECOND, Setup};

/// The peer of the vectors.
const PEER: u32 = 0;
/// Another peer, which may deliver messages first.
const OTHER: u32 = 1;
/// P5 of both peers, so that no heartbeat prunes a peer whose vector is negative.
const BASE: f64 = 100_000.0;

/// What the peer does or what happens to it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer is the first to deliver this number of messages.
    First(u32),
    /// The peer delivers this number of messages after the other one, by a number of milliseconds.
    After(u32, u64),
    /// The peer delivers this number of invalid messages. The validator refuses everything from then on.
    Invalid(u32),
    /// The transport reports the peer as slow this number of times: misbehaviours of 1.
    Misbehave(u32),
    /// The peer leaves our mesh.
    Leave,
    /// This number of heartbeats of a second, each with a decay.
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

/// The value after `ticks` decays.
fn decayed(value: f64, decay: f64, ticks: i32) -> f64 {
    value * decay.powi(ticks)
}

fn square(value: f64) -> f64 {
    value * value
}

//! A property: new weights of the score, set while a node runs, change no counter, and give the scores of a node that was
//! started with them.

use std::time::Duration;

use actix_gossipsub::limits::{LimitsConfig, ScoreLimits, TopicScoreLimits, TopicScores};
use proptest::{collection::vec, prelude::*};

use super::setup::{Fixture, Setup, TOPIC};

const PEERS: u32 = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    Deliver {
        peer: u32,
        id: u32,
    },
    Prune {
        peer: u32,
    },
    Slow {
        peer: u32,
    },
    Heartbeat {
        after: u64,
    },
    Invalid,
    /// The weights change, to the final ones or back.
    Swap {
        to_final: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0..PEERS, 0..40u32).prop_map(|(peer, id)| Step::Deliver { peer, id }),
        1 => (0..PEERS).prop_map(|peer| Step::Prune { peer }),
        1 => (0..PEERS).prop_map(|peer| Step::Slow { peer }),
        3 => (1..3000u64).prop_map(|after| Step::Heartbeat { after }),
        1 => Just(Step::Invalid),
        2 => any::<bool>().prop_map(|to_final| Step::Swap { to_final }),
    ];
    vec(step, 1..120)
}

/// The weights of the score. Caps, decays and thresholds of counters are those of the test's limits.
#[derive(Clone, Debug)]
struct Weights {
    topic: [f64; 5],
    behaviour: f64,
    application: f64,
    cap: Option<f64>,
}

fn weights() -> impl Strategy<Value = Weights> {
    let topic = (0.0..3.0, 0.0..3.0, -3.0..0.0, -3.0..0.0, -3.0..0.0).prop_map(<[f64; 5]>::from);
    (topic, -3.0..0.0, 1.0..3.0, proptest::option::of(0.0..100.0))
        .prop_map(|(topic, behaviour, application, cap)| Weights { topic, behaviour, application, cap })
}

impl Weights {
    fn apply(&self, score: &mut ScoreLimits<u32>) {
        let change = |topic: &mut TopicScoreLimits| {
            topic.time_in_mesh_weight = self.topic[0];
            topic.first_message_deliveries_weight = self.topic[1];
            topic.mesh_message_deliveries_weight = self.topic[2];
            topic.mesh_failure_penalty_weight = self.topic[3];
            topic.invalid_message_deliveries_weight = self.topic[4];
        };
        if let TopicScores::Single { parameters } = &mut score.topics {
            change(parameters);
        }
        score.behaviour_penalty_weight = self.behaviour;
        score.app_specific_weight = self.application;
        score.topic_score_cap = self.cap;
    }
}

fn start(weights: &Weights) -> Fixture {
    let limits = |limits: &mut LimitsConfig<u32>| {
        weights.apply(&mut limits.score);
        limits.opportunistic_graft_threshold = -1e9;
    };
    let mut fixture = Setup::new().limits(limits).connected(0..PEERS).subscribed().joined().start();
    // All scores are high, so that no decision depends on the weights.
    (0..PEERS).for_each(|peer| fixture.set_application_score(peer, 1e9));
    fixture
}

fn run(fixture: &mut Fixture, step: Step) {
    let now = fixture.now();
    match step {
        Step::Deliver { peer, id } => drop(fixture.deliver(peer, id)),
        Step::Prune { peer } => fixture.prune(peer, Duration::from_secs(1)),
        Step::Slow { peer } => fixture.node.report_slow_peer(&peer),
        Step::Heartbeat { after } => {
            fixture.advance(Duration::from_millis(after));
            fixture.heartbeat();
        }
        Step::Invalid => {
            fixture.make_all_messages_invalid();
            fixture.node.publish(super::setup::full(1000), now);
        }
        Step::Swap { .. } => {}
    }
}

/// The counters as text, exact to the bit.
fn counters(fixture: &Fixture) -> String {
    let scores = fixture.view().scores;
    let counters = scores.iter().map(|(peer, score)| {
        format!("{peer} {:?} {:?} {:?}\n", score.behaviour_penalty, score.application_score, score.topics)
    });
    counters.collect()
}

fn scores(fixture: &Fixture) -> Vec<f64> {
    fixture.view().scores.values().map(|score| score.score).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn new_weights_change_no_counter_and_give_the_scores_of_a_node_that_started_with_them(
        first in weights(), last in weights(), steps in steps()
    ) {
        let [mut kept, mut swapped, mut started] = [&first, &first, &last].map(start);
        for step in steps {
            [&mut kept, &mut swapped, &mut started].into_iter().for_each(|fixture| run(fixture, step));
            if let Step::Swap { to_final } = step {
                let weights = if to_final { &last } else { &first };
                swapped.change_limits(|limits| weights.apply(&mut limits.score)).unwrap();
                let same = if to_final { &started } else { &kept };
                prop_assert_eq!(scores(&swapped), scores(same), "after a swap");
            }
            prop_assert_eq!(counters(&swapped), counters(&kept), "after {:?}", step);
            prop_assert_eq!(counters(&swapped), counters(&started), "after {:?}", step);
        }
        swapped.change_limits(|limits| last.apply(&mut limits.score)).unwrap();
        prop_assert_eq!(scores(&swapped), scores(&started));
        prop_assert_eq!(swapped.view().mesh[&TOPIC].clone(), started.view().mesh[&TOPIC].clone());
    }
}

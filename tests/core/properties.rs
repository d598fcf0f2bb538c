//! These tests check properties of the protocol core for arbitrary inputs in arbitrary order. `Node` must keep its
//! state consistent, emit only what its state allows, expire its entries in time, and be deterministic.

use std::time::Duration;

use actix_gossipsub::{
    P2pOutput,
    limits::{Limits, TopicFamily, TopicScores},
};
use proptest::prelude::*;
use testkit::model::{
    Checked,
    driver::Driver,
    limits::{AMPLE, extreme_limits, limits},
    network::{Ids, Net, TOPICS, Tagged, Untagged},
    op::{Op, extreme_ops, ops},
    rules,
};

fn batching() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![Just(None), Just(Some(Duration::ZERO)), Just(Some(Duration::MAX))]
}

/// Runs the operations and checks the state and the outputs after each.
fn run_checked<I: Ids>(limits: &Limits<u8>, batching: Option<Duration>, ops: &[Op]) -> Checked {
    rules::assert_invariants(&mut Driver::<I>::new(limits, 7, batching), ops)
}

/// Runs the operations, disconnects all peers and leaves all topics, and checks that all state expires.
fn run_until_expired<I: Ids>(limits: &Limits<u8>, batching: Option<Duration>, ops: &[Op]) -> Checked {
    let mut driver = Driver::<I>::new(limits, 7, batching);
    ops.iter().for_each(|op| drop(driver.run(op)));
    rules::assert_all_state_expires(&mut driver)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_are_kept_when_ids_name_their_topic(limits in limits(), batching in batching(), ops in ops()) {
        run_checked::<Tagged>(&limits, batching, &ops)?;
    }

    #[test]
    fn invariants_are_kept_when_ids_do_not_name_their_topic(
        limits in limits(), batching in batching(), ops in ops()
    ) {
        run_checked::<Untagged>(&limits, batching, &ops)?;
    }

    #[test]
    fn all_state_expires_when_peers_and_topics_are_gone(limits in limits(), batching in batching(), ops in ops()) {
        run_until_expired::<Tagged>(&limits, batching, &ops)?;
        run_until_expired::<Untagged>(&limits, batching, &ops)?;
    }

    /// One node runs its methods, the other the worker's inputs.
    #[test]
    fn the_same_inputs_lead_to_the_same_outputs_and_state(
        limits in limits(), batching in batching(), seed: u64, ops in ops()
    ) {
        let [mut one, mut other] = [(); 2].map(|()| Driver::<Tagged>::new(&limits, seed, batching));
        for op in &ops {
            one.run(op);
            other.run_as_input(op);
            let outputs = [&mut one, &mut other].map(|driver| format!("{:?}", driver.node.drain()));
            prop_assert_eq!(&outputs[0], &outputs[1], "at {:?}", op);
        }
        prop_assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn operations_on_another_topic_do_not_change_the_outputs_of_a_topic(limits in limits(), seed: u64, ops in ops(), others in ops()) {
        let limits = with_topic_0_scored_only(limits);
        let (mut alone, mut with_other_topic) =
            (Driver::<Tagged>::new(&limits, seed, None), Driver::<Tagged>::new(&limits, seed, None));
        let mut others = others.iter().filter(|op| concerns_only_topic_1(op));
        for op in ops.iter().filter(|op| concerns_only_topic_0(op)) {
            alone.run(op);
            with_other_topic.run(op);
            if let Some(other) = others.next() {
                with_other_topic.run(other);
            }
            let outputs = [&mut alone, &mut with_other_topic].map(outputs_of_topic_0);
            prop_assert_eq!(&outputs[0], &outputs[1], "at {:?}", op);
        }
    }

    #[test]
    fn nothing_overflows(limits in extreme_limits(), batching in batching(), ops in extreme_ops()) {
        let mut driver = Driver::<Tagged>::new(&limits, 7, batching).with_unbounded_clock();
        for op in &ops {
            driver.run(op);
            driver.node.drain();
            driver.node.reconnection_delays();
            driver.view();
        }
    }
}

/// Limits with which topics are independent: only topic 0 contributes to scores, and no topic reaches a limit that all
/// topics share.
fn with_topic_0_scored_only(limits: Limits<u8>) -> Limits<u8> {
    let mut config = limits.into_config();
    config.max_topics_per_peer = usize::from(TOPICS);
    config.bounds.max_idle_topics = AMPLE;
    let one = config.score.topics.parameters(&0).clone();
    config.score.topics = TopicScores::Family(TopicFamily::default().with(|f| {
        f.all_topics = vec![0];
        f.parameters = [(0, one.clone())].into();
        f.weights = [(0, 1.0)].into();
        f.default_parameters = one;
        f.default_weight = 0.0;
    }));
    Limits::try_from(config).expect("the changed limits are valid")
}

fn concerns_only_topic_0(op: &Op) -> bool {
    topics_of(op).is_none_or(|topic| topic == 0) && !matches!(op, Op::IWant { .. } | Op::ApplyBatch { .. })
}

/// Operations without an effect on state that all topics share: P7, the quotas of peers, and the messages that wait for
/// a verdict.
fn concerns_only_topic_1(op: &Op) -> bool {
    use Op::{Join, Leave, Publish, Subscribe, Unsubscribe};
    let is_independent =
        matches!(op, Join { .. } | Leave { .. } | Publish { .. } | Subscribe { .. } | Unsubscribe { .. });
    is_independent && topics_of(op) == Some(1)
}

fn topics_of(op: &Op) -> Option<u8> {
    match op {
        Op::Subscribe { topic, .. }
        | Op::Unsubscribe { topic, .. }
        | Op::Graft { topic, .. }
        | Op::Prune { topic, .. }
        | Op::IHave { topic, .. }
        | Op::Join { topic }
        | Op::Leave { topic } => Some(*topic),
        Op::Receive { message, .. } | Op::Publish { message } => Some(message.topic),
        _ => None,
    }
}

fn outputs_of_topic_0(driver: &mut Driver<Tagged>) -> String {
    let about = |output: &P2pOutput<Net<Tagged>>| match output {
        P2pOutput::OutMessage { message, .. } => message.topic().is_none_or(|topic| *topic == 0),
        _ => true,
    };
    let p2p: Vec<_> = driver.node.drain().p2p.into_iter().filter(about).collect();
    format!("{p2p:?}")
}

//! Properties of the protocol core: whatever happens, in whatever order, `Node` keeps its state in
//! order, says only what may be said, forgets in time, and does the same again when asked again.

#[path = "support/model/mod.rs"]
mod model;

use std::time::Duration;

use actix_gossipsub::{limits::Limits, protocol::Footprint};
use model::{
    Checked,
    driver::{Driver, Step},
    heartbeat,
    limits::limits,
    network::{Ids, Tagged, Untagged},
    op::{Op, ops},
    outputs::Told,
    state,
    tally::Tally,
};
use proptest::{prelude::*, test_runner::TestCaseError};

fn batching() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![Just(None), Just(Some(Duration::ZERO)), Just(Some(Duration::MAX))]
}

/// Runs the operations and checks the state and what was said after each.
fn run_checked<I: Ids>(limits: &Limits<u8>, batching: Option<Duration>, ops: &[Op]) -> Checked {
    let mut driver = Driver::<I>::new(limits, 7, batching);
    let (mut told, mut tally) = (Told::default(), Tally::default());
    let mut before = driver.view();
    for (place, op) in ops.iter().enumerate() {
        let outcome = driver.run(op);
        let drained = driver.node.drain();
        let after = driver.view();
        let step = Step { op, before: &before, outcome, drained, after: &after };
        tally.count(&step);
        let checked = state::check(&driver, &after)
            .and_then(|()| told.check(limits, &step))
            .and_then(|()| heartbeat::check(limits, &step))
            .and_then(|()| tally.check(&step, driver.node.stats()));
        checked.map_err(|error| TestCaseError::fail(format!("after operation {place}, {op:?}: {error}")))?;
        before = after;
    }
    Ok(())
}

/// Runs the operations, ends everything, and looks what is left.
fn forgets_everything<I: Ids>(limits: &Limits<u8>, batching: Option<Duration>, ops: &[Op]) -> Checked {
    let mut driver = Driver::<I>::new(limits, 7, batching);
    ops.iter().for_each(|op| drop(driver.run(op)));
    driver.wind_down();
    let mut left = driver.node.footprint();
    left.trusted = 0;
    prop_assert_eq!(left, Footprint::default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_is_kept_when_ids_name_their_topic(limits in limits(), batching in batching(), ops in ops()) {
        run_checked::<Tagged>(&limits, batching, &ops)?;
    }

    #[test]
    fn order_is_kept_when_ids_do_not_name_their_topic(
        limits in limits(), batching in batching(), ops in ops()
    ) {
        run_checked::<Untagged>(&limits, batching, &ops)?;
    }

    #[test]
    fn nothing_is_left_when_everything_ended(limits in limits(), batching in batching(), ops in ops()) {
        forgets_everything::<Tagged>(&limits, batching, &ops)?;
        forgets_everything::<Untagged>(&limits, batching, &ops)?;
    }

    #[test]
    fn the_same_inputs_lead_to_the_same_outputs_and_state(
        limits in limits(), batching in batching(), seed: u64, ops in ops()
    ) {
        let mut nodes = [(); 2].map(|()| Driver::<Tagged>::new(&limits, seed, batching));
        for op in &ops {
            let [one, other] = nodes.each_mut().map(|driver| {
                driver.run(op);
                format!("{:?}", driver.node.drain())
            });
            prop_assert_eq!(one, other, "at {:?}", op);
        }
        prop_assert_eq!(nodes[0].digest(), nodes[1].digest());
    }
}

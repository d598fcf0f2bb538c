//! This module checks all invariants after each operation, and at the end that the node has released all its state.

use actix_gossipsub::protocol::Footprint;
use proptest::prelude::*;

use super::{
    Checked,
    answers::GraftAnswers,
    driver::{Driver, Step},
    graylist, heartbeat,
    idontwant::IDontWantCheck,
    network::Ids,
    op::Op,
    outputs::OutputCheck,
    penalties::Penalties,
    state,
    statistics::Statistics,
};

/// Runs the operations, and checks the state and the outputs after each.
pub fn assert_invariants<I: Ids>(driver: &mut Driver<I>, ops: &[Op]) -> Checked {
    let (mut outputs, mut statistics) = (OutputCheck::default(), Statistics::default());
    let mut penalties = Penalties::default();
    let mut answers = GraftAnswers::default();
    let mut idontwant = IDontWantCheck::default();
    let (mut before, mut footprint_before) = (driver.view(), driver.node.footprint());
    for (index, op) in ops.iter().enumerate() {
        let outcome = driver.run(op);
        let drained = driver.node.drain();
        let (after, footprint) = (driver.view(), driver.node.footprint());
        let step = Step { op, before: &before, outcome, drained, after: &after, footprint_before, footprint };
        statistics.count(&step);
        let checked = state::check(driver, &after)
            .and_then(|()| outputs.check(&driver.limits, &step))
            .and_then(|()| answers.check(&driver.limits, &step))
            .and_then(|()| graylist::check(&driver.limits, &step))
            .and_then(|()| idontwant.check(&driver.limits, &step))
            .and_then(|()| heartbeat::check(&driver.limits, &step))
            .and_then(|()| penalties.check(driver, &step))
            .and_then(|()| statistics.check(&step, driver.node.stats()));
        checked.map_err(|error| TestCaseError::fail(format!("after operation {index}, {op:?}: {error}")))?;
        (before, footprint_before) = (after, footprint);
    }
    Ok(())
}

/// Disconnects all peers and leaves all topics, and checks that all state expires.
pub fn assert_all_state_expires<I: Ids>(driver: &mut Driver<I>) -> Checked {
    driver.wind_down();
    let mut remaining = driver.node.footprint();
    // Trusted peers never expire.
    remaining.trusted = 0;
    prop_assert_eq!(remaining, Footprint::default());
    Ok(())
}

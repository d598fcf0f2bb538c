//! This module checks all invariants after each operation, and at the end that the node has released all its state.

use actix_gossipsub::protocol::Footprint;
use proptest::prelude::*;

use super::{
    Checked, answers,
    driver::{Driver, Step},
    heartbeat,
    idontwant::IDontWantCheck,
    network::Ids,
    op::Op,
    outputs::OutputCheck,
    penalties::Penalties,
    state,
    statistics::Statistics,
};

/// Runs the operations, and checks the state and what was said after each.
pub fn are_kept<I: Ids>(driver: &mut Driver<I>, ops: &[Op]) -> Checked {
    let (mut outputs, mut statistics) = (OutputCheck::default(), Statistics::default());
    let mut penalties = Penalties::default();
    let mut idontwant = IDontWantCheck::default();
    let (mut before, mut held_before) = (driver.view(), driver.node.footprint());
    for (place, op) in ops.iter().enumerate() {
        let outcome = driver.run(op);
        let drained = driver.node.drain();
        let (after, held) = (driver.view(), driver.node.footprint());
        let step = Step { op, before: &before, outcome, drained, after: &after, held_before, held };
        statistics.count(&step);
        let checked = state::check(driver, &after)
            .and_then(|()| outputs.check(&driver.limits, &step))
            .and_then(|()| answers::check(&driver.limits, &step))
            .and_then(|()| idontwant.check(&driver.limits, &step))
            .and_then(|()| heartbeat::check(&driver.limits, &step))
            .and_then(|()| penalties.check(driver, &step))
            .and_then(|()| statistics.check(&step, driver.node.stats()));
        checked.map_err(|error| TestCaseError::fail(format!("after operation {place}, {op:?}: {error}")))?;
        (before, held_before) = (after, held);
    }
    Ok(())
}

/// Ends everything, and looks what is left.
pub fn leave_nothing<I: Ids>(driver: &mut Driver<I>) -> Checked {
    driver.wind_down();
    let mut left = driver.node.footprint();
    // Trusted peers stay wanted for ever.
    left.trusted = 0;
    prop_assert_eq!(left, Footprint::default());
    Ok(())
}

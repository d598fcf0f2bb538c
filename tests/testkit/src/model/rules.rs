//! All that must hold, put to a node after each operation, and in the end that nothing is left.

use actix_gossipsub::protocol::Footprint;
use proptest::prelude::*;

use super::{
    Checked, answers,
    driver::{Driver, Step},
    heartbeat,
    network::Ids,
    op::Op,
    outputs::Told,
    state,
    tally::Tally,
    unwanted::Unwanted,
    wrongs::Wrongs,
};

/// Runs the operations, and checks the state and what was said after each.
pub fn are_kept<I: Ids>(driver: &mut Driver<I>, ops: &[Op]) -> Checked {
    let (mut told, mut tally, mut wrongs) = (Told::default(), Tally::default(), Wrongs::default());
    let mut unwanted = Unwanted::default();
    let (mut before, mut held_before) = (driver.view(), driver.node.footprint());
    for (place, op) in ops.iter().enumerate() {
        let outcome = driver.run(op);
        let drained = driver.node.drain();
        let (after, held) = (driver.view(), driver.node.footprint());
        let step = Step { op, before: &before, outcome, drained, after: &after, held_before, held };
        tally.count(&step);
        let checked = state::check(driver, &after)
            .and_then(|()| told.check(&driver.limits, &step))
            .and_then(|()| answers::check(&driver.limits, &step))
            .and_then(|()| unwanted.check(&driver.limits, &step))
            .and_then(|()| heartbeat::check(&driver.limits, &step))
            .and_then(|()| wrongs.check(driver, &step))
            .and_then(|()| tally.check(&step, driver.node.stats()));
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

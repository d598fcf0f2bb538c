//! Runs a program on a node, checks the properties after each operation, and disconnects everything in the end.

use actix_gossipsub::limits::Limits;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::program::{Program, Setting};
use crate::model::{
    Checked,
    driver::Driver,
    limits::{extreme_limits, limits},
    network::{Ids, Tagged, Untagged},
    rules,
};

/// Runs a program. Panics if the node breaks a rule.
pub fn run(program: &Program) {
    let checked =
        if program.setting.untagged { check::<Untagged>(program) } else { check::<Tagged>(program) };
    if let Err(error) = checked {
        panic!("{error}\n{program:#?}\n{:#?}", limits_of(&program.setting));
    }
}

fn check<I: Ids>(program: &Program) -> Checked {
    let limits = limits_of(&program.setting);
    match (program.setting.extreme, program.setting.twins) {
        (true, _) => assert_no_overflow::<I>(program, &limits),
        (false, true) => assert_methods_equal_inputs::<I>(program, &limits),
        (false, false) => assert_invariants::<I>(program, &limits),
    }
}

/// The valid limits with the number `setting.limits`.
fn limits_of(setting: &Setting) -> Limits<u8> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[setting.limits; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let all = if setting.extreme { extreme_limits().boxed() } else { limits().boxed() };
    all.new_tree(&mut runner).expect("the strategy filters no value out").current()
}

fn driver<I: Ids>(program: &Program, limits: &Limits<u8>) -> Driver<I> {
    Driver::new(limits, u64::from(program.setting.seed), program.setting.batching)
}

fn assert_invariants<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let mut driver = driver::<I>(program, limits);
    rules::assert_invariants(&mut driver, &program.ops)?;
    rules::assert_all_state_expires(&mut driver)
}

fn assert_methods_equal_inputs<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let [mut one, mut other] = [(); 2].map(|()| driver::<I>(program, limits));
    for op in &program.ops {
        one.run(op);
        other.run_as_input(op);
        let outputs = [&mut one, &mut other].map(|driver| format!("{:?}", driver.node.drain()));
        prop_assert_eq!(&outputs[0], &outputs[1], "at {:?}", op);
    }
    prop_assert_eq!(one.digest(), other.digest());
    Ok(())
}

/// Runs a program with extreme values. Nothing may overflow or panic.
fn assert_no_overflow<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let mut driver = driver::<I>(program, limits).with_unbounded_clock();
    for op in &program.ops {
        driver.run(op);
        driver.node.drain();
        driver.node.reconnection_delays();
        driver.view();
    }
    Ok(())
}

//! Puts a node through a program and checks it after each operation, as the properties do. In the end
//! everything is over, and nothing may be left.

use actix_gossipsub::limits::Limits;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::{
    model::{
        Checked,
        driver::Driver,
        limits::{extreme_limits, limits},
        network::{Ids, Tagged, Untagged},
        rules,
    },
    program::Program,
};

/// Runs the program that `bytes` are. Panics if the node breaks a rule.
pub fn run(bytes: &[u8]) {
    let Some(program) = Program::read(bytes) else { return };
    let checked = if program.untagged { judge::<Untagged>(&program) } else { judge::<Tagged>(&program) };
    if let Err(error) = checked {
        panic!("{error}\n{program:#?}\n{:#?}", limits_of(&program));
    }
}

fn judge<I: Ids>(program: &Program) -> Checked {
    let limits = limits_of(program);
    match (program.extreme, program.twins) {
        (true, _) => endures::<I>(program, &limits),
        (false, true) => twins_agree::<I>(program, &limits),
        (false, false) => keeps_the_rules::<I>(program, &limits),
    }
}

/// The valid limits of this number.
fn limits_of(program: &Program) -> Limits<u8> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[program.limits; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let all = if program.extreme { extreme_limits().boxed() } else { limits().boxed() };
    all.new_tree(&mut runner).expect("none is filtered out").current()
}

fn keeps_the_rules<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let mut driver = Driver::<I>::new(limits, program.seed, program.batching);
    rules::are_kept(&mut driver, &program.ops)?;
    rules::leave_nothing(&mut driver)
}

fn twins_agree<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let [mut one, mut other] = [(); 2].map(|()| Driver::<I>::new(limits, program.seed, program.batching));
    for op in &program.ops {
        one.run(op);
        other.run_as_input(op);
        let said = [&mut one, &mut other].map(|driver| format!("{:?}", driver.node.drain()));
        prop_assert_eq!(&said[0], &said[1], "at {:?}", op);
    }
    prop_assert_eq!(one.digest(), other.digest());
    Ok(())
}

/// Nothing may overflow or panic.
fn endures<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let mut driver = Driver::<I>::new(limits, program.seed, program.batching).until_the_end_of_time();
    for op in &program.ops {
        driver.run(op);
        driver.node.drain();
        driver.node.reconnection_delays();
        driver.view();
    }
    Ok(())
}

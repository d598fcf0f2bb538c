//! Puts a node through a program and checks it after each operation, as the properties do. In the end
//! everything is over, and nothing may be left.

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
        if program.setting.untagged { judge::<Untagged>(program) } else { judge::<Tagged>(program) };
    if let Err(error) = checked {
        panic!("{error}\n{program:#?}\n{:#?}", limits_of(&program.setting));
    }
}

fn judge<I: Ids>(program: &Program) -> Checked {
    let limits = limits_of(&program.setting);
    match (program.setting.extreme, program.setting.twins) {
        (true, _) => endures::<I>(program, &limits),
        (false, true) => twins_agree::<I>(program, &limits),
        (false, false) => keeps_the_rules::<I>(program, &limits),
    }
}

/// The valid limits of this number.
fn limits_of(setting: &Setting) -> Limits<u8> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[setting.limits; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let all = if setting.extreme { extreme_limits().boxed() } else { limits().boxed() };
    all.new_tree(&mut runner).expect("none is filtered out").current()
}

fn driver<I: Ids>(program: &Program, limits: &Limits<u8>) -> Driver<I> {
    Driver::new(limits, u64::from(program.setting.seed), program.setting.batching)
}

fn keeps_the_rules<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let mut driver = driver::<I>(program, limits);
    rules::are_kept(&mut driver, &program.ops)?;
    rules::leave_nothing(&mut driver)
}

fn twins_agree<I: Ids>(program: &Program, limits: &Limits<u8>) -> Checked {
    let [mut one, mut other] = [(); 2].map(|()| driver::<I>(program, limits));
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
    let mut driver = driver::<I>(program, limits).until_the_end_of_time();
    for op in &program.ops {
        driver.run(op);
        driver.node.drain();
        driver.node.reconnection_delays();
        driver.view();
    }
    Ok(())
}

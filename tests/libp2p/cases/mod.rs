//! Black-box cases: a raw peer that writes any frames attacks or probes a running node over TCP, with an honest pair beside
//! it. Each case runs against a node of this crate and against one of rust-libp2p's gossipsub, so that an expectation that
//! both fail is recognised as wrong. The cases are numbered as in the table of go-libp2p-pubsub's spam tests (R, S, G, I, D,
//! M, P, X) and in the list of the most telling tests of other implementations (numbers only).
//!
//! `GOSSIPSUB_CASES_TARGET="PROGRAM ARGUMENTS" cargo test --all-features --test libp2p cases::a_program -- --ignored --nocapture`
//! runs them against another program, and prints a table. `GOSSIPSUB_CASES_FACTOR` multiplies all times of a target, and
//! `GOSSIPSUB_CASES_PROTOCOL` is the protocol of the peers, by default `/meshsub/1.2.0`.

mod extensions;
mod fanout;
mod gossip;
mod idontwant;
mod mesh;
mod messages;
mod peer;
mod px;
mod scores;
mod streams;
mod subscriptions;
mod target;
mod trial;
mod validation;
mod wire;

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    time::{Duration, Instant},
};

use target::Kind;

/// The topic that all nodes join.
const TOPIC: &str = "news";
/// A topic that no target joins.
const OTHER: &str = "other";
/// How long a connection without streams stays open.
const IDLE: Duration = Duration::from_secs(120);
/// The time limit of every wait for an event, and the same in a case that must fail, which often waits in vain.
const DEADLINE: Duration = Duration::from_secs(20);
const SHORT_DEADLINE: Duration = Duration::from_secs(5);
/// The time between two looks at a state.
const POLL: Duration = Duration::from_millis(10);

thread_local! {
    /// The time limit of the case that runs on this thread.
    static LIMIT: Cell<Duration> = const { Cell::new(DEADLINE) };
}

/// Whether rust-libp2p behaves as a case expects.
#[derive(Clone, Copy)]
enum Rust {
    Agrees,
    /// It is known to differ: the case must fail there with this text in its message. The reason follows.
    Differs(&'static str, &'static str),
}

#[derive(Clone, Copy)]
struct Case {
    id: &'static str,
    name: &'static str,
    /// How our node must fail as long as something is missing, and what that is.
    ours: Option<(&'static str, &'static str)>,
    rust: Rust,
    run: fn(Kind) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// The cases of a module: number, function, and what rust-libp2p does. Makes a test of each for each target. `waits`: our node
/// fails in this way until it has something. An attribute before a case applies to the test of rust-libp2p: it is ignored,
/// with the reason, where that has no such function at all. One after `ours` applies to the test of our node.
macro_rules! cases {
    ($($(#[$rust_test:meta])* $id:literal $name:ident $rust:expr $(, waits $ours:expr)? $(, ours #[$ours_test:meta])?;)*) => {
        pub(super) const CASES: &[crate::cases::Case] = &[$(crate::cases::Case {
            id: $id,
            name: stringify!($name),
            ours: { let _waits: Option<(&'static str, &'static str)> = None; $(let _waits = Some($ours);)? _waits },
            rust: { use crate::cases::Rust::*; $rust },
            run: |kind| Box::pin($name(kind)),
        }),*];

        mod ours {
            $(
                #[test]
                $(#[$ours_test])?
                fn $name() {
                    crate::cases::against_ours(super::CASES, stringify!($name));
                }
            )*
        }

        mod rust_libp2p {
            $(
                #[test]
                $(#[$rust_test])*
                fn $name() {
                    crate::cases::against_rust_libp2p(super::CASES, stringify!($name));
                }
            )*
        }
    };
}
use cases;

fn find<'a>(cases: &'a [Case], name: &str) -> &'a Case {
    cases.iter().find(|case| case.name == name).expect("the case is in its table")
}

fn against_ours(cases: &[Case], name: &str) {
    let case = find(cases, name);
    LIMIT.set(if case.ours.is_some() { SHORT_DEADLINE } else { DEADLINE });
    match (run(case, Kind::Ours), case.ours) {
        (Ok(()), None) => {}
        (Err(panic), None) => resume_unwind(panic),
        (Ok(()), Some((_, missing))) => {
            panic!("case {} agrees now, and is listed as waiting for {missing}", case.id)
        }
        (Err(panic), Some((expected, _))) => assert_message(case, &*panic, expected),
    }
}

fn against_rust_libp2p(cases: &[Case], name: &str) {
    let case = find(cases, name);
    LIMIT.set(if let Rust::Differs(..) = case.rust { SHORT_DEADLINE } else { DEADLINE });
    match (run(case, Kind::RustLibp2p), case.rust) {
        (Ok(()), Rust::Agrees) => {}
        (Ok(()), Rust::Differs(_, reason)) => {
            panic!("case {} agrees now, and is listed as different: {reason}", case.id)
        }
        (Err(panic), Rust::Agrees) => resume_unwind(panic),
        (Err(panic), Rust::Differs(expected, _)) => assert_message(case, &*panic, expected),
    }
}

fn assert_message(case: &Case, panic: &(dyn Any + Send), expected: &str) {
    let found = text(panic);
    assert!(found.contains(expected), "case {} fails in another way: {found}", case.id);
}

/// Runs a case on a runtime of its own.
fn run(case: &Case, kind: Kind) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on((case.run)(kind));
    }))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// All cases against the program that the environment names. Fails if it differs from the specification anywhere.
#[test]
#[ignore = "GOSSIPSUB_CASES_TARGET names the program"]
fn a_program() {
    let modules = [
        streams::CASES,
        subscriptions::CASES,
        mesh::CASES,
        gossip::CASES,
        idontwant::CASES,
        messages::CASES,
        px::CASES,
        scores::CASES,
        extensions::CASES,
        fanout::CASES,
        validation::CASES,
    ];
    let mut differ = Vec::new();
    for case in modules.into_iter().flatten() {
        let result = match run(case, Kind::Program) {
            Ok(()) => "agrees".to_owned(),
            Err(panic) if panic.is::<trial::NoMeans>() => {
                format!("not run: no means {}", panic.downcast_ref::<trial::NoMeans>().unwrap().0)
            }
            Err(panic) => {
                differ.push(case.id);
                format!("differs: {}", text(&*panic).lines().next().unwrap_or_default())
            }
        };
        println!("{:4} {}: {result}", case.id, case.name);
    }
    assert!(differ.is_empty(), "cases that differ: {differ:?}");
}

/// A factor for the times of all targets, for slow machines and for programs with a fixed heartbeat.
fn factor() -> u32 {
    let factor = std::env::var("GOSSIPSUB_CASES_FACTOR").ok();
    factor.map_or(1, |factor| factor.parse().expect("GOSSIPSUB_CASES_FACTOR is a whole number"))
}

/// Calls `probe` until it returns `Some`, or until the time limit.
async fn poll_until<T>(probe: impl AsyncFn() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return Some(found);
        }
        if start.elapsed() > LIMIT.get() * factor() {
            return None;
        }
        tokio::time::sleep(POLL).await;
    }
}

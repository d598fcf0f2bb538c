//! Replays the recorded traces of the corrected reference (tests/traces) on `Node` and on the actors,
//! and proves that the comparison can fail. Skips nothing: an unknown op or key is a failure.
//!
//! `ACTIX_GOSSIPSUB_TRACES=DIR` replays DIR/automaton and DIR/worker instead, or the files in DIR.

#[path = "support/trace/mod.rs"]
mod trace;

use actix_gossipsub::trace::{Performed, WorkerDriver, replay};
use trace::{
    Automaton, NodeEngine,
    actor_engine::ActorEngine,
    canonical::differences,
    folder::{self, Kind},
    replay::conformance,
    rules::ANSWER,
};

#[test]
fn automaton_traces_on_node() {
    actix_rt::System::new().block_on(conformance::<Automaton>(Kind::Automaton, "Node"));
}

#[test]
fn worker_traces_on_node() {
    actix_rt::System::new().block_on(conformance::<WorkerDriver<NodeEngine>>(Kind::Worker, "Node"));
}

#[test]
fn worker_traces_on_one_arbiter() {
    let replay = conformance::<WorkerDriver<ActorEngine<1>>>(Kind::Worker, "Worker with 1 arbiter");
    actix_rt::System::new().block_on(replay);
}

#[test]
fn worker_traces_on_two_arbiters() {
    let replay = conformance::<WorkerDriver<ActorEngine<2>>>(Kind::Worker, "Worker with 2 arbiters");
    actix_rt::System::new().block_on(replay);
}

/// What the command `replay` shows of each line is what was recorded of it; and each input of a worker's trace has
/// its outcome.
#[test]
fn the_replay_shows_what_was_recorded() {
    let (root, _) = folder::to_replay();
    let mut lines = 0;
    for kind in Kind::ALL {
        for trace in folder::traces(&root, kind).unwrap() {
            let show = |performed: Performed| {
                let Performed { line, op, outcomes: told, answer, expected, .. } = performed;
                let found = differences(&ANSWER, &expected.unwrap(), &answer);
                assert!(found.is_empty(), "{}:{line}: {op}: {found:?}", trace.name);
                lines += 1;
                let is_input = op["op"] == "p2p_input" || op["op"] == "app_input";
                assert!(!is_input || kind == Kind::Automaton || !told.is_empty(), "{op}");
                Ok(())
            };
            let ended = actix_rt::System::new().block_on(replay(trace.lines.as_bytes(), show));
            ended.unwrap_or_else(|error| panic!("{}: {error}", trace.name));
        }
    }
    assert!(lines > 0);
}

//! These tests replay the recorded traces of the corrected reference (tests/traces) on `Node`, on the actors and on the
//! replay of recordings, and prove that the comparison can fail. An unknown op or key is a failure.
//!
//! `ACTIX_GOSSIPSUB_TRACES=DIR` replays DIR/automaton and DIR/worker instead, or the files in DIR.

mod reference;
mod replay;
mod settings;

use reference::{
    actor_engine::ActorEngine, automaton::Automaton, folder::Kind, node_engine::NodeEngine,
    replay_engine::ReplayEngine, runner::conformance, worker::WorkerDriver,
};

#[test]
fn automaton_traces_on_node() {
    actix_rt::System::new().block_on(conformance::<Automaton>(Kind::Automaton, "Node"));
}

#[test]
fn worker_traces_on_node() {
    actix_rt::System::new().block_on(conformance::<WorkerDriver<NodeEngine>>(Kind::Worker, "Node"));
}

/// For each input, the command `replay` must report the recorded outputs and an outcome.
#[test]
fn worker_traces_on_the_replay_of_recordings() {
    let replay = conformance::<WorkerDriver<ReplayEngine>>(Kind::Worker, "the replay of recordings");
    actix_rt::System::new().block_on(replay);
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

//! Replays the recorded traces of the reference (tests/traces/FORMAT.md) on the engines of this crate, and compares
//! every answer with the recorded one.
//!
//! `ops` reads the lines; `automaton` and `worker` perform them (`driver` has their traits), the latter on one of the
//! engines `node_engine`, `actor_engine` and `replay_engine`; `answers`, `outputs` and `view` render what they answer;
//! `rules` and `canonical` compare; `runner` and `folder` go through files; `proof` shows that comparisons can fail.

pub mod actor_engine;
mod alteration;
mod answers;
pub mod automaton;
mod canonical;
mod driver;
pub mod folder;
mod input_queue;
mod limits;
mod network;
pub mod node_engine;
mod ops;
mod outputs;
mod proof;
pub mod replay_engine;
mod rules;
pub mod runner;
mod view;
pub mod worker;

pub use network::TraceNetwork;

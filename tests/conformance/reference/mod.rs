//! These tests replay the recorded traces of the reference (tests/traces/FORMAT.md) on the engines of this crate, and
//! compare every answer with the recorded one.
//!
//! `ops` parses the lines. `automaton` and `worker` perform them (`driver` has their traits), the latter on
//! `node_engine`, `actor_engine` or `replay_engine`. `answers`, `outputs` and `view` render the results; `rules` and
//! `canonical` compare them; `runner` and `folder` process files; `proof` shows that comparisons can fail.

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

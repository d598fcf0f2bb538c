//! Replays recorded traces (tests/traces/FORMAT.md) and compares every answer, line by line.
//! Decides nothing about gossipsub: it translates ops into calls, and answers into the traces' JSON.

pub mod actor_engine;
pub mod alteration;
pub mod answer;
pub mod automaton;
pub mod canonical;
pub mod engine;
pub mod folder;
pub mod input_queue;
pub mod limits;
pub mod network;
pub mod node_engine;
pub mod op;
pub mod output;
mod proof;
pub mod replay;
pub mod rules;
pub mod view;
pub mod worker;

//! Replays recorded traces (tests/traces/FORMAT.md) and compares every answer, line by line. What reads the ops and
//! performs them is the library's (`actix_gossipsub::trace`); here the answers are judged.

pub mod actor_engine;
pub mod alteration;
pub mod canonical;
pub mod folder;
mod proof;
pub mod replay;
pub mod rules;

use actix_gossipsub::trace::{self, Reference};

/// The library's, for the reference's values.
pub type Automaton = trace::Automaton<Reference>;
pub type AutomatonOp = trace::AutomatonOp<Reference>;
pub type NodeEngine = trace::NodeEngine<Reference>;
pub type TraceNetwork = trace::TraceNetwork<Reference>;
pub type WorkerOp = trace::WorkerOp<Reference>;

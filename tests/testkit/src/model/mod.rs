//! This module models a small network around [`Node`](actix_gossipsub::protocol::Node) for property tests. It has the
//! strategies for limits and operations, and the invariants that are checked after each operation.

pub mod answers;
pub mod driver;
pub mod graylist;
pub mod heartbeat;
mod idontwant;
pub mod limits;
pub mod network;
pub mod op;
pub mod outputs;
pub mod penalties;
pub mod rules;
pub mod state;
pub mod statistics;

use proptest::test_runner::TestCaseError;

/// The result of a check.
pub type Checked = Result<(), TestCaseError>;

//! A small world around [`Node`](actix_gossipsub::protocol::Node) for the properties: networks, limits
//! and operations to choose from, and what must hold after each operation. Decides nothing itself.

pub mod answers;
pub mod driver;
pub mod heartbeat;
pub mod limits;
pub mod network;
pub mod op;
pub mod outputs;
pub mod rules;
pub mod state;
pub mod tally;
mod unwanted;
pub mod wrongs;

use proptest::test_runner::TestCaseError;

/// What a check answers.
pub type Checked = Result<(), TestCaseError>;

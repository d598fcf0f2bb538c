//! The code that the benches `wire` and `attack` share: nodes of rust-libp2p's gossipsub, and processes that a coordinator
//! controls.

pub mod clock;
pub mod content;
pub mod latency;
pub mod libp2p_node;
pub mod plan;
pub mod remote;
pub mod swarm;
pub mod tcp;

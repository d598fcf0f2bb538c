//! placeholder
#![forbid(unsafe_code)]

mod actors;
mod directory;
#[cfg(feature = "libp2p")]
pub mod libp2p;
pub mod limits;
mod metrics;
mod network;
pub mod protocol;
mod worker;

pub use actors::clock::{Clock, ManualClock, SystemClock};
pub use limits::{InvalidLimits, Limits, LimitsConfig};
pub use network::*;
pub use worker::{
    AppOutputs, Fault, P2pOutputs, Refused, StartError, Started, Stopped, Worker, WorkerBuilder,
};

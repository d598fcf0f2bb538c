//! placeholder
#![forbid(unsafe_code)]

pub mod limits;
mod network;
pub mod protocol;

pub use network::*;

//! A node: the driver task that ties the ready-made swarm to an engine, and [`Node`](builder::Node), which starts
//! swarm, engine and driver for an application.

#[cfg(feature = "libp2p-node")]
pub(super) mod builder;
#[cfg(feature = "libp2p-node")]
pub(super) mod driver;
pub(super) mod engine;
pub(super) mod engine_inputs;
#[cfg(feature = "libp2p-node")]
pub(super) mod error;
#[cfg(feature = "libp2p-node")]
pub(super) mod handle;
mod pending_inputs;
pub(super) mod transfer;

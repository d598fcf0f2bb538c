//! A task that ties the ready-made swarm to an engine.

pub(super) mod driver;
pub(super) mod engine;
pub(super) mod handle;
pub(super) mod outputs;
pub(super) mod pending_inputs;

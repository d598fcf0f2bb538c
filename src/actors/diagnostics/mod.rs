//! TODO

pub(crate) mod health;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod refusals;
pub(crate) mod sampler;

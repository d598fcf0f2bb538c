//! TODO

pub(crate) mod actor;
pub(crate) mod messages;
mod restarts;
mod topics;

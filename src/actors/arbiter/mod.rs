//! TODO

pub(crate) mod actor;
pub(in crate::actors) mod burst;
pub(crate) mod mailbox;
pub(crate) mod outgoing;
mod topics;

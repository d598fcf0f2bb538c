//! TODO

pub(crate) mod actor;
pub(crate) mod messages;

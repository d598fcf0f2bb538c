//! TODO

pub(crate) mod actor;

//! TODO

pub(crate) mod actor;
pub(crate) mod messages;
pub(crate) mod peer_message;
pub(crate) mod topic;
pub(in crate::actors) mod validation;

//! The signatures of messages: what the policy of a network demands of each message, the messages that were verified,
//! and the ids of those that break the policy.

pub(super) mod authenticity;
pub(super) mod digest;
pub(super) mod policy;
pub(super) mod validation;
pub(super) mod verified;

//! The signatures of messages: what the policy of a network demands of each message, and a cache of results.

pub(super) mod cache;
pub(super) mod policy;

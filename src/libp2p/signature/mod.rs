//! Who published a message: signature policies, and a cache of the signatures that were checked.

pub(super) mod cache;
pub(super) mod policy;

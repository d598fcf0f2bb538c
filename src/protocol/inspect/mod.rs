//! Serializable snapshots of the state: views, footprint and statistics.

pub(crate) mod footprint;
pub(crate) mod memory;
pub(crate) mod stats;
pub(crate) mod view;

//! The behaviour of a rust-libp2p swarm, and a ready-made swarm around it.

pub(super) mod address_book;
pub(super) mod behaviour;
pub(super) mod bounded_map;
pub(super) mod builder;
pub(super) mod connections;
pub(super) mod dials;
pub(super) mod event;
pub(super) mod inputs;

//! Gossipsub on a rust-libp2p swarm: the behaviour, which owns what is common to all connections, and a ready-made
//! swarm around it.

pub(super) mod behaviour;
mod block_list;
pub(super) mod builder;
pub(super) mod config;
mod connections;
mod dials;
pub(super) mod event;
mod muxer;
mod socket;
mod threads;

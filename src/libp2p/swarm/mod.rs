//! Gossipsub on a rust-libp2p swarm: the behaviour, which owns what is common to all connections, and, with the feature
//! `libp2p-node`, a ready-made swarm around it.

pub(super) mod behaviour;
mod block_list;
#[cfg(feature = "libp2p-node")]
pub(super) mod builder;
pub(super) mod config;
mod connections;
mod dials;
pub(super) mod event;
#[cfg(feature = "libp2p-node")]
mod muxer;
mod outputs;
#[cfg(feature = "libp2p-node")]
mod socket;
#[cfg(feature = "libp2p-node")]
mod threads;

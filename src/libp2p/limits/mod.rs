//! The limits on connections: how many there are in total, for each peer, address and subnet, and how fast they follow
//! each other. The scopes are those of go-libp2p's resource manager: the system, the connections that are not identified
//! yet, and each peer.
//!
//! `table` decides and is pure; `behaviour` connects it to a swarm.

pub(super) mod behaviour;
pub(super) mod config;
mod machine;
mod scope;
mod subnets;
mod table;

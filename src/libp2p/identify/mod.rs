//! Identify (`/ipfs/id/1.0.0`, `/ipfs/id/push/1.0.0`) for the ready-made swarm: peers learn our protocols, our listen
//! addresses and our signed peer record, and we learn theirs.
//!
//! The identify of rust-libp2p 0.57 knows only a signature domain and a type of records that are its own. A record of that
//! kind makes the identify of js-libp2p fail, so that it does not know our protocols; go-libp2p ignores it; and the records
//! of both are dropped, so that a PRUNE could not carry them. Its cache also dials what peers report, whatever
//! [`BehaviourConfig::addresses`](crate::libp2p::BehaviourConfig::addresses) says.

pub(super) mod behaviour;
mod message;
mod upgrade;

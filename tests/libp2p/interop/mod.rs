//! These tests connect a whole node of this crate (swarm, transport and engine) to nodes of the official rust-libp2p
//! gossipsub over TCP on loopback. They assert only observable behaviour: delivered messages, the state of the official
//! peers, and the inputs and outputs of the engine. Every wait is for an event and has a time limit.

mod first;
mod forgery;
mod gossip;
mod idontwant;
mod keys;
mod leave_and_return;
mod line;
mod mesh;
mod ours;
mod policies;
mod protocols;
mod raw_message;
mod reconnect;
mod restart;
mod size_limit;
mod theirs;
mod wait;

use crate::transport::support as raw;

/// The topic of all tests.
const TOPIC: &str = "news";

/// Whether messages are signed, on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signing {
    Strict,
    Anonymous,
}

/// A message in a form that both sides have: its id in hexadecimal, and its data.
type IdAndData = (String, Vec<u8>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! A whole node of ours (swarm, transport and engine) with nodes of the official rust-libp2p gossipsub, over
//! real sockets on loopback. Nothing here looks inside: what is asserted is what the applications get,
//! what the official peers know, and what our engine was told and said. It never waits for a time to
//! pass, only for something to happen, and then not for ever.

mod forgery;
mod gossip;
mod line;
mod mesh;
mod ours;
mod reconnect;
mod theirs;
mod unwanted;
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

/// A message as both sides can show it: its id in hexadecimal, and its data.
type Shown = (String, Vec<u8>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

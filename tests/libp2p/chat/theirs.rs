//! The chat with the gossipsub of rust-libp2p.

use libp2p::gossipsub;

// The file of the examples, which takes `gossipsub` from its parent.
#[path = "../../../examples/chat/chat.rs"]
pub mod chat;

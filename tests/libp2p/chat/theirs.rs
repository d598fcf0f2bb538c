//! The chat with the gossipsub of rust-libp2p.

use libp2p::gossipsub;

#[path = "../../../examples/chat/chat.rs"]
pub mod chat;

//! The chat with the gossipsub of this crate.

use actix_gossipsub::libp2p::gossipsub;

// The file of the examples, which takes `gossipsub` from its parent.
#[path = "../../../examples/chat/chat.rs"]
pub mod chat;

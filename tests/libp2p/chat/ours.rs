//! The chat with the gossipsub of this crate.

use actix_gossipsub::libp2p::gossipsub;

#[path = "../../../examples/chat/chat.rs"]
pub mod chat;

//! The chat of `libp2p_chat` with the gossipsub of rust-libp2p: only one line differs, and both can be in one chat.
//!
//! `cargo run --example rust_libp2p_chat --features libp2p`

use libp2p::gossipsub;

// The chat itself is compiled once with each gossipsub, which the file takes from its parent by the same name. So both examples
// include it by its path.
#[path = "chat/chat.rs"]
mod chat;
#[path = "chat/terminal.rs"]
mod terminal;

#[tokio::main]
async fn main() -> Result<(), chat::ChatError> {
    terminal::terminal("cargo run --example rust_libp2p_chat --features libp2p --").await
}

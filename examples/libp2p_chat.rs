//! A chat over libp2p gossipsub. Each line that you type goes to all terminals of the chat.
//!
//! `cargo run --example libp2p_chat --features libp2p` in the first terminal; it prints the command for the others. Those of
//! `rust_libp2p_chat`, the same program with the gossipsub of rust-libp2p, can join too: only one line differs.

use actix_gossipsub::libp2p::gossipsub;

// The chat itself is compiled once with each gossipsub, which the file takes from its parent by the same name. So both examples
// include it by its path.
#[path = "chat/chat.rs"]
mod chat;
#[path = "chat/terminal.rs"]
mod terminal;

#[tokio::main]
async fn main() -> Result<(), chat::ChatError> {
    terminal::terminal("cargo run --example libp2p_chat --features libp2p --").await
}

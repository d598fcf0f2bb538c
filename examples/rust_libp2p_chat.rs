//! The chat of `libp2p_chat` with the gossipsub of rust-libp2p: only one line differs, and both can be in one chat.
//!
//! `cargo run --example rust_libp2p_chat --features libp2p`

mod chat {
    use libp2p::gossipsub;

    include!("chat/chat.rs");
    include!("chat/terminal.rs");
}

#[tokio::main]
async fn main() -> Result<(), chat::ChatError> {
    chat::terminal("cargo run --example rust_libp2p_chat --features libp2p --").await
}

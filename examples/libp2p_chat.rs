//! A chat over libp2p gossipsub. Each line that you type goes to all terminals of the chat.
//!
//! `cargo run --example libp2p_chat --features libp2p-node` in the first terminal; it prints the command for the others.

use actix_gossipsub::libp2p::{Keypair, Node};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

const TOPIC: &str = "chat";

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Node::builder(Keypair::generate_ed25519()).listen("/ip4/127.0.0.1/tcp/0").topic(TOPIC);
    for address in std::env::args().skip(1) {
        builder = builder.dial(address.as_str());
    }
    let (node, mut received) = builder.start().await?;
    println!(
        "others join by: cargo run --example libp2p_chat --features libp2p-node -- {}",
        node.addresses()[0]
    );

    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                // The ticket reports the peers that the line was sent to; a chat does not wait for it.
                if let Err(error) = node.publish(TOPIC, line) {
                    eprintln!("not published: {error}");
                }
            }
            message = received.recv() => {
                let Some(message) = message else { break };
                let sender = message.message.source().map_or_else(String::new, |peer| peer.to_string());
                let name = &sender[sender.len().saturating_sub(6)..];
                println!("{name}: {}", String::from_utf8_lossy(message.message.data()));
            }
        }
    }
    node.shutdown().await;
    Ok(())
}

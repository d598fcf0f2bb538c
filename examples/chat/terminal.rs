//! The chat in a terminal: the addresses of other chats are arguments.

use libp2p::identity::Keypair;
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    sync::mpsc,
};

use super::chat::{ChatError, chat, swarm};

/// Runs until the input ends. `command` starts another chat.
pub async fn terminal(command: &str) -> Result<(), ChatError> {
    let dial = std::env::args().skip(1).map(|address| address.parse()).collect::<Result<_, _>>()?;
    let (sender, lines) = mpsc::channel(16);
    let (output, mut printed) = mpsc::channel(16);
    let chat = tokio::spawn(chat(swarm(Keypair::generate_ed25519())?, dial, lines, output));
    let mut input = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = input.next_line() => match line? {
                Some(line) => sender.send(line).await?,
                None => return Ok(()),
            },
            line = printed.recv() => match line {
                Some(line) => match line.strip_prefix("listening on ") {
                    Some(address) => println!("others join by: {command} {address}"),
                    None => println!("{line}"),
                },
                None => return chat.await?,
            },
        }
    }
}

//! The chat of `libp2p_chat.rs` and `rust_libp2p_chat.rs`. It is written once and compiles with both gossipsubs: the module
//! above it imports one of them as `gossipsub`.

use std::error::Error;

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, identify,
    identity::Keypair,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::sync::mpsc;

use super::gossipsub;

/// Errors that cross threads.
pub type ChatError = Box<dyn Error + Send + Sync>;

#[derive(NetworkBehaviour)]
pub struct Chat {
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
}

/// A swarm that is subscribed to the topic of the chat.
pub fn swarm(key: Keypair) -> Result<Swarm<Chat>, ChatError> {
    let config =
        gossipsub::ConfigBuilder::default().validation_mode(gossipsub::ValidationMode::Strict).build()?;
    let authenticity = gossipsub::MessageAuthenticity::Signed(key.clone());
    let mut gossipsub = gossipsub::Behaviour::new(authenticity, config)?;
    gossipsub.subscribe(&gossipsub::IdentTopic::new("chat"))?;
    let identify = identify::Behaviour::new(identify::Config::new("/chat/1".to_owned(), key.public()));
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Chat { gossipsub, identify })?
        .build();
    Ok(swarm)
}

/// Sends each of `lines` to the chat, and passes what happens to `output`, until either is closed.
pub async fn chat(
    mut swarm: Swarm<Chat>,
    dial: Vec<Multiaddr>,
    mut lines: mpsc::Receiver<String>,
    output: mpsc::Sender<String>,
) -> Result<(), ChatError> {
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    for address in dial {
        swarm.dial(address)?;
    }
    let topic = gossipsub::IdentTopic::new("chat");
    let name = |peer: &str| peer[peer.len().saturating_sub(6)..].to_owned();
    loop {
        let line = tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                match swarm.behaviour_mut().gossipsub.publish(topic.clone(), line) {
                    Ok(_) => continue,
                    Err(error) => format!("not published: {error}"),
                }
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => format!("listening on {address}"),
                SwarmEvent::Behaviour(ChatEvent::Gossipsub(event)) => match event {
                    gossipsub::Event::Message { message, .. } => {
                        let source = message.source.map_or_else(String::new, |peer| peer.to_string());
                        format!("{}: {}", name(&source), String::from_utf8_lossy(&message.data))
                    }
                    gossipsub::Event::Subscribed { peer_id, .. } => {
                        format!("{} is here", name(&peer_id.to_string()))
                    }
                    _ => continue,
                },
                _ => continue,
            },
        };
        if output.send(line).await.is_err() {
            return Ok(());
        }
    }
}

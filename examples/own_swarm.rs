//! Gossipsub in a swarm of your own, beside identify, Kademlia and mDNS: nodes of one local network find each other and
//! publish the time.
//!
//! `cargo run --example own_swarm --features libp2p` in two terminals. Addresses of other nodes may be arguments.

use std::{error::Error, time::Duration};

use actix_gossipsub::libp2p::{AddressFilter, ConnectionLimits, LimitsBehaviour, gossipsub};
use futures::StreamExt;
use libp2p::{
    Multiaddr, SwarmBuilder, identify,
    kad::{self, store::MemoryStore},
    mdns, noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

#[derive(NetworkBehaviour)]
struct Behaviours {
    /// The first one: it refuses a connection at the least cost.
    limits: LimitsBehaviour,
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
    kademlia: kad::Behaviour<MemoryStore>,
    mdns: mdns::tokio::Behaviour,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let peer = key.public().to_peer_id();
            let config = gossipsub::ConfigBuilder::default()
                // This example is for a local network.
                .transport(|transport| transport.addresses = AddressFilter::Any)
                .build()?;
            let authenticity = gossipsub::MessageAuthenticity::Signed(key.clone());
            let gossipsub = gossipsub::Behaviour::new(authenticity, config)?;
            Ok(Behaviours {
                limits: gossipsub.limits_behaviour(ConnectionLimits::default()),
                gossipsub,
                identify: identify::Behaviour::new(identify::Config::new("/own/1".to_owned(), key.public())),
                kademlia: kad::Behaviour::new(peer, MemoryStore::new(peer)),
                mdns: mdns::tokio::Behaviour::new(mdns::Config::default(), peer)?,
            })
        })?
        .build();
    let topic = gossipsub::IdentTopic::new("time");
    swarm.behaviour_mut().gossipsub.subscribe(&topic)?;
    swarm.listen_on("/ip4/0.0.0.0/tcp/0".parse()?)?;
    for address in std::env::args().skip(1) {
        swarm.dial(address.parse::<Multiaddr>()?)?;
    }

    let mut clock = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
                swarm.behaviour_mut().gossipsub.publish(topic.clone(), now.to_string())?;
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => println!("listening on {address}"),
                SwarmEvent::Behaviour(BehavioursEvent::Mdns(mdns::Event::Discovered(peers))) => {
                    for (peer, address) in peers {
                        swarm.behaviour_mut().kademlia.add_address(&peer, address);
                        // An error means that the peer is connected or being dialled.
                        let _ = swarm.dial(peer);
                    }
                }
                SwarmEvent::Behaviour(BehavioursEvent::Identify(identify::Event::Received {
                    peer_id, info, ..
                })) => {
                    for address in info.listen_addrs {
                        swarm.behaviour_mut().kademlia.add_address(&peer_id, address);
                    }
                }
                SwarmEvent::Behaviour(BehavioursEvent::Gossipsub(gossipsub::Event::Message {
                    propagation_source, message, ..
                })) => {
                    println!("{}, by {propagation_source}", String::from_utf8_lossy(&message.data));
                }
                _ => {}
            },
        }
    }
}

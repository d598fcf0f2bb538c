//! A ready-made swarm: TCP (and QUIC with the feature `quic`), noise, yamux, identify, ping, connection limits and
//! gossipsub. An application with a swarm of its own composes [`Behaviour`] into that instead.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ::libp2p::{
    Swarm, SwarmBuilder,
    connection_limits::{self, ConnectionLimits},
    identify,
    identity::Keypair,
    noise, ping,
    swarm::NetworkBehaviour,
    tcp,
};

use super::{
    behaviour::Behaviour,
    config::BehaviourConfig,
    event::Event,
    muxer::{Muxing, windows_at_most},
};
use crate::libp2p::network::Libp2pNetwork;

/// The settings of the ready-made swarm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// The settings of gossipsub.
    pub gossipsub: BehaviourConfig,
    /// The agent version that identify reports to peers; by default this crate's name and version.
    pub agent: String,
    /// How long a connection without any stream stays open; by default 30 s.
    pub idle_timeout: Duration,
    /// Most connections in total; by default 1,024.
    pub max_connections: u32,
    /// Most connections to one peer; by default 4.
    pub max_connections_per_peer: u32,
    /// Most inbound connections that are not negotiated yet; by default 256.
    pub max_pending_incoming: u32,
}

impl TransportConfig {
    /// Applies `change` and returns the result: `TransportConfig::default().with(|c| c.max_connections = 64)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The most bytes of heap that the transport uses while each of `max_connections` does its worst: what gossipsub uses
    /// ([`BehaviourConfig::memory_at_most`]), and the windows of yamux or QUIC. With the default settings 1,344 MiB,
    /// of which 192 MiB do not depend on the number of connections. The address book and the signature cache are not
    /// included.
    pub fn memory_at_most(&self) -> usize {
        let connections = self.max_connections as usize;
        self.gossipsub.memory_at_most(connections).saturating_add(windows_at_most(connections))
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            gossipsub: BehaviourConfig::default(),
            agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_timeout: Duration::from_secs(30),
            max_connections: 1_024,
            max_connections_per_peer: 4,
            max_pending_incoming: 256,
        }
    }
}

/// The behaviours of the ready-made swarm.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "TransportBehaviourEvent")]
pub struct TransportBehaviour {
    /// The limits on connections. The first field, since it refuses most connections at the least cost.
    pub limits: connection_limits::Behaviour,
    /// Gossipsub.
    pub gossipsub: Behaviour,
    /// Identify: js-libp2p opens no gossipsub stream to a peer without it.
    pub identify: identify::Behaviour,
    /// Ping: it finds dead connections.
    pub ping: ping::Behaviour,
}

/// An event of one of the behaviours of the ready-made swarm.
#[derive(Debug)]
pub enum TransportBehaviourEvent {
    /// An event of gossipsub.
    Gossipsub(Event),
    /// An event of identify; boxed, since it is much larger than the others.
    Identify(Box<identify::Event>),
    /// An event of ping.
    Ping(ping::Event),
}

impl From<Infallible> for TransportBehaviourEvent {
    /// The limits on connections have no events.
    fn from(event: Infallible) -> Self {
        match event {}
    }
}

impl From<Event> for TransportBehaviourEvent {
    fn from(event: Event) -> Self {
        Self::Gossipsub(event)
    }
}

impl From<identify::Event> for TransportBehaviourEvent {
    fn from(event: identify::Event) -> Self {
        Self::Identify(Box::new(event))
    }
}

impl From<ping::Event> for TransportBehaviourEvent {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

/// Why a swarm can't be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The noise handshake can't use the key.
    #[error("the key can't be used with noise: {0}")]
    Noise(#[from] noise::Error),
}

/// Creates the ready-made swarm.
///
/// `key` is the identity of the node. The key that signs messages is part of the network's signature policy and is
/// usually the same one. Each connection runs as a task of its own on the current tokio runtime.
///
/// # Errors
/// The key can't be used with noise.
///
/// # Panics
/// Outside a tokio runtime.
pub fn swarm(
    key: Keypair,
    network: Libp2pNetwork,
    config: &TransportConfig,
) -> Result<Swarm<TransportBehaviour>, TransportError> {
    let state = Arc::clone(network.state());
    let behaviour = TransportBehaviour {
        limits: connection_limits::Behaviour::new(limits(config)),
        gossipsub: Behaviour::new(network, config.gossipsub.clone()),
        identify: identify::Behaviour::new(
            identify::Config::new("ipfs/0.1.0".to_owned(), key.public())
                .with_agent_version(config.agent.clone()),
        ),
        ping: ping::Behaviour::default(),
    };
    let builder = SwarmBuilder::with_existing_identity(key).with_tokio().with_tcp(
        tcp::Config::default().nodelay(true),
        noise::Config::new,
        || Muxing::new(state),
    )?;
    #[cfg(feature = "quic")]
    let builder = builder.with_quic_config(|mut quic| {
        // As much as yamux has for a connection.
        quic.max_concurrent_stream_limit = 16;
        quic.max_stream_data = 256 << 10;
        quic.max_connection_data = 768 << 10;
        quic
    });
    let Ok(builder) = builder.with_behaviour(|_| behaviour);
    let idle_timeout = config.idle_timeout;
    Ok(builder.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(idle_timeout)).build())
}

fn limits(config: &TransportConfig) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_established(Some(config.max_connections))
        .with_max_established_per_peer(Some(config.max_connections_per_peer))
        .with_max_pending_incoming(Some(config.max_pending_incoming))
}

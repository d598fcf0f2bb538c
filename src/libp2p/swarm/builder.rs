//! A ready-made swarm: TCP (and QUIC with the feature `quic`), noise, yamux, identify, ping, connection limits and
//! gossipsub. An application with a swarm of its own composes [`Behaviour`] into that instead.

use std::{convert::Infallible, io, thread::available_parallelism, time::Duration};

use ::libp2p::{
    PeerId, Swarm, Transport,
    connection_limits::{self, ConnectionLimits},
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, timeout::TransportTimeout},
        upgrade::Version,
    },
    identify,
    identity::Keypair,
    noise, ping,
    swarm::{self, NetworkBehaviour},
    tcp, yamux,
};

use super::{behaviour::Behaviour, config::BehaviourConfig, event::Event, threads::ConnectionThreads};
use crate::libp2p::network::Libp2pNetwork;

/// How long a new connection may take until it is encrypted and multiplexed.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The threads of the connections, which negotiate, decrypt, decode and verify signatures. By default as many as there
    /// are cores, and at least 2, so that one busy connection does not stop the others. With 0, connections run on the
    /// tokio runtime in which the swarm is created.
    pub connection_threads: usize,
}

impl TransportConfig {
    /// Applies `change` and returns the result: `TransportConfig::default().with(|c| c.max_connections = 64)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
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
            connection_threads: available_parallelism().map_or(2, |cores| cores.get().max(2)),
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
    /// The threads of the connections can't be started.
    #[error("the threads of the connections can't be started: {0}")]
    Threads(io::Error),
}

/// Creates the ready-made swarm.
///
/// `key` is the identity of the node. The key that signs messages is part of the network's signature policy and is
/// usually the same one. Each connection runs as a task of its own on the
/// [`connection_threads`](TransportConfig::connection_threads), which end when the swarm is dropped.
///
/// # Errors
/// The key can't be used with noise, or the threads can't be started.
///
/// # Panics
/// Outside a tokio runtime.
pub fn swarm(
    key: Keypair,
    network: Libp2pNetwork,
    config: &TransportConfig,
) -> Result<Swarm<TransportBehaviour>, TransportError> {
    let behaviour = TransportBehaviour {
        limits: connection_limits::Behaviour::new(limits(config)),
        gossipsub: Behaviour::new(network, config.gossipsub.clone()),
        identify: identify::Behaviour::new(
            identify::Config::new("ipfs/0.1.0".to_owned(), key.public())
                .with_agent_version(config.agent.clone()),
        ),
        ping: ping::Behaviour::default(),
    };
    let threads = ConnectionThreads::start(config.connection_threads).map_err(TransportError::Threads)?;
    let (transport, peer) = (transport(&key, &threads)?, key.public().to_peer_id());
    let swarm_config =
        swarm::Config::with_executor(threads).with_idle_connection_timeout(config.idle_timeout);
    Ok(Swarm::new(transport, behaviour, peer, swarm_config))
}

/// TCP with noise and yamux, and QUIC with the feature `quic`.
fn transport(
    key: &Keypair,
    threads: &ConnectionThreads,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(muxer())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    #[cfg(feature = "quic")]
    let transport = transport
        .or_transport(
            ::libp2p::quic::tokio::Transport::new(::libp2p::quic::Config::new(key))
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))),
        )
        .map(|either, _| either.into_inner());
    let transport = TransportTimeout::new(transport, NEGOTIATION_TIMEOUT);
    Ok(threads.run_sockets_of(transport.boxed()).boxed())
}

/// Limits the memory of a connection. A peer that answers late can make rust-libp2p's yamux widen the windows of a
/// connection to 1 GiB in total, and then fill them while we don't read. Only the number of streams can be set, each of
/// which is guaranteed 256 KiB of that sum: 4,032 streams leave 16 MiB for wider windows. Far fewer streams are
/// accepted at a time.
fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(4_032);
    config
}

fn limits(config: &TransportConfig) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_established(Some(config.max_connections))
        .with_max_established_per_peer(Some(config.max_connections_per_peer))
        .with_max_pending_incoming(Some(config.max_pending_incoming))
}

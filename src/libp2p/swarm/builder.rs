//! A ready-made swarm: TCP (and QUIC with the feature `quic`), noise, yamux, DNS, identify, ping, limits on connections
//! and gossipsub. An application with a swarm of its own composes [`Behaviour`] into that instead.

use std::{convert::Infallible, io, sync::Arc, thread::available_parallelism, time::Duration};

use ::libp2p::{
    PeerId, Swarm, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{
            Boxed,
            dummy::DummyTransport,
            timeout::{TransportTimeout, TransportTimeoutError},
        },
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    noise, ping,
    swarm::{self, NetworkBehaviour},
    tcp,
};

use super::{
    behaviour::Behaviour,
    config::BehaviourConfig,
    event::Event,
    muxer::{Muxing, windows_at_most},
    socket::Socket,
    threads::ConnectionThreads,
};
use crate::{
    libp2p::{
        identify::behaviour::IdentifyBehaviour,
        limits::{behaviour::LimitsBehaviour, config::ConnectionLimits},
        network::Libp2pNetwork,
        state::refusals::RefusedConnections,
    },
    limits::{InvalidLimits, check::Violations},
};

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
    /// A TCP connection is closed if writing to its socket, or closing it, makes no progress for this time; by default
    /// 30 s. [`BehaviourConfig::write_timeout`] finds peers that read slowly; this finds those that read nothing at all.
    pub write_timeout: Duration,
    /// The limits on connections.
    pub connections: ConnectionLimits,
    /// The threads of the connections, which negotiate, decrypt, decode and verify signatures. By default as many as there
    /// are cores, and at least 2, so that one busy connection does not stop the others. With 0, connections run on the
    /// tokio runtime in which the swarm is created.
    pub connection_threads: usize,
}

impl TransportConfig {
    /// Applies `change` and returns the result: `TransportConfig::default().with(|c| c.connections.system.inbound = 64)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks the rules. [`swarm()`] does so too.
    ///
    /// # Errors
    /// A field violates a rule; the error names all of them.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        let mut violations = Violations::default();
        violations.positive("idle_timeout", self.idle_timeout);
        violations.positive("write_timeout", self.write_timeout);
        violations.within("connections", |violations| self.connections.check_fields(violations));
        violations.into_result()
    }

    /// The most bytes of heap that the transport uses while each of the connections of the system's scope does its worst:
    /// what gossipsub uses ([`BehaviourConfig::memory_at_most`]), and the windows of yamux or QUIC. With the default settings
    /// 1,360 MiB, of which 192 MiB do not depend on the number of connections. The address book and the verified messages
    /// are not included.
    pub fn memory_at_most(&self) -> usize {
        let connections = self.connections.system.connections as usize;
        let windows = windows_at_most(connections, self.connections.shared_streams as usize);
        self.gossipsub.memory_at_most(connections).saturating_add(windows)
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            gossipsub: BehaviourConfig::default(),
            agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            connections: ConnectionLimits::default(),
            connection_threads: available_parallelism().map_or(2, |cores| cores.get().max(2)),
        }
    }
}

/// The behaviours of the ready-made swarm.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "TransportBehaviourEvent")]
pub struct TransportBehaviour {
    /// The limits on connections. The first field, since it refuses most connections at the least cost.
    pub limits: LimitsBehaviour,
    /// Gossipsub.
    pub gossipsub: Behaviour,
    /// Identify: js-libp2p opens no gossipsub stream to a peer without it.
    pub identify: IdentifyBehaviour,
    /// Ping: it finds dead connections.
    pub ping: ping::Behaviour,
}

/// An event of one of the behaviours of the ready-made swarm.
#[derive(Debug)]
pub enum TransportBehaviourEvent {
    /// An event of the limits on connections.
    Limits(RefusedConnections),
    /// An event of gossipsub.
    Gossipsub(Event),
    /// An event of ping.
    Ping(ping::Event),
}

impl From<RefusedConnections> for TransportBehaviourEvent {
    fn from(event: RefusedConnections) -> Self {
        Self::Limits(event)
    }
}

impl From<Event> for TransportBehaviourEvent {
    fn from(event: Event) -> Self {
        Self::Gossipsub(event)
    }
}

impl From<Infallible> for TransportBehaviourEvent {
    fn from(event: Infallible) -> Self {
        match event {}
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
    /// Fields of the configuration violate rules.
    #[error(transparent)]
    Config(#[from] InvalidLimits),
    /// The threads of the connections can't be started.
    #[error("the threads of the connections can't be started: {0}")]
    Threads(io::Error),
    /// The configuration of DNS changed while it was read.
    #[error("the configuration of DNS can't be read: {0}")]
    Names(io::Error),
}

/// Creates the ready-made swarm.
///
/// `key` is the identity of the node. The key that signs messages is part of the network's signature policy and is
/// usually the same one. Addresses that are dialled may contain names (`/dns4/…`, `/dnsaddr/…`). Each connection runs as a task of its own on the
/// [`connection_threads`](TransportConfig::connection_threads), which end when the swarm is dropped.
///
/// # Errors
/// The configuration violates rules, the key can't be used with noise, or the threads can't be started.
///
/// # Panics
/// Outside a tokio runtime.
pub fn swarm(
    key: Keypair,
    network: Libp2pNetwork,
    config: &TransportConfig,
) -> Result<Swarm<TransportBehaviour>, TransportError> {
    config.check()?;
    let limits = config.connections.clone().effective();
    let muxing = Muxing::new(Arc::clone(network.state()), &limits);
    let threads = ConnectionThreads::start(config.connection_threads).map_err(TransportError::Threads)?;
    let transport = transport(&key, &network, config.write_timeout, &muxing, &threads)?;
    let peer = key.public().to_peer_id();
    let protocols = config.gossipsub.offered().map(|protocol| protocol.to_string());
    let protocols = protocols.chain([ping::PROTOCOL_NAME.to_string()]);
    let mut limits = LimitsBehaviour::new(&network, limits, config.gossipsub.privileged());
    // An engine that decides on direct peers takes the place of this.
    let direct = config.gossipsub.direct.clone();
    limits.set_direct(Some(Arc::new(move |peer| direct.contains(peer))));
    let behaviour = TransportBehaviour {
        limits,
        identify: IdentifyBehaviour::new(
            key,
            &network,
            config.agent.clone(),
            protocols,
            config.gossipsub.addresses,
        ),
        gossipsub: Behaviour::new(network, config.gossipsub.clone()),
        ping: ping::Behaviour::default(),
    };
    let swarm_config =
        swarm::Config::with_executor(threads).with_idle_connection_timeout(config.idle_timeout);
    Ok(Swarm::new(transport, behaviour, peer, swarm_config))
}

/// TCP with noise and yamux, and QUIC with the feature `quic`, at addresses that may contain names. The sockets run on
/// `threads`.
fn transport(
    key: &Keypair,
    network: &Libp2pNetwork,
    write_timeout: Duration,
    muxing: &Muxing,
    threads: &ConnectionThreads,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let state = Arc::clone(network.state());
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |stream, point| {
            Socket::new(stream, write_timeout, state.clone(), point.get_remote_address().clone())
        })
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(muxing.clone())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        // Without `Either`, whose source leaves out what it contains.
        .map_err(|error| {
            error.either(|error| error.either(|error| error, io::Error::other), io::Error::other)
        });
    #[cfg(feature = "quic")]
    let transport = {
        let muxing = muxing.clone();
        let mut config = ::libp2p::quic::Config::new(key);
        // As much as yamux has for a connection.
        config.max_concurrent_stream_limit = 16;
        config.max_stream_data = 256 << 10;
        config.max_connection_data = 768 << 10;
        let quic = ::libp2p::quic::tokio::Transport::new(config)
            .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(muxing.clone().bound()(muxer))));
        let either = transport.or_transport(quic).map(|either, _| either.into_inner());
        either.map_err(|error| error.either(|error| error, io::Error::other))
    };
    let transport = with_names(transport).map_err(TransportError::Names)?;
    let transport = TransportTimeout::new(transport, NEGOTIATION_TIMEOUT).map_err(with_kind);
    Ok(threads.run_sockets_of(transport.boxed()).boxed())
}

/// The error as one of the operating system that means the same.
fn with_kind(error: TransportTimeoutError<dns::Error<io::Error>>) -> io::Error {
    match error {
        TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        TransportTimeoutError::TimerError(error) => error,
        TransportTimeoutError::Other(error) => io::Error::new(kind_of(&error), error),
    }
}

fn kind_of(error: &dns::Error<io::Error>) -> io::ErrorKind {
    match error {
        dns::Error::Transport(error) => error.kind(),
        dns::Error::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported,
        dns::Error::ResolveError(_) | dns::Error::TooManyLookups => io::ErrorKind::NotFound,
        dns::Error::Dial(errors) => errors.last().map_or(io::ErrorKind::Other, kind_of),
    }
}

/// Resolves the names in dialled addresses, as the system is configured. Without a configuration only those of its hosts file
/// are known.
fn with_names<T>(transport: T) -> io::Result<dns::tokio::Transport<T>> {
    // The constructor drops the transport if it fails, so it is tried first.
    let Err(error) = dns::tokio::Transport::system(DummyTransport::<()>::new()) else {
        return dns::tokio::Transport::system(transport);
    };
    tracing::warn!(%error, "names are not resolved: the system has no configuration of DNS");
    let (config, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
    Ok(dns::tokio::Transport::custom(transport, config, options))
}

#[cfg(test)]
mod tests {
    use ::libp2p::core::{
        Endpoint,
        transport::{DialOpts, PortUse},
    };

    use super::*;

    #[tokio::test]
    async fn a_transport_without_a_configuration_of_dns_still_dials() {
        let (config, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
        let tcp = tcp::tokio::Transport::new(tcp::Config::default());
        let mut transport = dns::tokio::Transport::custom(tcp, config, options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["ip4/127.0.0.1", "dns4/localhost"] {
            let address = format!("/{host}/tcp/{port}").parse().unwrap();
            let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
            transport.dial(address, opts).unwrap().await.expect("a connection");
        }
    }

    /// A DNS server on loopback that answers each question for a TXT record with this text, and any other one with nothing.
    async fn name_server(text: String) -> (u16, tokio::task::JoinHandle<String>) {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                // After the header of 12 bytes: labels, each with its length before it, an empty one, type and class.
                let (mut end, mut name) = (12, String::new());
                while end < length && query[end] > 0 {
                    let label = &query[end + 1..=end + usize::from(query[end])];
                    name = name + &String::from_utf8_lossy(label) + ".";
                    end += 1 + label.len();
                }
                let question = &query[12..end + 5];
                let is_txt = question[question.len() - 4..] == [0, 16, 0, 1];
                let mut answer =
                    [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_txt), 0, 0, 0, 0], question].concat();
                if is_txt {
                    let length = u8::try_from(text.len()).unwrap();
                    answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, length + 1, length]);
                    answer.extend(text.as_bytes());
                }
                socket.send_to(&answer, from).await.unwrap();
                if is_txt {
                    return name.to_lowercase();
                }
            }
        });
        (port, server)
    }

    #[tokio::test]
    async fn a_dnsaddr_address_is_dialled_at_the_address_of_its_txt_record() {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = listener.local_addr().unwrap();
        let (port, server) = name_server(format!("dnsaddr=/ip4/127.0.0.1/tcp/{}", node.port())).await;
        let mut name_server = NameServerConfig::udp("127.0.0.1".parse().unwrap());
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        name_server.connections = vec![connection];
        let config = dns::ResolverConfig::from_name_servers(vec![name_server]);
        let tcp = tcp::tokio::Transport::new(tcp::Config::default());
        let mut transport = dns::tokio::Transport::custom(tcp, config, dns::ResolverOpts::default());
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let stream = transport.dial("/dnsaddr/node.example.org".parse().unwrap(), opts).unwrap().await;
        assert_eq!(stream.expect("a connection").0.peer_addr().unwrap(), node);
        assert_eq!(server.await.unwrap(), "_dnsaddr.node.example.org.");
    }
}

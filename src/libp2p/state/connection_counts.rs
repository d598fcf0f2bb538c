//! Counts connections by transport and direction, and by the version of gossipsub that they carry; dials by their end, and
//! connections that failed by cause.

use std::{error::Error, io};

use ::libp2p::{
    Multiaddr, TransportError,
    core::{ConnectedPoint, multiaddr::Protocol, upgrade::NegotiationError},
    swarm::{DialError, ListenError},
};
use enum_map::EnumMap;

use crate::network::{ConnectionFailure, DialOutcome, Direction, ProtocolVersion, TransportKind};

/// The number of connections that carry each version.
pub(in crate::libp2p) type Versions = EnumMap<ProtocolVersion, usize>;

/// The counters of all connections. They change a few times for each connection.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::libp2p) struct ConnectionCounts {
    pub(super) open: EnumMap<TransportKind, EnumMap<Direction, usize>>,
    pub(super) carrying: Versions,
    pub(super) dials: EnumMap<DialOutcome, u64>,
    pub(super) failed: EnumMap<Direction, EnumMap<ConnectionFailure, u64>>,
}

impl ConnectionCounts {
    pub(in crate::libp2p) fn on_established(&mut self, endpoint: &ConnectedPoint) {
        *self.open(endpoint) += 1;
        if endpoint.is_dialer() {
            self.dials[DialOutcome::Connected] += 1;
        }
    }

    pub(in crate::libp2p) fn on_closed(&mut self, endpoint: &ConnectedPoint) {
        let open = self.open(endpoint);
        *open = open.saturating_sub(1);
    }

    /// The connections of one peer carry other versions than before.
    pub(in crate::libp2p) fn on_versions_changed(&mut self, before: &Versions, after: &Versions) {
        for (version, carrying) in &mut self.carrying {
            *carrying = (*carrying + after[version]).saturating_sub(before[version]);
        }
    }

    fn open(&mut self, endpoint: &ConnectedPoint) -> &mut usize {
        let transport = transport_of(endpoint.get_remote_address());
        &mut self.open[transport][Direction::outbound_if(endpoint.is_dialer())]
    }

    pub(in crate::libp2p) fn on_dial_failed(&mut self, error: &DialError) {
        let failed = &mut self.failed[Direction::Outbound];
        let outcome = match error {
            DialError::Transport(errors) => {
                errors.iter().for_each(|(_, error)| failed[cause_of(error)] += 1);
                DialOutcome::Failed
            }
            DialError::WrongPeerId { .. } | DialError::LocalPeerId { .. } => {
                failed[ConnectionFailure::WrongPeer] += 1;
                DialOutcome::Failed
            }
            DialError::NoAddresses => DialOutcome::NoAddress,
            DialError::Denied { .. } => DialOutcome::Refused,
            DialError::DialPeerConditionFalse(_) => DialOutcome::Redundant,
            DialError::Aborted => DialOutcome::Aborted,
        };
        self.dials[outcome] += 1;
    }

    pub(in crate::libp2p) fn on_listen_failed(&mut self, error: &ListenError) {
        let cause = match error {
            ListenError::Transport(error) => cause_of(error),
            ListenError::WrongPeerId { .. } | ListenError::LocalPeerId { .. } => ConnectionFailure::WrongPeer,
            ListenError::Aborted => ConnectionFailure::Closed,
            // Counted by the limit that denied it.
            ListenError::Denied { .. } => return,
        };
        self.failed[Direction::Inbound][cause] += 1;
    }
}

fn transport_of(address: &Multiaddr) -> TransportKind {
    let mut kind = TransportKind::Other;
    for protocol in address {
        kind = match protocol {
            Protocol::Tcp(_) => TransportKind::Tcp,
            Protocol::Quic | Protocol::QuicV1 => TransportKind::Quic,
            Protocol::Ws(_) | Protocol::Wss(_) => TransportKind::Websocket,
            Protocol::WebTransport | Protocol::WebRTCDirect => TransportKind::Other,
            Protocol::P2pCircuit => return TransportKind::Relay,
            _ => kind,
        };
    }
    kind
}

fn cause_of(error: &TransportError<io::Error>) -> ConnectionFailure {
    match error {
        TransportError::MultiaddrNotSupported(_) => ConnectionFailure::UnsupportedAddress,
        TransportError::Other(error) => io_cause(error),
    }
}

/// The cause that the first known error in the chain names. A transport wraps the error of its layer several times.
fn io_cause(error: &io::Error) -> ConnectionFailure {
    use io::ErrorKind as Kind;

    match error.kind() {
        Kind::TimedOut => ConnectionFailure::Timeout,
        Kind::Unsupported => ConnectionFailure::UnsupportedAddress,
        // The ready-made swarm gives an unknown name this kind.
        Kind::NotFound => ConnectionFailure::UnknownName,
        Kind::ConnectionRefused
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::AddrNotAvailable
        | Kind::NetworkDown => ConnectionFailure::Unreachable,
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
            ConnectionFailure::Closed
        }
        _ => {
            let inner: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
            inner.map_or(ConnectionFailure::Other, chain_cause)
        }
    }
}

fn chain_cause(error: &(dyn Error + 'static)) -> ConnectionFailure {
    if let Some(error) = error.downcast_ref() {
        return io_cause(error);
    }
    // Its source is not the error that it contains.
    #[cfg(feature = "libp2p-node")]
    if let Some(::libp2p::noise::Error::Io(error)) = error.downcast_ref() {
        return io_cause(error);
    }
    if let Some(NegotiationError::Failed) = error.downcast_ref() {
        return ConnectionFailure::NoCommonProtocol;
    }
    error.source().map_or(ConnectionFailure::Other, chain_cause)
}

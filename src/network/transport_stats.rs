//! The counters of a transport, and the enums by which it counts connections and dials.

use enum_map::{Enum, EnumMap};
use strum::{IntoStaticStr, VariantNames};

use super::{ConnectionRefusal, Direction, PeerRecordOutcome, PxDialOutcome};

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum TransportKind {
    /// TCP without a further protocol that has a name in the address.
    Tcp,
    /// QUIC.
    Quic,
    /// A WebSocket, with or without TLS.
    Websocket,
    /// Another peer that relays the connection.
    Relay,
    /// Anything else, such as WebTransport, WebRTC, or the memory of one process.
    Other,
}

/// A version of gossipsub, or floodsub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, IntoStaticStr, VariantNames)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// Floodsub, the predecessor of gossipsub: subscriptions and messages, and no control messages.
    #[strum(serialize = "floodsub")]
    Floodsub,
    /// Without peer exchange, scores and backoffs.
    #[strum(serialize = "1.0")]
    V1_0,
    /// With them.
    #[strum(serialize = "1.1")]
    V1_1,
    /// With IDONTWANT.
    #[strum(serialize = "1.2")]
    V1_2,
}

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum DialOutcome {
    /// The peer is connected.
    Connected,
    /// No connection was established at any address. [`ConnectionFailure`] has the causes.
    Failed,
    /// The peer has no known address that may be dialled.
    NoAddress,
    /// A limit of this node was reached. [`ConnectionRefusal`] has the limits.
    Refused,
    /// The peer was connected already, or another dial of it was in progress.
    Redundant,
    /// It was given up before it ended.
    Aborted,
}

/// Why a connection was not established, by the error of its transport. A dial of several addresses has one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// Nothing listens at the address, or no route leads to it.
    Unreachable,
    /// The handshake was not complete in time.
    Timeout,
    /// The other side closed the connection during the handshake.
    Closed,
    /// The two sides have no protocol for encryption or multiplexing in common, or the other side closed the connection
    /// while they were looking for one.
    NoCommonProtocol,
    /// The other side has another peer id than the one that was dialled, or it is this node itself.
    WrongPeer,
    /// The name in the address can't be resolved.
    UnknownName,
    /// The address has a transport that this node has not.
    UnsupportedAddress,
    /// Any other error: the encryption failed, or the system refused.
    Other,
}

/// The counters of a transport since its start, and the memory that it uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Bytes received from peers.
    pub received_bytes: u64,
    /// Bytes sent to peers.
    pub sent_bytes: u64,
    /// Inbound streams closed because of an invalid frame.
    pub bad_frames: u64,
    /// Inbound streams closed because a frame was not a valid RPC.
    pub bad_rpcs: u64,
    /// RPCs of graylisted peers, dropped before they were decoded.
    pub graylisted_rpcs: u64,
    /// Inbound streams closed because a frame was not complete in time.
    pub slow_frames: u64,
    /// The memory that the transport has charged now for queues, frames and decoded inputs.
    pub memory_bytes: u64,
    /// Panics of hooks that the transport calls. The engine adds them to those that it has caught.
    pub hook_panics: u64,
    /// Messages whose signature was verified and is right. Copies of a message that is still in memory are not verified
    /// again.
    pub verified_signatures: u64,
    /// Messages that break the signature policy, copies included.
    pub policy_violations: u64,
    /// Entries, message ids and peers of RPCs that were ignored because they are more than the limits allow, and
    /// entries that do not name their topic.
    pub ignored_entries: u64,
    /// Outbound streams that were requested again, because the one before broke or could not be opened.
    pub reopened_streams: u64,
    /// Streams of peers that ended within a frame, or that were dropped for later ones before all of their frames were read.
    pub lost_frames: u64,
    /// Authors whose sequence numbers were forgotten to make room for others: their messages can be replayed once.
    pub replay_evictions: u64,
    pub(crate) refused: EnumMap<ConnectionRefusal, u64>,
    pub(crate) peer_records: EnumMap<PeerRecordOutcome, u64>,
    pub(crate) px_dials: EnumMap<PxDialOutcome, u64>,
    pub(crate) open: EnumMap<TransportKind, EnumMap<Direction, usize>>,
    pub(crate) carrying: EnumMap<ProtocolVersion, usize>,
    pub(crate) dials: EnumMap<DialOutcome, u64>,
    pub(crate) failed: EnumMap<Direction, EnumMap<ConnectionFailure, u64>>,
}

impl TransportStats {
    /// The connections and dials that were refused, and the connections that were closed, for this reason.
    pub fn refused(&self, reason: ConnectionRefusal) -> u64 {
        self.refused[reason]
    }

    /// The signed peer records with which this was done.
    pub fn peer_records(&self, outcome: PeerRecordOutcome) -> u64 {
        self.peer_records[outcome]
    }

    /// The recommended peers (px) of which this became.
    pub fn px_dials(&self, outcome: PxDialOutcome) -> u64 {
        self.px_dials[outcome]
    }

    /// The open connections over this transport in this direction. A peer may have several.
    pub fn open_connections(&self, transport: TransportKind, direction: Direction) -> usize {
        self.open[transport][direction]
    }

    /// The open connections that carry this version of gossipsub. A connection carries none before a stream is negotiated.
    pub fn connections_with(&self, version: ProtocolVersion) -> usize {
        self.carrying[version]
    }

    /// The dials that ended so.
    pub fn dials(&self, outcome: DialOutcome) -> u64 {
        self.dials[outcome]
    }

    /// The connections in this direction that were never established, for this cause.
    /// A libp2p swarm names no cause for the addresses of a dial that reached another one: they are not counted.
    pub fn failed_connections(&self, direction: Direction, cause: ConnectionFailure) -> u64 {
        self.failed[direction][cause]
    }

    /// Sets the count of [`refused`](Self::refused).
    pub fn set_refused(&mut self, reason: ConnectionRefusal, count: u64) {
        self.refused[reason] = count;
    }
}

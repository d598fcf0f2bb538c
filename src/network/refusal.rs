//! Why a transport refuses connections. The engine counts the reasons in its metrics.

use enum_map::Enum;
use strum::{IntoStaticStr, VariantNames};

/// Why a transport refused a connection or a dial, or closed a connection: the limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionRefusal {
    /// The node has as many connections as it may have.
    #[error("the node has as many connections as it may have")]
    Connections,
    /// The node has as many inbound connections as it may have. The others are reserved for its own dials.
    #[error("the node has as many inbound connections as it may have")]
    Inbound,
    /// As many connections are pending as may be: their peers are not identified yet.
    #[error("too many connections are pending")]
    Pending,
    /// The peer has as many connections as one peer may have.
    #[error("the peer has too many connections")]
    Peer,
    /// The address has as many connections as one address may have.
    #[error("the address has too many connections")]
    Address,
    /// A subnet that contains the address has as many connections as it may have.
    #[error("the subnet of the address has too many connections")]
    Subnet,
    /// Connections of the address or of a subnet follow each other too fast.
    #[error("connections of the address follow each other too fast")]
    Rate,
    /// The connections use as many file descriptors as they may use.
    #[error("the connections use too many file descriptors")]
    FileDescriptors,
    /// The connections use as much memory as they may use.
    #[error("the connections use too much memory")]
    Memory,
    /// The peer is banned.
    #[error("the peer is banned")]
    Banned,
    /// The connection, or all connections together, have as many streams of peers as they may have. Only the stream was
    /// refused.
    #[error("the connections have too many streams")]
    Streams,
    /// The connection was closed in favour of one to a direct or trusted peer, or to a peer with a better score.
    #[error("the connection gave way to another one")]
    GaveWay,
    /// The connection was closed because the peer's socket took no bytes for the write timeout.
    #[error("the peer's socket takes no bytes")]
    WriteTimeout,
    /// As many dials are in progress as may be.
    #[error("too many dials are in progress")]
    DialBudget,
    /// As many dials of recommended peers (px) are in progress as may be.
    #[error("too many dials of recommended peers are in progress")]
    PxBudget,
    /// As many recommended peers (px) were dialled within one minute as may be.
    #[error("too many recommended peers were dialled within one minute")]
    PxRate,
    /// The address that a peer reported or recommended is not one that may be dialled.
    #[error("the address is not a global one")]
    AddressFilter,
}

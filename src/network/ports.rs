//! The inputs and outputs of the engine: two input types and two output types, one each for the p2p layer and the
//! application.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use derive_where::derive_where;
use enum_map::Enum;
use strum::VariantNames;

use super::{FullMessage, Network, P2pMessage};

/// An input from the p2p layer.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's comment names its fields")]
pub enum P2pInput<N: Network> {
    /// `from_peer` sent `message`.
    InMessage { from_peer: N::Peer, message: P2pMessage<N> },
    /// A connection to `peer` is established. The engine ignores it if the peer is already connected.
    NewConnection { peer: N::Peer, info: ConnectionInfo },
    /// The connection to `peer` is closed.
    Disconnection { peer: N::Peer },
    /// The connections of `peer` are from `addresses` now, in place of those before. For transports with several connections
    /// to a peer: a [`NewConnection`](Self::NewConnection) has the address of the first. P6 counts the peer at each of them
    /// ([`ip_colocation_weight`](crate::limits::ScoreLimits::ip_colocation_weight)). The engine ignores it if the peer is not
    /// connected, and addresses after the eighth.
    RemoteAddresses { peer: N::Peer, addresses: Vec<IpAddr> },
    /// Messages to `peer`, which is connected, go over another connection from now on. For transports with several
    /// connections to a peer: at its other end may be a process that has started again and knows nothing of the engine. So the
    /// engine sends a SUBSCRIBE for each joined topic and a GRAFT for each mesh that the peer is in, which have no effect on a
    /// process that knows them, and forgets the IDONTWANTs of the peer. What else it knows of the peer stays, such as its
    /// subscriptions. The engine ignores it if the peer is not connected.
    FurtherConnection { peer: N::Peer },
}

impl<N: Network> P2pInput<N> {
    /// An inbound connection of a regular peer.
    pub fn connected(peer: N::Peer) -> Self {
        Self::NewConnection { peer, info: ConnectionInfo::inbound() }
    }

    /// `from_peer` sent `message`.
    pub fn message(from_peer: N::Peer, message: P2pMessage<N>) -> Self {
        Self::InMessage { from_peer, message }
    }
}

/// The side that opened a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Direction {
    /// The peer dialled us.
    #[default]
    Inbound,
    /// We dialled the peer. A mesh reserves [`degree_out`](crate::LimitsConfig::degree_out) places for such peers.
    Outbound,
}

impl Direction {
    /// `Outbound` if `outbound` is true.
    pub fn outbound_if(outbound: bool) -> Self {
        if outbound { Self::Outbound } else { Self::Inbound }
    }

    /// Whether we dialled the peer.
    pub fn is_outbound(self) -> bool {
        self == Self::Outbound
    }
}

/// The roles of a peer, as configured by the operator. A peer can have several; a regular peer, the default, has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PeerKind {
    /// A direct peer (v1.1 "explicit peering agreements"): we forward all messages to it and never graft it.
    pub direct: bool,
    /// A trusted peer: we dial it again when the connection is lost.
    pub trusted: bool,
    /// A bootstrap peer: we send it control messages only.
    pub bootstrap: bool,
}

/// What the p2p layer knows about a new connection. The default is an inbound connection of a regular peer.
///
/// ```
/// use actix_gossipsub::{ConnectionInfo, Direction};
///
/// let info = ConnectionInfo::outbound().trusted().remote_address(([192, 0, 2, 1], 9000).into());
/// assert_eq!(info.direction, Direction::Outbound);
/// assert!(info.kind.trusted && !info.kind.direct);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The side that opened the connection.
    pub direction: Direction,
    /// The roles of the peer.
    pub kind: PeerKind,
    /// The peer speaks floodsub over this connection, and no gossipsub: it is sent every message of the topics that it is
    /// subscribed to, as long as its score is not below
    /// [`publish_threshold`](crate::LimitsConfig::publish_threshold), is in no mesh, and is sent no control messages.
    pub floodsub: bool,
    /// The peer's end of the connection, if the transport has IP addresses and ports.
    pub remote_address: Option<SocketAddr>,
    /// The software that the peer reports to run, if it is known.
    pub agent: Option<Arc<str>>,
}

impl ConnectionInfo {
    /// A connection of a regular peer.
    pub fn new(direction: Direction) -> Self {
        Self { direction, ..Self::default() }
    }

    /// A connection that the peer opened.
    pub fn inbound() -> Self {
        Self::new(Direction::Inbound)
    }

    /// A connection that we opened.
    pub fn outbound() -> Self {
        Self::new(Direction::Outbound)
    }

    /// Makes the peer a direct peer.
    pub fn direct(mut self) -> Self {
        self.kind.direct = true;
        self
    }

    /// Makes the peer a trusted peer.
    pub fn trusted(mut self) -> Self {
        self.kind.trusted = true;
        self
    }

    /// Makes the peer a bootstrap peer.
    pub fn bootstrap(mut self) -> Self {
        self.kind.bootstrap = true;
        self
    }

    /// Sets the roles of the peer.
    pub fn kind(mut self, kind: PeerKind) -> Self {
        self.kind = kind;
        self
    }

    /// Makes the peer one that speaks floodsub.
    pub fn floodsub(mut self) -> Self {
        self.floodsub = true;
        self
    }

    /// Sets the peer's address.
    pub fn remote_address(mut self, address: SocketAddr) -> Self {
        self.remote_address = Some(address);
        self
    }

    /// The peer's IP address, if it is known.
    pub(crate) fn remote_ip(&self) -> Option<IpAddr> {
        self.remote_address.map(|address| address.ip())
    }

    /// Sets the name of the peer's software.
    pub fn agent(mut self, agent: impl Into<Arc<str>>) -> Self {
        self.agent = Some(agent.into());
        self
    }
}

/// An input from the application.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's comment names its fields")]
pub enum AppInput<N: Network> {
    /// Publishes a message. Its topic need not be joined.
    Publish(FullMessage<N>),
    /// Joins a topic.
    Join(N::Topic),
    /// Leaves a topic. The node stays in its mesh if the topic is relayed.
    Leave(N::Topic),
    /// Relays a topic: the node takes part in its mesh, validates its messages and forwards those that are valid, and delivers
    /// none to the application. If the topic is joined too, before or after, its messages are delivered. Relays
    /// are not counted, and are independent of joins and leaves.
    Relay(N::Topic),
    /// Relays a topic no more. The node stays in its mesh if the topic is joined.
    StopRelay(N::Topic),
    /// Sets the application's component (P5) of the score of `peer`. The engine multiplies `score` by
    /// [`app_specific_weight`](crate::limits::ScoreLimits::app_specific_weight).
    SetApplicationScore { peer: N::Peer, score: f64 },
}

/// The reason for an attempt to connect to a peer.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin<N: Network> {
    /// This peer recommended it in a PRUNE (peer exchange).
    Px(N::Peer),
    /// It is a trusted peer whose connection was lost.
    Trusted,
    /// The application made it a direct peer ([`Worker::set_direct`](crate::Worker::set_direct)), and it is not connected.
    Direct,
}

/// An output for the p2p layer.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's comment names its fields")]
pub enum P2pOutput<N: Network> {
    /// Send `message` to `to_peer`.
    OutMessage { to_peer: N::Peer, message: P2pMessage<N> },
    /// Close the connection to `peer`.
    Disconnect { peer: N::Peer },
    /// Close the connection to `peer`, and refuse its connections for `duration`. A ban of the same peer that lasts longer
    /// stays.
    Kick { peer: N::Peer, duration: Duration },
    /// Admit `peer` again, whatever [`Kick`](Self::Kick) was there before.
    Unblock { peer: N::Peer },
    /// Try to connect to `peer`. `record` is the signed peer record that came with it in a PRUNE, if one did. It is not
    /// verified, and nothing may be stored of it before it is.
    Connect { peer: N::Peer, origin: Origin<N>, record: Option<Arc<[u8]>> },
    /// Try to connect to `point`.
    ConnectPoint { point: N::Point },
    /// The engine will not connect to `peer`, which `origin` recommended: stored addresses of `peer` can be dropped.
    Forget { peer: N::Peer, origin: N::Peer },
}

/// One line.
impl<N: Network> fmt::Display for P2pOutput<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutMessage { to_peer, message } => write!(f, "to {to_peer:?}: {message}"),
            Self::Disconnect { peer } => write!(f, "disconnect {peer:?}"),
            Self::Kick { peer, duration } => write!(f, "kick {peer:?} for {duration:?}"),
            Self::Unblock { peer } => write!(f, "unblock {peer:?}"),
            Self::Connect { peer, origin: Origin::Direct, .. } => write!(f, "connect to {peer:?} (direct)"),
            Self::Connect { peer, origin: Origin::Trusted, .. } => write!(f, "connect to {peer:?} (trusted)"),
            Self::Connect { peer, origin: Origin::Px(from), record } => {
                let with = if record.is_some() { ", with its record" } else { "" };
                write!(f, "connect to {peer:?} (px from {from:?}{with})")
            }
            Self::ConnectPoint { point } => write!(f, "connect to point {point:?}"),
            Self::Forget { peer, origin } => write!(f, "forget {peer:?} (px from {origin:?})"),
        }
    }
}

/// An output for the application: a valid message of a topic that the application joined.
pub type AppOutput<N> = Arc<FullMessage<N>>;

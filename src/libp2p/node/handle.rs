//! The owner's side of a running node: the handle, whose commands the driver carries out, and the events, which the
//! driver passes to the owner's observer.

use std::{fmt, time::Duration};

use ::libp2p::{
    Multiaddr, PeerId, TransportError as SwarmTransportError, ping,
    swarm::{DialError, ListenError},
};
use tokio::sync::{mpsc, oneshot};

use super::engine_inputs::InputEvent;
use crate::{
    libp2p::{
        connection::capabilities::ProtocolId, network::Libp2pNetwork, state::refusals::RefusedConnections,
        swarm::event::Event,
    },
    network::P2pInput,
};

/// A command for the driver, with the channel for its answer.
pub(super) enum Command {
    /// Answered with the first address when the listener has one.
    Listen(Multiaddr, oneshot::Sender<Result<Multiaddr, CommandError>>),
    Dial(Multiaddr, oneshot::Sender<Result<(), CommandError>>),
    DialPeer(PeerId, Vec<Multiaddr>, oneshot::Sender<Result<(), CommandError>>),
    Disconnect(PeerId, oneshot::Sender<Result<(), CommandError>>),
    Block(PeerId, Duration, oneshot::Sender<Result<(), CommandError>>),
    /// Answered with whether the peer was blocked.
    Unblock(PeerId, oneshot::Sender<Result<bool, CommandError>>),
    Describe(PeerId, oneshot::Sender<Result<PeerInfo, CommandError>>),
    Shutdown,
}

/// What the transport knows of a peer. Without a connection, only whether it is blocked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The peer's end of its oldest connection.
    pub address: Option<Multiaddr>,
    /// The software that the peer reports to run, at most 128 bytes. Not verified.
    pub agent: Option<String>,
    /// The negotiated protocol.
    pub protocol: Option<ProtocolId>,
    /// The time for which the peer is still [blocked](NodeHandle::block), [`Duration::MAX`] if for ever.
    pub blocked_for: Option<Duration>,
}

/// Why a node did not carry out a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The node has ended.
    #[error("the node has stopped: start a new one")]
    Stopped,
    /// The node can't listen on this address.
    #[error("can't listen: {}", describe(.0))]
    Listen(#[from] SwarmTransportError<std::io::Error>),
    /// The node can't dial this address.
    #[error("can't dial: {0}")]
    Dial(#[from] DialError),
}

/// Describes why a node can't listen. The `Display` of rust-libp2p leaves the cause out.
fn describe(error: &SwarmTransportError<std::io::Error>) -> String {
    match error {
        SwarmTransportError::MultiaddrNotSupported(address) => {
            format!("{address} is not an address to listen at, such as /ip4/0.0.0.0/tcp/4001")
        }
        SwarmTransportError::Other(error) => error.to_string(),
    }
}

/// The handle of a running node. Clones are handles of the same node. The node ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) peer: PeerId,
}

impl NodeHandle {
    /// The peer id of the node.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Listens on `address` and waits until the listener has an address; returns the first one. A listener on all
    /// interfaces has several: each is an event [`NodeEvent::Listening`](crate::libp2p::NodeEvent::Listening).
    ///
    /// If the future is dropped after its first poll, the node may listen all the same.
    ///
    /// # Errors
    /// The node has ended, or can't listen on this address.
    pub async fn listen(&self, address: Multiaddr) -> Result<Multiaddr, CommandError> {
        self.request(|answer| Command::Listen(address, answer)).await
    }

    /// Starts to dial `address`. A later failure is an event
    /// [`NodeEvent::DialFailed`](crate::libp2p::NodeEvent::DialFailed).
    ///
    /// If the future is dropped after its first poll, the node may dial all the same.
    ///
    /// # Errors
    /// The node has ended, or can't dial this address.
    pub async fn dial(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.request(|answer| Command::Dial(address, answer)).await
    }

    /// Starts to dial `peer` at these addresses and at those that are known of it, unless it is connected or is being dialled:
    /// that is an error [`DialError::DialPeerConditionFalse`]. A later failure is an event
    /// [`NodeEvent::DialFailed`](crate::libp2p::NodeEvent::DialFailed).
    ///
    /// If the future is dropped after its first poll, the node may dial all the same.
    ///
    /// # Errors
    /// The node has ended, or can't dial this peer.
    pub async fn dial_peer(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), CommandError> {
        self.request(|answer| Command::DialPeer(peer, addresses, answer)).await
    }

    /// Closes the connections to `peer`, if there are any.
    ///
    /// If the future is dropped after its first poll, the peer may be disconnected all the same.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), CommandError> {
        self.request(|answer| Command::Disconnect(peer, answer)).await
    }

    /// Closes the connections to `peer`, if there are any, and refuses new ones for `duration`: until
    /// [`unblock`](Self::unblock) or the end of the node if that is [`Duration::MAX`]. A block of the peer that lasts longer
    /// stays.
    ///
    /// If the future is dropped after its first poll, the peer may be blocked all the same.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn block(&self, peer: PeerId, duration: Duration) -> Result<(), CommandError> {
        self.request(|answer| Command::Block(peer, duration, answer)).await
    }

    /// Admits a blocked peer again. Returns `false` if it was not blocked.
    ///
    /// If the future is dropped after its first poll, the peer may be admitted all the same.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn unblock(&self, peer: PeerId) -> Result<bool, CommandError> {
        self.request(|answer| Command::Unblock(peer, answer)).await
    }

    /// What the transport knows of `peer`.
    ///
    /// Cancellation safe: dropping the future changes nothing.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn describe(&self, peer: PeerId) -> Result<PeerInfo, CommandError> {
        self.request(|answer| Command::Describe(peer, answer)).await
    }

    /// Ends the node: it writes what is queued, for 200 ms at most, and closes its connections. Returns when the
    /// command is queued; the [`NodeDriver`](crate::libp2p::NodeDriver) completes soon after. If the future is dropped,
    /// the command may not be sent.
    pub async fn shutdown(&self) {
        // An error means that the node has ended before.
        let _ = self.commands.send(Command::Shutdown).await;
    }

    async fn request<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Command,
    ) -> Result<T, CommandError> {
        let (sender, answer) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }
}

/// An event of a node, for the observer that its driver was given.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeEvent<'a> {
    /// The node listens on this address.
    Listening(&'a Multiaddr),
    /// The node no longer listens on this address.
    ListenerExpired(&'a Multiaddr),
    /// An input is about to be passed to the engine: a connection, a subscription, a message, … Emitted once for each
    /// input, even if the engine has no room for it at first.
    Input(&'a P2pInput<Libp2pNetwork>),
    /// The engine refused an input, for this reason, and the input is lost: the engine has ended, the peer is graylisted, or
    /// the peer has disconnected while the input was pending.
    Refused(&'a P2pInput<Libp2pNetwork>, &'a dyn fmt::Debug),
    /// The engine has no room for the inputs of this peer, for this reason. The peer is not read until
    /// [`Resumed`](Self::Resumed).
    Paused(PeerId, &'a dyn fmt::Debug),
    /// The engine has taken all pending inputs of a peer.
    Resumed(PeerId),
    /// An event of the gossipsub behaviour, except [`Event::Inputs`].
    Gossipsub(&'a Event),
    /// Connections or dials were refused, or connections were closed, because of a limit. The log reports them too.
    ConnectionsRefused(&'a RefusedConnections),
    /// A dial failed; the peer, if it is known.
    DialFailed(Option<PeerId>, &'a DialError),
    /// A peer dialled this node from this address, and the connection was not established: its key, its protocols or its
    /// handshake are not acceptable, it ended the connection, or a limit refused it, which
    /// [`ConnectionsRefused`](Self::ConnectionsRefused) counts.
    IncomingFailed(&'a Multiaddr, &'a ListenError),
    /// A peer did not answer a ping: its connection is closed.
    PingFailed(PeerId, &'a ping::Failure),
}

impl<'a> From<InputEvent<'a>> for NodeEvent<'a> {
    fn from(event: InputEvent<'a>) -> Self {
        match event {
            InputEvent::Input(input) => Self::Input(input),
            InputEvent::Refused(input, reason) => Self::Refused(input, reason),
            InputEvent::Paused(peer, reason) => Self::Paused(peer, reason),
            InputEvent::Resumed(peer) => Self::Resumed(peer),
        }
    }
}

//! A running node as its owner holds it: asks it to listen, to dial, to end. Does none of it itself.

use ::libp2p::{Multiaddr, PeerId, TransportError as SwarmTransportError, swarm::DialError};
use tokio::sync::{mpsc, oneshot};

/// A request to a node that runs.
pub(in crate::libp2p) enum Command {
    Listen(Multiaddr, oneshot::Sender<Result<(), CommandError>>),
    Dial(Multiaddr, oneshot::Sender<Result<(), CommandError>>),
    Disconnect(PeerId, oneshot::Sender<Result<(), CommandError>>),
    Shutdown,
}

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The node is gone.
    #[error("the node has stopped: start a new one")]
    Stopped,
    /// It can't listen there.
    #[error("can't listen: {}", listening(.0))]
    Listen(#[from] SwarmTransportError<std::io::Error>),
    /// It can't dial that.
    #[error("can't dial: {0}")]
    Dial(#[from] DialError),
}

/// Why it can't listen: rust-libp2p shows nothing of most such errors.
fn listening(error: &SwarmTransportError<std::io::Error>) -> String {
    match error {
        SwarmTransportError::MultiaddrNotSupported(address) => {
            format!("{address} is not an address to listen at, such as /ip4/0.0.0.0/tcp/4001")
        }
        SwarmTransportError::Other(error) => error.to_string(),
    }
}

/// A running node as its owner holds it. Clones are the same node.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    pub(in crate::libp2p) commands: mpsc::Sender<Command>,
    pub(in crate::libp2p) peer: PeerId,
}

impl NodeHandle {
    /// Our peer id.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Begins to listen; the addresses follow as [`NodeEvent::Listening`](crate::libp2p::NodeEvent::Listening).
    pub async fn listen(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.request(|answer| Command::Listen(address, answer)).await
    }

    /// Begins to dial; a failure after that follows as [`NodeEvent::DialFailed`](crate::libp2p::NodeEvent::DialFailed).
    pub async fn dial(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.request(|answer| Command::Dial(address, answer)).await
    }

    /// Ends the connections to a peer; one that is not connected is no error.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), CommandError> {
        self.request(|answer| Command::Disconnect(peer, answer)).await
    }

    /// Ends the node, closing its connections. Its future completes soon after.
    pub async fn shutdown(&self) {
        // An error means that it is gone already.
        let _ = self.commands.send(Command::Shutdown).await;
    }

    async fn request(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), CommandError>>) -> Command,
    ) -> Result<(), CommandError> {
        let (sender, answer) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }
}

//! Why a node can't start or publish.

use ::libp2p::Multiaddr;

use super::handle::CommandError;
use crate::{
    InvalidLimits, Refused, StartError,
    libp2p::{network::AuthorError, swarm::builder::TransportError},
};

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeStartError {
    /// A listen or dial address can't be parsed.
    #[error("not an address: {0}")]
    Address(String),
    /// The name of a topic to join is empty, or longer than peers accept.
    #[error("a topic's name has 1 to {max} bytes, this one has {length}")]
    BadTopic {
        /// The length of the name, in bytes.
        length: usize,
        /// The longest name that is sent, in bytes.
        max: usize,
    },
    /// The limits break rules.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// The engine can't start.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The swarm can't be created.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The node can't listen on an address, or can't dial one.
    #[error("{address}: {error}")]
    Command {
        /// The address.
        address: Multiaddr,
        /// What is wrong.
        error: CommandError,
    },
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message can't be created.
    #[error(transparent)]
    Message(#[from] AuthorError),
    /// The engine does not take the message.
    #[error("the engine does not take the message: {0}")]
    Refused(#[from] Refused),
}

//! The errors of a behaviour.

use std::io;

use ::libp2p::identity::SigningError;

use crate::{
    libp2p::{network::AuthorError, signature::policy::PolicyError},
    limits::InvalidLimits,
    worker::{ChangeRefused, DropReason, PublishReport, Refused, RouteResult, StartError},
};

/// Why a message was not published. The first six are those of rust-libp2p's gossipsub. `Duplicate`,
/// `NoPeersSubscribedToTopic` and `AllQueuesFull` are known only after [`publish`](super::Behaviour::publish) has returned: they
/// come with [`Event::Published`](super::Event::Published).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A message with this id was published or received before. It was not sent again.
    #[error("a message with this id was published or received before")]
    Duplicate,
    /// The key can't sign.
    #[error("the message can't be signed: {0}")]
    SigningError(#[from] SigningError),
    /// No peer is subscribed to the topic, or all of them have the message. It is kept for a while: peers that connect soon
    /// may request it.
    #[error("no peer is subscribed to the topic, or all of them have the message")]
    NoPeersSubscribedToTopic,
    /// The message needs a larger frame than peers accept, or exceeds the limit of its topic
    /// ([`max_transmit_size_for_topic`](super::ConfigBuilder::max_transmit_size_for_topic)).
    #[error("the message is too large")]
    MessageTooLarge,
    /// The time of the message is over ([`expires_at`](super::ConfigBuilder::expires_at)).
    #[error("the time of the message is over")]
    Outdated,
    /// The data transform failed.
    #[error("the data transform failed: {0}")]
    TransformFailed(#[source] io::Error),
    /// The message was sent to none of this number of peers: the queues for all of them were full.
    #[error("the queues for all {0} peers were full")]
    AllQueuesFull(usize),
    /// A topic's name has at least one byte, and no more than peers accept.
    #[error("the topic's name is empty or too long")]
    InvalidTopic,
    /// The engine does not take the message: too many of our own are queued, or it has ended.
    #[error("the engine does not take the message: {0}")]
    Refused(#[from] Refused),
    /// The engine can't start, or it has ended or lost the message.
    #[error("the engine does not run: {0}")]
    Engine(String),
}

impl From<AuthorError> for PublishError {
    fn from(error: AuthorError) -> Self {
        match error {
            AuthorError::Signing(error) => Self::SigningError(error),
            AuthorError::Transform(error) => Self::TransformFailed(error),
            AuthorError::TooLarge { .. } => Self::MessageTooLarge,
            AuthorError::BadTopic { .. } => Self::InvalidTopic,
        }
    }
}

impl PublishError {
    /// The result of a publication by its final report.
    pub(super) fn of_report(report: &PublishReport) -> Result<(), Self> {
        let full = [DropReason::OutputQueueFull, DropReason::PeerQueueFull, DropReason::TransportMemory];
        match report.routed {
            Some(RouteResult::AlreadyPublished) => Err(Self::Duplicate),
            Some(RouteResult::TooLarge) => Err(Self::MessageTooLarge),
            Some(RouteResult::Outdated) => Err(Self::Outdated),
            Some(RouteResult::NoPeers | RouteResult::TooFewPeers { .. }) => {
                Err(Self::NoPeersSubscribedToTopic)
            }
            Some(RouteResult::Queued)
                if full.iter().map(|reason| report.not_sent(*reason)).sum::<usize>() >= report.queued =>
            {
                Err(Self::AllQueuesFull(report.queued))
            }
            Some(RouteResult::Queued) => Ok(()),
            Some(RouteResult::Lost) | None => Err(Self::Engine("it lost the message".to_owned())),
        }
    }
}

/// Why a topic was not subscribed to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The subscription filter does not allow the topic.
    #[error("the subscription filter does not allow the topic")]
    NotAllowed,
    /// The engine can't start, or it has ended.
    #[error("the engine does not run: {0}")]
    Engine(String),
    /// The engine is shutting down.
    #[error("the engine does not take the subscription: {0}")]
    Refused(#[from] Refused),
    /// A topic's name has at least one byte, and no more than peers accept.
    #[error("the topic's name is empty or too long")]
    InvalidTopic,
}

/// Why a behaviour can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BehaviourError {
    /// This node would refuse messages such as its own.
    #[error(transparent)]
    Authenticity(#[from] PolicyError),
    /// Parameters violate rules.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// The engine can't start a thread.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a configuration can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigBuilderError {
    /// Parameters violate rules; the error names all of them.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// A protocol id does not begin with a slash.
    #[error("a protocol id begins with a slash")]
    InvalidProtocol,
    /// A bound of the transport has no room for the largest frame: it would never be sent, or never be read.
    #[error("{field} = {value}: must be at least {least}, for frames of {frame} bytes")]
    NoRoom {
        /// The bound.
        field: &'static str,
        /// Its value, in bytes.
        value: usize,
        /// Its least value, in bytes.
        least: usize,
        /// The largest frame, in bytes.
        frame: usize,
    },
}

/// Why score parameters are not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Parameters violate rules; the error names all of them, as fields of [`LimitsConfig`](crate::LimitsConfig).
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// The score was set before.
    #[error("the peer score was set before: change the parameters of topics by set_topic_params")]
    AlreadySet,
    /// There is no score: call `with_peer_score` first, or give the configuration weights by `limits`.
    #[error("there is no peer score: call with_peer_score first")]
    NotSet,
    /// The engine runs already: the score is turned on before the swarm is polled and before the first publication.
    #[error("the engine runs already: call with_peer_score before the swarm is polled and before publish")]
    Running,
    /// The running engine does not take the parameters.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
}

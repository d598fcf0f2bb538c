//! Gossipsub as one behaviour.

mod behaviour;
mod config;
mod error;
mod hooks;
mod message;
mod peer_events;
mod peers;
mod poll;
mod running;
mod score;
mod topic;
mod transform;

pub use self::{
    behaviour::Behaviour,
    config::{Config, ConfigBuilder},
    error::{BehaviourError, ConfigBuilderError, PublishError, ScoreError, SubscriptionError},
    message::{Event, FailedMessages, Message, MessageAcceptance, PeerKind},
    score::{
        PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay,
        score_parameter_decay_with_base,
    },
    topic::{Hasher, IdentTopic, IdentityHash, Sha256Hash, Sha256Topic, Topic, TopicHash},
    transform::{DataTransform, IdentityTransform, RawMessage},
};
pub use crate::libp2p::{
    connection::capabilities::{ProtocolId, Version},
    ids::MessageId,
    network::SubscriptionFilter,
    signature::{authenticity::MessageAuthenticity, validation::ValidationMode},
    swarm::event::Event as TransportEvent,
};

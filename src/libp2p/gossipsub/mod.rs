//! Gossipsub as one behaviour.

mod authenticity;
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
    authenticity::{MessageAuthenticity, ValidationMode},
    behaviour::Behaviour,
    config::{Config, ConfigBuilder},
    error::{BehaviourError, ConfigBuilderError, PublishError, ScoreError, SubscriptionError},
    message::{Event, FailedMessages, Message, PeerKind},
    score::{
        PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay,
        score_parameter_decay_with_base,
    },
    topic::{Hasher, IdentTopic, IdentityHash, Topic, TopicHash},
    transform::{DataTransform, IdentityTransform, RawMessage},
};
pub use crate::libp2p::{ids::MessageId, swarm::event::Event as TransportEvent};

//! A network of numbers and strings, for documentation, tests and first steps. Checks nothing but
//! what it is told to.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::network::{FullMessage, Later, Network, Validity};

/// Peers and points are numbers, topics and messages strings, ids carry their topic.
#[derive(Default)]
pub struct PlainNetwork {
    validator: Option<Box<Validator>>,
    later: Option<Box<LaterValidator>>,
}

type Validator = dyn Fn(&PlainId, &str) -> Validity + Send + Sync;
type LaterValidator = dyn Fn(&FullMessage<PlainNetwork>) -> Later<Validity> + Send + Sync;

/// The id of a [`PlainNetwork`]'s message; ordered by number, then topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlainId {
    /// Its number within the topic.
    pub number: u64,
    /// Its topic.
    pub topic: String,
}

impl PlainNetwork {
    /// A network in which every message is valid.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network in which `validator` judges messages.
    pub fn with_validator(validator: impl Fn(&PlainId, &str) -> Validity + Send + Sync + 'static) -> Self {
        Self { validator: Some(Box::new(validator)), later: None }
    }

    /// A network in which `validator` judges messages, and takes its time.
    pub fn with_later_validator<F>(
        validator: impl Fn(&FullMessage<Self>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        let later = move |message: &FullMessage<Self>| -> Later<Validity> { Box::pin(validator(message)) };
        Self { validator: None, later: Some(Box::new(later)) }
    }

    /// Message `number` of `topic`.
    pub fn message(topic: &str, number: u64, content: &str) -> FullMessage<Self> {
        let message_id = PlainId { number, topic: topic.to_owned() };
        FullMessage { topic: topic.to_owned(), message_id, message: content.to_owned() }
    }
}

impl Network for PlainNetwork {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &PlainId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn validate_later(&self, message: &Arc<FullMessage<Self>>) -> Option<Later<Validity>> {
        self.later.as_ref().map(|validator| validator(message))
    }

    fn message_size(&self, message: &String) -> usize {
        message.len()
    }

    fn validate(&self, id: &PlainId, message: &String) -> Validity {
        self.validator.as_ref().map_or(Validity::Valid, |validator| validator(id, message))
    }
}

impl fmt::Debug for PlainNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainNetwork").finish_non_exhaustive()
    }
}

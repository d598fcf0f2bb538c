//! A small [`Network`] for documentation, tests and first steps: peers and points are numbers, topics and contents are
//! strings. Every message is valid unless a validator says otherwise.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    network::{BoxFuture, Delivery, FullMessage, ManualValidation, Network, Validity},
    timestamp::Timestamp,
};

/// A network whose message ids contain their topic.
///
/// ```
/// use actix_gossipsub::{Validity, plain::PlainNetwork};
///
/// let network = PlainNetwork::with_validator(|delivery| {
///     if delivery.message.message.len() <= 1024 { Validity::Valid } else { Validity::Invalid }
/// });
/// # drop(network);
/// ```
#[derive(Default)]
pub struct PlainNetwork {
    validator: Option<Box<Validator>>,
    async_validator: Option<Box<AsyncValidator>>,
    manual_validation: Option<ManualValidation<PlainNetwork>>,
    expiry: Option<Box<Expiry>>,
}

type Expiry = dyn Fn(&FullMessage<PlainNetwork>, Timestamp) -> Option<Timestamp> + Send + Sync;
type Validator = dyn Fn(&Delivery<PlainNetwork>) -> Validity + Send + Sync;
type AsyncValidator = dyn Fn(&Delivery<PlainNetwork>) -> BoxFuture<Validity> + Send + Sync;

/// The message id of a [`PlainNetwork`]. Ids are ordered by number, then by topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlainId {
    /// The number of the message, unique within the topic.
    pub number: u64,
    /// The topic of the message.
    pub topic: String,
}

impl PlainNetwork {
    /// A network in which all messages are valid.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network that validates messages with `validator`, which must not block.
    pub fn with_validator(validator: impl Fn(&Delivery<Self>) -> Validity + Send + Sync + 'static) -> Self {
        Self { validator: Some(Box::new(validator)), ..Self::default() }
    }

    /// A network that validates messages with the futures that `validator` returns. See
    /// [`Network::validate_async`] for their limits.
    pub fn with_async_validator<F>(validator: impl Fn(&Delivery<Self>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Validity> + Send + 'static,
    {
        let boxed = move |delivery: &Delivery<Self>| -> BoxFuture<Validity> { Box::pin(validator(delivery)) };
        Self { async_validator: Some(Box::new(boxed)), ..Self::default() }
    }

    /// A network on whose messages the application reports the verdicts by `validation`. In a batch, or in a
    /// [`Node`](crate::protocol::Node), every message is of unknown validity.
    pub fn with_manual_validation(validation: ManualValidation<Self>) -> Self {
        Self { manual_validation: Some(validation), ..Self::default() }
    }

    /// Messages expire as `expires_at` says, which is given the time of the engine's clock too. See [`Network::expires_at`].
    pub fn expiring(
        mut self,
        expires_at: impl Fn(&FullMessage<Self>, Timestamp) -> Option<Timestamp> + Send + Sync + 'static,
    ) -> Self {
        self.expiry = Some(Box::new(expires_at));
        self
    }

    /// The message with this number, topic and content.
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

    fn topic_size(&self, topic: &String) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let undecided = self.manual_validation.is_some();
        let without = if undecided { Validity::Unknown } else { Validity::Valid };
        self.validator.as_ref().map_or(without, |validator| validator(delivery))
    }

    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        if let Some(validation) = &self.manual_validation {
            return Some(validation.validate(self, delivery));
        }
        self.async_validator.as_ref().map(|validator| validator(delivery))
    }

    fn expires_at(&self, message: &FullMessage<Self>, now: Timestamp) -> Option<Timestamp> {
        self.expiry.as_ref().and_then(|expires_at| expires_at(message, now))
    }

    fn message_size(&self, message: &String) -> usize {
        message.len()
    }

    fn message_id_size(&self, id: &PlainId) -> usize {
        size_of_val(id) + id.topic.len()
    }
}

impl fmt::Debug for PlainNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainNetwork").finish_non_exhaustive()
    }
}

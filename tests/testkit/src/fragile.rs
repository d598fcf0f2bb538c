//! A network whose message ids panic when the engine clones them: a panic that the engine does not contain where it calls
//! the application, so that the topic in which it happens is restarted.

use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
    thread::{self, ThreadId},
};

use actix_gossipsub::{
    BoxFuture, Delivery, FullMessage, Network, P2pInput, P2pMessage, Validity, plain::PlainId,
};

/// The ids of messages with this number and greater ones panic when an engine clones them. A topic clones an id when it
/// accepts the message.
pub const POISON: u64 = 1 << 40;

/// The types of [`PlainNetwork`](actix_gossipsub::plain::PlainNetwork), with other message ids.
#[derive(Default)]
pub struct FragileNetwork {
    validator: Option<Box<Validator>>,
    async_validator: Option<Box<AsyncValidator>>,
}

type Validator = dyn Fn(&Delivery<FragileNetwork>) -> Validity + Send + Sync;
type AsyncValidator = dyn Fn(&Delivery<FragileNetwork>) -> BoxFuture<Validity> + Send + Sync;

/// A message id that panics when another thread than its creator clones it, if its number is at least [`POISON`].
#[derive(Debug)]
pub struct FragileId {
    id: PlainId,
    created_on: ThreadId,
}

impl Clone for FragileId {
    fn clone(&self) -> Self {
        let by_creator = thread::current().id() == self.created_on;
        assert!(self.id.number < POISON || by_creator, "a panic that a test injects");
        Self { id: self.id.clone(), created_on: self.created_on }
    }
}

impl PartialEq for FragileId {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for FragileId {}

impl PartialOrd for FragileId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FragileId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for FragileId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Deref for FragileId {
    type Target = PlainId;

    fn deref(&self) -> &PlainId {
        &self.id
    }
}

impl FragileId {
    /// The id with this topic and number. The current thread may clone it.
    pub fn new(topic: &str, number: u64) -> Self {
        let id = PlainId { number, topic: topic.to_owned() };
        Self { id, created_on: thread::current().id() }
    }
}

impl FragileNetwork {
    /// A network that validates messages with `validator`.
    pub fn with_validator(validator: impl Fn(&Delivery<Self>) -> Validity + Send + Sync + 'static) -> Self {
        Self { validator: Some(Box::new(validator)), async_validator: None }
    }

    /// A network that validates messages with the futures that `validator` returns.
    pub fn with_async_validator(
        validator: impl Fn(&Delivery<Self>) -> BoxFuture<Validity> + Send + Sync + 'static,
    ) -> Self {
        Self { validator: None, async_validator: Some(Box::new(validator)) }
    }

    /// The message with this topic, number and content.
    pub fn message(topic: &str, number: u64, content: &str) -> FullMessage<Self> {
        let (topic, message_id) = (topic.to_owned(), FragileId::new(topic, number));
        FullMessage { topic, message_id, message: content.to_owned() }
    }
}

impl Network for FragileNetwork {
    type Peer = u64;
    type Topic = String;
    type MessageId = FragileId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &FragileId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn topic_size(&self, topic: &String) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &FragileId) -> usize {
        size_of_val(id)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        self.validator.as_ref().map_or(Validity::Valid, |validator| validator(delivery))
    }

    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        self.async_validator.as_ref().map(|validator| validator(delivery))
    }

    fn message_size(&self, message: &String) -> usize {
        message.len()
    }
}

/// The input of a message of `peer`.
pub fn fragile_message(peer: u64, topic: &str, number: u64) -> P2pInput<FragileNetwork> {
    P2pInput::message(
        peer,
        P2pMessage::FullMessage(Arc::new(FragileNetwork::message(topic, number, "content"))),
    )
}

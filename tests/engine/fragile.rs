//! A network whose message ids panic when the engine clones them: a panic that the engine does not contain where it calls
//! the application, so that the topic in which it happens is restarted.

use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
    thread::{self, ThreadId},
};

use actix_gossipsub::{FullMessage, Network, P2pInput, P2pMessage, plain::PlainId};

/// The number of a message whose id panics when it is cloned. A topic clones an id when it accepts the message.
pub const POISON: u64 = 913;

/// The types of [`PlainNetwork`](actix_gossipsub::plain::PlainNetwork), with other message ids.
pub struct FragileNetwork;

/// A message id that panics when an engine clones it, if its number is [`POISON`]. The test and its engine run on
/// different threads.
#[derive(Debug)]
pub struct FragileId {
    id: PlainId,
    created_on: ThreadId,
}

impl Clone for FragileId {
    fn clone(&self) -> Self {
        let by_test = thread::current().id() == self.created_on;
        assert!(self.id.number != POISON || by_test, "a panic that a test injects");
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

impl FragileNetwork {
    pub fn message(topic: &str, number: u64) -> FullMessage<Self> {
        let id = PlainId { number, topic: topic.to_owned() };
        let message_id = FragileId { id, created_on: thread::current().id() };
        FullMessage { topic: topic.to_owned(), message_id, message: "content".to_owned() }
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
}

/// The input of a message of `peer`.
pub fn fragile_message(peer: u64, topic: &str, number: u64) -> P2pInput<FragileNetwork> {
    P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(FragileNetwork::message(topic, number))))
}

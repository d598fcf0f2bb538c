//! The [`AttackNetwork`] is the network of these tests. Functions build the messages that peers send on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{Delivery, FullMessage, Network, P2pInput, P2pMessage, PxPeer, Validity};

/// Ids are 1 to 64 bytes long; the first byte of a message decides its validity.
#[derive(Clone, Debug, Default)]
pub struct AttackNetwork {
    pub validated: Arc<AtomicUsize>,
    /// If true, ids don't contain their topic.
    pub ids_without_topic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub topic: u64,
    pub bytes: Box<[u8]>,
}

impl Id {
    pub fn new(topic: u64, number: u64) -> Self {
        Self { topic, bytes: Box::new(number.to_be_bytes()) }
    }

    pub fn of_length(topic: u64, length: usize) -> Self {
        Self { topic, bytes: vec![0; length].into() }
    }
}

impl Network for AttackNetwork {
    type Peer = u64;
    type Topic = u64;
    type MessageId = Id;
    type Message = Vec<u8>;
    type Point = u64;

    fn topic_of(&self, id: &Id) -> Option<u64> {
        (!self.ids_without_topic).then_some(id.topic)
    }

    fn topic_size(&self, topic: &u64) -> usize {
        size_of_val(topic)
    }

    fn validate_id(&self, id: &Id) -> Validity {
        if (1..=64).contains(&id.bytes.len()) { Validity::Valid } else { Validity::Invalid }
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        self.validated.fetch_add(1, Ordering::Relaxed);
        match delivery.message.message.first() {
            Some(b'i') => Validity::Invalid,
            Some(b'u') => Validity::Unknown,
            _ => Validity::Valid,
        }
    }

    fn message_id_size(&self, id: &Id) -> usize {
        size_of::<Id>() + id.bytes.len()
    }

    fn message_size(&self, message: &Vec<u8>) -> usize {
        message.len()
    }
}

/// The bytes that the engine counts for a message whose id is a number.
pub fn message_bytes(content: &[u8]) -> usize {
    let id = AttackNetwork::default().message_id_size(&Id::new(0, 0));
    size_of::<FullMessage<AttackNetwork>>() + id + content.len()
}

pub fn subscribe(peer: u64, topic: u64) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::subscribe(topic))
}

pub fn unsubscribe(peer: u64, topic: u64) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::Unsubscribe { topic })
}

pub fn graft(peer: u64, topic: u64) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::Graft { topic })
}

pub fn prune(peer: u64, topic: u64, px: Vec<PxPeer<u64>>, backoff: Duration) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::Prune { topic, px, backoff })
}

pub fn ihave(peer: u64, topic: u64, message_ids: Vec<Id>) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::IHave { topic, message_ids })
}

pub fn iwant(peer: u64, message_ids: Vec<Id>) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::IWant { message_ids })
}

pub fn idontwant(peer: u64, message_ids: Vec<Id>) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::IDontWant { message_ids })
}

pub fn full_message(peer: u64, topic: u64, message_id: Id, message: Vec<u8>) -> P2pInput<AttackNetwork> {
    P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(FullMessage { topic, message_id, message })))
}

/// Message `number` of a topic; its `content` decides its validity.
pub fn message(peer: u64, topic: u64, number: u64, content: &[u8]) -> P2pInput<AttackNetwork> {
    full_message(peer, topic, Id::new(topic, number), content.to_vec())
}

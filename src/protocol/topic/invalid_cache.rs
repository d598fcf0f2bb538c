//! Remembers invalid messages of a topic for some heartbeats, so that copies are not validated again. Bounded in items
//! and bytes.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    limits::{Bounds, Limits},
    network::{FullMessage, Network},
    protocol::time_cache::TimeCache,
};

/// The recent invalid messages of a topic, by id and content. The content is compared because an attacker may send
/// garbage with the id of an honest message.
#[derive_where(Debug)]
pub(super) struct InvalidCache<N: Network> {
    /// The maximum number of messages; 0 switches the cache off.
    max: usize,
    max_bytes: usize,
    bytes: usize,
    messages: TimeCache<N::MessageId, (Arc<FullMessage<N>>, usize)>,
}

impl<N: Network> InvalidCache<N> {
    pub(super) fn new<T>(limits: &Limits<T>) -> Self {
        let Bounds { max_invalid_per_topic, max_invalid_bytes_per_topic: max_bytes, .. } = limits.bounds;
        let ticks = limits.extensions.invalid_memory_ticks;
        let max = if ticks > 0 { max_invalid_per_topic } else { 0 };
        Self { max, max_bytes, bytes: 0, messages: TimeCache::new(ticks) }
    }

    /// Whether a message with this id and content was found invalid.
    pub(super) fn contains(&self, message: &FullMessage<N>) -> bool {
        let known = self.messages.get(&message.message_id);
        known.is_some_and(|(known, _)| known.message == message.message)
    }

    /// Remembers a message of `bytes` bytes, unless the cache is full or has another message with the same id.
    pub(super) fn add(&mut self, message: Arc<FullMessage<N>>, bytes: usize) {
        let within_limits = self.len() < self.max && bytes <= self.max_bytes - self.bytes;
        if within_limits && self.messages.get(&message.message_id).is_none() {
            self.bytes += bytes;
            self.messages.insert(message.message_id.clone(), |_| Some((message, bytes)));
        }
    }

    /// Starts the next heartbeat and removes expired messages.
    pub(super) fn advance(&mut self) {
        let total = &mut self.bytes;
        self.messages.advance(|_, (_, bytes)| *total -= bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

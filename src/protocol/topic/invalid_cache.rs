//! Remembers rejected messages of a topic for some heartbeats: the content of invalid ones, so that copies are not validated
//! again, and the ids of invalid and outdated ones, so that they are not requested. Bounded in items and bytes.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    limits::{Bounds, Limits},
    network::{FullMessage, Network},
    protocol::time_cache::TimeCache,
};

/// The recently rejected messages of a topic, by id. The content of an invalid message is compared, because an attacker may
/// send garbage with the id of an honest message.
#[derive_where(Debug)]
pub(super) struct InvalidCache<N: Network> {
    /// The maximum number of messages; 0 switches the cache off.
    max: usize,
    max_bytes: usize,
    bytes: usize,
    /// An invalid message with its size in bytes. `None` for an outdated message, and for an invalid one that is too large.
    messages: TimeCache<N::MessageId, Option<(Arc<FullMessage<N>>, usize)>>,
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
        let known = self.messages.get(&message.message_id).and_then(Option::as_ref);
        known.is_some_and(|(known, _)| known.message == message.message)
    }

    /// Whether a message with this id was rejected.
    pub(super) fn contains_id(&self, id: &N::MessageId) -> bool {
        self.messages.get(id).is_some()
    }

    /// Remembers an invalid message of `bytes` bytes, unless the cache is full or has the id. Of a message for which there
    /// are not enough bytes left it remembers the id.
    pub(super) fn add(&mut self, message: Arc<FullMessage<N>>, bytes: usize) {
        let id = message.message_id.clone();
        let known = self.contains_id(&id);
        let fits = bytes <= self.max_bytes - self.bytes;
        if !known && self.len() < self.max {
            self.bytes += if fits { bytes } else { 0 };
            self.messages.insert(id, |_| Some(fits.then_some((message, bytes))));
        }
    }

    /// Remembers the id of an outdated message, unless the cache is full or has it.
    pub(super) fn add_id(&mut self, id: &N::MessageId) {
        if !self.contains_id(id) && self.len() < self.max {
            self.messages.insert(id.clone(), |_| Some(None));
        }
    }

    /// Starts the next heartbeat and removes expired messages.
    pub(super) fn advance(&mut self) {
        let total = &mut self.bytes;
        self.messages.advance(|_, message| *total -= message.map_or(0, |(_, bytes)| bytes));
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

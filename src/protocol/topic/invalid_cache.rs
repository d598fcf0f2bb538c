//! The invalid messages of one topic that are remembered, so that no copy of one is judged twice. Bounded in
//! bytes and ticks. Judges nothing.

use std::sync::Arc;

use derive_where::derive_where;

use crate::protocol::time_cache::TimeCache;
use crate::{
    limits::{Bounds, Limits},
    network::{FullMessage, Network},
};

/// Remembered by id and content: an attacker who sends rubbish under an honest message's id must not make us
/// refuse the honest one.
#[derive_where(Debug)]
pub(super) struct InvalidCache<N: Network> {
    /// 0 if nothing is to be remembered.
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

    /// Whether just this message was found invalid.
    pub(super) fn contains(&self, message: &FullMessage<N>) -> bool {
        let known = self.messages.get(&message.message_id);
        known.is_some_and(|(known, _)| known.message == message.message)
    }

    /// Remembers a message of so many bytes, if there is room and no other one of its id is remembered.
    pub(super) fn add(&mut self, message: Arc<FullMessage<N>>, bytes: usize) {
        let room = self.len() < self.max && bytes <= self.max_bytes - self.bytes;
        if room && self.messages.get(&message.message_id).is_none() {
            self.bytes += bytes;
            self.messages.insert(message.message_id.clone(), |_| Some((message, bytes)));
        }
    }

    /// A tick is over.
    pub(super) fn advance(&mut self) {
        let held = &mut self.bytes;
        self.messages.advance(|_, (_, bytes)| *held -= bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

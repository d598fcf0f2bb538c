//! Remembers rejected messages of a topic for some heartbeats: the content of invalid ones, so that copies are not validated
//! again, and the ids of invalid and outdated ones, so that they are not requested. Bounded in items and bytes, for the topic
//! and for all topics together.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
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
    messages: TimeCache<N::MessageId, Entry<N>>,
    /// The bytes of the messages and of their entries.
    share: Share,
}

type Entry<N> = Option<(Arc<FullMessage<N>>, usize)>;

impl<N: Network> InvalidCache<N> {
    /// The approximate bytes of an entry besides its message.
    const ENTRY: usize = TimeCache::<N::MessageId, Entry<N>>::ENTRY;

    pub(super) fn new<T>(limits: &Limits<T>, totals: &Totals) -> Self {
        let Bounds { max_invalid_per_topic, max_invalid_bytes_per_topic: max_bytes, .. } = limits.bounds;
        let ticks = limits.extensions.invalid_memory_ticks;
        let max = if ticks > 0 { max_invalid_per_topic } else { 0 };
        let share = totals.share(Remembered::Invalid);
        Self { max, max_bytes, bytes: 0, messages: TimeCache::new(ticks), share }
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
        if !self.has_room(&message.message_id) {
            return;
        }
        let fits = bytes <= self.max_bytes - self.bytes && self.share.try_add(bytes + Self::ENTRY);
        if fits {
            self.bytes += bytes;
            self.messages.insert(message.message_id.clone(), |_| Some(Some((message, bytes))));
        } else {
            self.share.count_evicted(1);
            self.add_id(&message.message_id);
        }
    }

    fn has_room(&self, id: &N::MessageId) -> bool {
        !self.contains_id(id) && self.len() < self.max
    }

    /// Remembers the id of an outdated message, unless the cache is full or has it.
    pub(super) fn add_id(&mut self, id: &N::MessageId) {
        if self.has_room(id) && self.share.try_add(Self::ENTRY) {
            self.messages.insert(id.clone(), |_| Some(None));
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        let ticks = self.messages.length();
        self.messages = TimeCache::new(ticks);
        self.bytes = 0;
        self.share.clear();
    }

    /// Starts the next heartbeat and removes expired messages.
    pub(super) fn advance(&mut self) {
        let Self { messages, bytes, share, .. } = self;
        messages.advance(|_, message| {
            let removed = message.map_or(0, |(_, bytes)| bytes);
            *bytes -= removed;
            share.remove(removed + Self::ENTRY);
        });
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

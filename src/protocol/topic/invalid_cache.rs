//! Remembers rejected messages of a topic for some heartbeats: the content of invalid ones, so that copies are not validated
//! again, and the ids of invalid and outdated ones, so that they are not requested. Bounded in items and bytes, for the topic
//! and for all topics together.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::{Bounds, Limits},
    network::{FullMessage, MessageSize, Network},
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
    messages: TimeCache<N::MessageId, Rejected<N>>,
    /// The bytes of the messages and of their entries.
    share: Share,
}

/// A rejected message.
#[derive_where(Debug)]
struct Rejected<N: Network> {
    /// `None` for an outdated message, and for an invalid one that is too large.
    message: Option<Arc<FullMessage<N>>>,
    /// The bytes of the message, if it is stored.
    bytes: usize,
    /// The bytes that the share counts for the entry.
    cost: usize,
}

impl<N: Network> InvalidCache<N> {
    /// The approximate bytes of an entry, without its message and what its id owns on the heap.
    const ENTRY: usize = TimeCache::<N::MessageId, Rejected<N>>::ENTRY;

    pub(super) fn new<T>(limits: &Limits<T>, totals: &Totals) -> Self {
        let Bounds { max_invalid_per_topic, max_invalid_bytes_per_topic: max_bytes, .. } = limits.bounds;
        let ticks = limits.extensions.invalid_memory_ticks;
        let max = if ticks > 0 { max_invalid_per_topic } else { 0 };
        let share = totals.share(Remembered::Invalid);
        Self { max, max_bytes, bytes: 0, messages: TimeCache::new(ticks), share }
    }

    /// Whether a message with this id and content was found invalid.
    pub(super) fn contains(&self, message: &FullMessage<N>) -> bool {
        let known = self.messages.get(&message.message_id).and_then(|rejected| rejected.message.as_ref());
        known.is_some_and(|known| known.message == message.message)
    }

    /// Whether a message with this id was rejected.
    pub(super) fn contains_id(&self, id: &N::MessageId) -> bool {
        self.messages.get(id).is_some()
    }

    /// Remembers an invalid message, unless the cache is full or has the id. Of a message for which there are not enough bytes
    /// left it remembers the id.
    pub(super) fn add(&mut self, message: Arc<FullMessage<N>>, size: MessageSize) {
        let cost = size.total + Self::ENTRY + 2 * size.id;
        if !self.has_place(&message.message_id) {
            return;
        }
        if size.total <= self.max_bytes - self.bytes && self.share.try_add(cost) {
            self.bytes += size.total;
            let id = message.message_id.clone();
            let rejected = Rejected { message: Some(message), bytes: size.total, cost };
            self.messages.insert(id, |_| Some(rejected));
        } else {
            self.add_id(&message.message_id, size.id);
        }
    }

    /// Remembers an id of `id_bytes` bytes, unless the cache is full or has it.
    pub(super) fn add_id(&mut self, id: &N::MessageId, id_bytes: usize) {
        let cost = Self::ENTRY + 2 * id_bytes;
        if !self.has_place(id) {
            return;
        }
        if self.share.try_add(cost) {
            self.messages.insert(id.clone(), |_| Some(Rejected { message: None, bytes: 0, cost }));
        } else {
            self.share.count_evicted(1);
        }
    }

    /// Whether the id is new and there is a place for it. One that is kept out is counted.
    fn has_place(&self, id: &N::MessageId) -> bool {
        if self.max == 0 || self.contains_id(id) {
            return false;
        }
        let has_place = self.len() < self.max;
        self.share.count_evicted(usize::from(!has_place));
        has_place
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.messages = TimeCache::new(self.messages.length());
        self.bytes = 0;
        self.share.clear();
    }

    /// Starts the next heartbeat and removes expired messages.
    pub(super) fn advance(&mut self) {
        let Self { messages, bytes, share, .. } = self;
        messages.advance(|_, rejected| {
            *bytes -= rejected.bytes;
            share.remove(rejected.cost);
        });
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

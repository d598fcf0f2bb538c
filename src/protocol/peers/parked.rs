//! Parked messages: the application could not decide their validity yet.

use std::collections::BTreeMap;

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, Network},
};

/// The parked messages with their senders, sorted by id and topic.
///
/// Ids are expected to ascend with the time at which they become decidable, so the first message is tried first.
#[derive_where(Debug)]
pub(crate) struct Parked<N: Network> {
    capacity: usize,
    max_bytes: usize,
    max_co_senders: usize,
    bytes: usize,
    /// Each delivery with its size in bytes.
    messages: BTreeMap<(N::MessageId, N::Topic), (Delivery<N>, usize)>,
}

impl<N: Network> Parked<N> {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            capacity: bounds.max_parked_messages,
            max_bytes: bounds.max_parked_bytes,
            max_co_senders: bounds.max_co_senders,
            bytes: 0,
            messages: BTreeMap::new(),
        }
    }

    /// Parks a message of `bytes` bytes, or adds its senders to the same parked message. Another content with a parked
    /// id is dropped. When the collection is full, the greatest keys are dropped. Returns the number of dropped
    /// messages.
    pub(crate) fn add(&mut self, mut delivery: Delivery<N>, bytes: usize) -> usize {
        let key = (delivery.message.message_id.clone(), delivery.message.topic.clone());
        if let Some(parked) = self.messages.get_mut(&key) {
            let same = parked.0.message.message == delivery.message.message;
            if same {
                parked.0.join(delivery, self.max_co_senders);
            }
            return usize::from(!same);
        }
        let mut dropped = 0;
        while self.messages.len() >= self.capacity || bytes > self.max_bytes - self.bytes {
            dropped += 1;
            match self.messages.last_entry() {
                Some(greatest) if *greatest.key() > key => self.bytes -= greatest.remove().1,
                _ => return dropped,
            }
        }
        delivery.co_senders.truncate(self.max_co_senders);
        delivery.co_senders.sort_unstable();
        self.bytes += bytes;
        self.messages.insert(key, (delivery, bytes));
        dropped
    }

    /// The message with the least key.
    pub(crate) fn peek_first(&self) -> Option<&Delivery<N>> {
        self.messages.first_key_value().map(|(_, (delivery, _))| delivery)
    }

    /// Removes the message with the least key.
    pub(crate) fn pop_first(&mut self) -> Option<Delivery<N>> {
        let (_, (delivery, bytes)) = self.messages.pop_first()?;
        self.bytes -= bytes;
        Some(delivery)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}

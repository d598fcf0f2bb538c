//! Messages whose validity the application could not tell yet. Bounded; never asks the application.

use std::collections::BTreeMap;

use derive_where::derive_where;

use crate::{
    limits::Bounds,
    network::{Delivery, Network},
};

/// The parked messages, by id then topic, each with those who delivered it.
///
/// Ids ascend with the application's levels: what is decidable first stands first.
#[derive_where(Debug)]
pub(crate) struct Parked<N: Network> {
    capacity: usize,
    max_bytes: usize,
    max_co_senders: usize,
    bytes: usize,
    /// Each with its bytes.
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

    /// Parks a message of so many bytes, or adds its deliverers to those of the same message. Another content
    /// under an id that is parked already is ignored. When full, the greatest keys go. Answers how many
    /// messages were dropped.
    pub(crate) fn add(&mut self, mut delivery: Delivery<N>, bytes: usize) -> usize {
        let key = (delivery.message.message_id.clone(), delivery.message.topic.clone());
        if let Some(parked) = self.messages.get_mut(&key) {
            let same = parked.0.message.message == delivery.message.message;
            if same {
                add_co_senders(&mut parked.0, delivery, self.max_co_senders);
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
        self.bytes += bytes;
        self.messages.insert(key, (delivery, bytes));
        dropped
    }

    /// The least key's message.
    pub(crate) fn first(&self) -> Option<&Delivery<N>> {
        self.messages.first_key_value().map(|(_, (delivery, _))| delivery)
    }

    /// Takes the least key's message out.
    pub(crate) fn pop_first(&mut self) -> Option<Delivery<N>> {
        let (_, (mut delivery, bytes)) = self.messages.pop_first()?;
        self.bytes -= bytes;
        delivery.co_senders.sort_unstable();
        Some(delivery)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}

/// The first to come are kept: co-senders stand in order of arrival here, and are few.
fn add_co_senders<N: Network>(parked: &mut Delivery<N>, delivery: Delivery<N>, max: usize) {
    for peer in std::iter::once(delivery.sender).chain(delivery.co_senders) {
        if parked.co_senders.len() >= max {
            return;
        }
        if peer != parked.sender && !parked.co_senders.contains(&peer) {
            parked.co_senders.push(peer);
        }
    }
}

//! Messages whose validity the application could not tell yet. Bounded; never asks the application.

use std::collections::BTreeMap;

use derive_where::derive_where;

use crate::network::{Delivery, Network};

/// The parked messages, by id then topic, each with those who delivered it.
///
/// Ids ascend with the application's levels: what is decidable first stands first.
#[derive_where(Debug)]
pub(crate) struct Parked<N: Network> {
    capacity: usize,
    max_co_senders: usize,
    messages: BTreeMap<(N::MessageId, N::Topic), Delivery<N>>,
}

impl<N: Network> Parked<N> {
    pub(crate) fn new(capacity: usize, max_co_senders: usize) -> Self {
        Self { capacity, max_co_senders, messages: BTreeMap::new() }
    }

    /// Parks a message, or adds its deliverers to those of the same message. Another content under
    /// an id that is parked already is ignored. When full, the greatest key goes.
    pub(crate) fn add(&mut self, mut delivery: Delivery<N>) {
        let key = (delivery.message.message_id.clone(), delivery.message.topic.clone());
        if let Some(parked) = self.messages.get_mut(&key) {
            if parked.message.message == delivery.message.message {
                add_co_senders(parked, delivery, self.max_co_senders);
            }
            return;
        }
        if self.messages.len() >= self.capacity {
            match self.messages.last_entry() {
                Some(greatest) if *greatest.key() > key => drop(greatest.remove()),
                _ => return,
            }
        }
        delivery.co_senders.truncate(self.max_co_senders);
        self.messages.insert(key, delivery);
    }

    /// The least key's message.
    pub(crate) fn first(&self) -> Option<&Delivery<N>> {
        self.messages.first_key_value().map(|(_, delivery)| delivery)
    }

    /// Takes the least key's message out.
    pub(crate) fn pop_first(&mut self) -> Option<Delivery<N>> {
        let (_, mut delivery) = self.messages.pop_first()?;
        delivery.co_senders.sort_unstable();
        Some(delivery)
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

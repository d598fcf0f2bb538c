//! The subscribed connections of a topic, as one sorted vector of ids: eight bytes a subscriber.

use crate::protocol::connection::ConnectionId;

/// The sorted ids of subscribed connections. There are at most as many as connections, plus closed connections whose
/// end the topic has not handled yet. Insertion and removal move the ids behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscribers {
    connection_ids: Vec<ConnectionId>,
}

impl From<Vec<ConnectionId>> for Subscribers {
    fn from(mut connection_ids: Vec<ConnectionId>) -> Self {
        connection_ids.sort_unstable();
        Self { connection_ids }
    }
}

impl Subscribers {
    pub(super) fn contains(&self, connection_id: ConnectionId) -> bool {
        self.connection_ids.binary_search(&connection_id).is_ok()
    }

    pub(super) fn insert(&mut self, connection_id: ConnectionId) {
        if let Err(index) = self.connection_ids.binary_search(&connection_id) {
            self.connection_ids.insert(index, connection_id);
        }
    }

    /// Removes a connection, and returns whether it was subscribed.
    pub(super) fn remove(&mut self, connection_id: ConnectionId) -> bool {
        let found = self.connection_ids.binary_search(&connection_id);
        if let Ok(index) = found {
            self.connection_ids.remove(index);
            // Gives back memory after many subscribers have left.
            if self.connection_ids.capacity() > 4 * self.connection_ids.len() {
                self.connection_ids.shrink_to(2 * self.connection_ids.len());
            }
        }
        found.is_ok()
    }

    /// All ids, ascending.
    pub(super) fn as_slice(&self) -> &[ConnectionId] {
        &self.connection_ids
    }

    pub(super) fn len(&self) -> usize {
        self.connection_ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connection_ids.is_empty()
    }
}

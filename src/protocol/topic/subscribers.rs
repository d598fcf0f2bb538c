//! The peers that subscribed to a topic, by the connection_ids of their connections: in one ascending run of small numbers,
//! because there are many, and a heartbeat draws some of them by chance. Chooses nobody, and knows nobody's name.

use crate::protocol::connection::ConnectionId;

/// As many at most as peers are connected, and those whose end is on its way here. One that comes or goes moves those
/// behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscribers {
    connection_ids: Vec<ConnectionId>,
}

impl Subscribers {
    pub(super) fn contains(&self, connection_id: ConnectionId) -> bool {
        self.connection_ids.binary_search(&connection_id).is_ok()
    }

    pub(super) fn insert(&mut self, connection_id: ConnectionId) {
        if let Err(place) = self.connection_ids.binary_search(&connection_id) {
            self.connection_ids.insert(place, connection_id);
        }
    }

    /// Whether it was one.
    pub(super) fn remove(&mut self, connection_id: ConnectionId) -> bool {
        let place = self.connection_ids.binary_search(&connection_id);
        if let Ok(place) = place {
            self.connection_ids.remove(place);
            // A crowd long ago takes no room.
            if self.connection_ids.capacity() > 4 * self.connection_ids.len() {
                self.connection_ids.shrink_to(2 * self.connection_ids.len());
            }
        }
        place.is_ok()
    }

    /// All of them, ascending.
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

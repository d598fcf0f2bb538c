//! The peers that subscribed to a topic, by the links of their connections: in one ascending run of small numbers,
//! because there are many, and a heartbeat draws some of them by chance. Chooses nobody, and knows nobody's name.

use crate::protocol::connection::Link;

/// As many at most as peers are connected, and those whose end is on its way here. One that comes or goes moves those
/// behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscribers {
    links: Vec<Link>,
}

impl Subscribers {
    pub(super) fn contains(&self, link: Link) -> bool {
        self.links.binary_search(&link).is_ok()
    }

    pub(super) fn insert(&mut self, link: Link) {
        if let Err(place) = self.links.binary_search(&link) {
            self.links.insert(place, link);
        }
    }

    /// Whether it was one.
    pub(super) fn remove(&mut self, link: Link) -> bool {
        let place = self.links.binary_search(&link);
        if let Ok(place) = place {
            self.links.remove(place);
            // A crowd long ago takes no room.
            if self.links.capacity() > 4 * self.links.len() {
                self.links.shrink_to(2 * self.links.len());
            }
        }
        place.is_ok()
    }

    /// All of them, ascending.
    pub(super) fn as_slice(&self) -> &[Link] {
        &self.links
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

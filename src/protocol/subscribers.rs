//! The peers that subscribed to a topic, with what is known of their connections: in one ascending run of memory,
//! because a heartbeat draws some of many by chance, and looks at no others. Chooses nobody.

use super::peers::Link;

/// As many at most as peers are connected. One that comes or goes moves those behind it.
#[derive(Clone, Debug)]
pub(super) struct Subscribers<P> {
    links: Vec<(P, Link)>,
}

impl<P> Default for Subscribers<P> {
    fn default() -> Self {
        Self { links: Vec::new() }
    }
}

impl<P: Ord> Subscribers<P> {
    pub(super) fn get(&self, peer: &P) -> Option<&Link> {
        self.place(peer).ok().map(|place| &self.links[place].1)
    }

    pub(super) fn contains(&self, peer: &P) -> bool {
        self.place(peer).is_ok()
    }

    /// What was known of its connection before is void.
    pub(super) fn insert(&mut self, peer: P, link: Link) {
        match self.place(&peer) {
            Ok(place) => self.links[place].1 = link,
            Err(place) => self.links.insert(place, (peer, link)),
        }
    }

    pub(super) fn remove(&mut self, peer: &P) {
        if let Ok(place) = self.place(peer) {
            self.links.remove(place);
            // A crowd long ago takes no room.
            if self.links.capacity() > 4 * self.links.len() {
                self.links.shrink_to(2 * self.links.len());
            }
        }
    }

    /// All of them, ascending.
    pub(super) fn as_slice(&self) -> &[(P, Link)] {
        &self.links
    }

    /// Their names, ascending.
    pub(super) fn peers(&self) -> impl Iterator<Item = &P> {
        self.links.iter().map(|(peer, _)| peer)
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    fn place(&self, peer: &P) -> Result<usize, usize> {
        self.links.binary_search_by(|(known, _)| known.cmp(peer))
    }
}

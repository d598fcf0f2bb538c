//! Whose connections are up: from the numbers that topics know to the names that others know. Tells nothing else of
//! them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::link::Link;

/// The connected peers by their links. Only looked up: their order in it reaches no output.
#[derive(Debug)]
pub(crate) struct Connected<P> {
    names: HashMap<Link, P, RandomState>,
}

impl<P> Default for Connected<P> {
    fn default() -> Self {
        Self { names: HashMap::default() }
    }
}

impl<P: Clone> Connected<P> {
    pub(crate) fn insert(&mut self, link: Link, peer: P) {
        self.names.insert(link, peer);
    }

    pub(crate) fn remove(&mut self, link: Link) {
        self.names.remove(&link);
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The peers of those of these connections that are up, in their order.
    pub(crate) fn peers(&self, links: &[Link]) -> Vec<P> {
        let mut peers = Vec::with_capacity(links.len());
        peers.extend(links.iter().filter_map(|link| self.names.get(link).cloned()));
        peers
    }

    /// Those of these connections that are up, each with its peer, in their order.
    pub(crate) fn named(&self, links: &mut dyn Iterator<Item = Link>) -> Vec<(P, Link)> {
        links.filter_map(|link| Some((self.names.get(&link)?.clone(), link))).collect()
    }
}

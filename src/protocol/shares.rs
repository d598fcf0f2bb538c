//! The shares of peers in a limited room for messages: one peer, or a few, can't fill it so that nothing of others gets in.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::network::Key;

/// The shares of peers in a limited room.
#[derive(Debug)]
pub(crate) struct Shares<P> {
    items: usize,
    bytes: usize,
    by_peer: HashMap<P, Share, RandomState>,
}

/// The messages of one peer.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    items: usize,
    bytes: usize,
}

/// The size of the room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl<P> Default for Shares<P> {
    fn default() -> Self {
        Self { items: 0, bytes: 0, by_peer: HashMap::default() }
    }
}

impl<P: Key> Shares<P> {
    /// The messages of all peers.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The bytes of these messages.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of `bytes` bytes of this peer may be added: it is the only one, or has room. The second half of the
    /// room is shared: a peer gets no more of it that already has more than the room by the number of peers and one.
    pub(crate) fn has_room(&self, peer: &P, bytes: usize, room: Room) -> bool {
        if self.items == 0 {
            return room.items > 0;
        }
        let (items, bytes) = (self.items + 1, self.bytes.saturating_add(bytes));
        if items > room.items || bytes > room.bytes {
            return false;
        }
        let is_shared = items > room.items / 2 || bytes > room.bytes / 2;
        let parts = self.by_peer.len() + 1;
        let is_above = |share: &Share| share.items > room.items / parts || share.bytes > room.bytes / parts;
        !(is_shared && self.by_peer.get(peer).is_some_and(is_above))
    }

    /// Adds a message.
    pub(crate) fn add(&mut self, peer: &P, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
        let share = self.by_peer.entry(peer.clone()).or_default();
        share.items += 1;
        share.bytes += bytes;
    }

    /// Removes a message that was added.
    pub(crate) fn remove(&mut self, peer: &P, bytes: usize) {
        self.items -= 1;
        self.bytes -= bytes;
        match self.by_peer.get_mut(peer) {
            Some(share) if share.items > 1 => {
                share.items -= 1;
                share.bytes -= bytes;
            }
            _ => drop(self.by_peer.remove(peer)),
        }
        if self.by_peer.is_empty() {
            // An idle room uses no heap memory.
            self.by_peer = HashMap::default();
        }
    }
}

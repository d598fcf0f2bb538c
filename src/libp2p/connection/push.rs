//! The outcome of an item that was added to a send queue, and of the items that were dropped to make room for it.

use super::lanes::LaneCounts;

/// The result of adding an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct Push {
    /// The items that were dropped because the peer is slow. The new item may be among them.
    pub(in crate::libp2p) dropped: LaneCounts,
    /// The items that were dropped because memory is scarce. The new item may be among them.
    pub(in crate::libp2p) over_memory: LaneCounts,
    /// The GRAFTs and PRUNEs whose place a later one took.
    pub(in crate::libp2p) superseded: LaneCounts,
    /// The item, if the peer's protocol version does not know it. It was dropped.
    pub(in crate::libp2p) unsupported: LaneCounts,
    /// There was no room for control. The queue takes nothing more; the connection is to be closed.
    pub(in crate::libp2p) overflowed: bool,
}

impl Push {
    /// Adds the result of adding another item.
    pub(in crate::libp2p) fn merge(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.over_memory += other.over_memory;
        self.superseded += other.superseded;
        self.unsupported += other.unsupported;
        self.overflowed |= other.overflowed;
    }
}

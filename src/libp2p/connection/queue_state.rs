//! The contents of a send queue and its free room: within its own limits, and within its part of the transport's
//! memory, which becomes smaller when memory is scarce.

use std::sync::Arc;

use super::{
    capabilities::ProtocolVersion,
    lanes::{Item, Lanes},
    queue_limits::QueueLimits,
};
use crate::{
    libp2p::memory::{CONTROL_PART, MemoryCharge, ORDINARY_PART, TransportMemory},
    protocol::Lane,
    worker::DropReason,
};

#[derive(Debug)]
pub(super) struct State {
    pub(super) pending: Lanes,
    /// Items that were taken to be written and are not flushed yet. A stream that breaks may have lost them.
    pub(super) in_flight: Vec<Item>,
    /// The version that is spoken over the outbound stream, as soon as it is negotiated.
    pub(super) version: Option<ProtocolVersion>,
    /// The peer does not read. The queue takes only control until the items in flight are flushed.
    pub(super) slow: bool,
    /// There was no room for control. The queue takes nothing more.
    pub(super) overflowed: bool,
    /// The size in bytes of the largest message that was reported as missed since the last report of room.
    pub(super) missed: Option<usize>,
    /// The items. Their fragments have charges of their own.
    charge: MemoryCharge,
}

/// The items that made room for another one, or that found none, by the reason.
#[derive(Debug, Default)]
pub(super) struct Drops {
    pub(super) queue_full: Vec<Item>,
    pub(super) memory: Vec<Item>,
    pub(super) superseded: Vec<Item>,
}

impl Drops {
    fn push(&mut self, item: Item, reason: DropReason) {
        match reason {
            DropReason::TransportMemory => self.memory.push(item),
            _ => self.queue_full.push(item),
        }
    }
}

/// Bytes of control that a connection may have however scarce memory is, since it is closed without room for control.
const MIN_CONTROL: usize = 16 << 10;
/// The queue reports room when it holds at most a quarter of its limits, for as many messages as fit into half of them.
/// A quarter is left for what comes before the peer requests the messages.
const FULL_PART: usize = 4;
const ROOM_PART: usize = 2;
/// An empty list of items with a larger capacity is freed.
const RETAINED_ITEMS: usize = 64;

impl State {
    pub(super) fn new(memory: &Arc<TransportMemory>) -> Self {
        Self {
            pending: Lanes::default(),
            in_flight: Vec::new(),
            version: None,
            slow: false,
            overflowed: false,
            missed: None,
            charge: MemoryCharge::new(memory, 0),
        }
    }

    /// Adds an item, or moves it or less urgent ones to `drops`. Returns true when control finds no room for the first
    /// time.
    pub(super) fn push(&mut self, mut item: Item, limits: &QueueLimits, drops: &mut Drops) -> bool {
        let control = item.lane == Lane::Control;
        if self.overflowed || (self.slow && !control) {
            drops.queue_full.push(item);
            return false;
        }
        if self.pending.supersede(&mut item) {
            drops.superseded.push(item);
            self.settle();
            return false;
        }
        while let Some(reason) = self.lacks_room(&item, limits, false)
            && let Some(victim) = self.pending.pop_less_urgent(item.lane, item.sent_first)
        {
            drops.push(victim, reason);
        }
        match self.lacks_room(&item, limits, control) {
            Some(reason) => {
                drops.push(item, reason);
                self.overflowed = control;
            }
            None => self.pending.push(item),
        }
        self.settle();
        self.overflowed
    }

    /// Why there is no room for `item` among all items, or among those of control alone, which may be more.
    fn lacks_room(&self, item: &Item, limits: &QueueLimits, control: bool) -> Option<DropReason> {
        let (items, bytes) =
            if control { self.pending.control() } else { (self.pending.items(), self.pending.bytes()) };
        let (max_items, max_bytes, part) = if control {
            (limits.max_items.saturating_mul(limits.stall_factor), limits.max_control_bytes, CONTROL_PART)
        } else {
            (limits.max_items, limits.max_bytes, ORDINARY_PART)
        };
        let bytes = bytes.saturating_add(item.fragment.bytes.len());
        if items >= max_items || bytes > max_bytes {
            return Some(DropReason::PeerQueueFull);
        }
        let own = bytes + (items + 1) * Item::BYTES;
        let least = if control { MIN_CONTROL } else { 0 };
        (own > self.charge.memory().threshold(part).max(least)).then_some(DropReason::TransportMemory)
    }

    /// The number of messages for which room is to be reported now, once for each time that messages are missed. `None` if
    /// the peer missed none, does not read, or the queue is not empty enough.
    pub(super) fn take_room(&mut self, limits: &QueueLimits) -> Option<usize> {
        let max_bytes = limits.max_bytes.min(self.charge.memory().threshold(ORDINARY_PART));
        let reads = !self.slow && !self.overflowed;
        let has_room = self.pending.items() <= limits.max_items / FULL_PART
            && self.pending.bytes() <= max_bytes / FULL_PART;
        let largest = self.missed.take_if(|_| reads && has_room)?;
        let by_bytes = max_bytes / ROOM_PART / largest.max(1);
        Some((limits.max_items / ROOM_PART).min(by_bytes).max(1))
    }

    /// Charges what the queue has now.
    pub(super) fn settle(&mut self) {
        if self.in_flight.is_empty() && self.in_flight.capacity() > RETAINED_ITEMS {
            self.in_flight = Vec::new();
        }
        let items = self.pending.items() + self.in_flight.len();
        self.charge.resize(items * Item::BYTES);
    }
}

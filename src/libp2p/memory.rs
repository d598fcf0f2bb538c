//! The memory of a node's transport: the bytes that all connections together may keep. Encoded messages, send queues,
//! frames and decoded inputs are charged to it; an owner of bytes gets only a part of what is free.
//!
//! The part is that of dynamic thresholds (Choudhury and Hahne, 1998), as in switches whose ports share one buffer: an
//! owner may have at most one `n`th of the bytes that are free at that time. With `k` greedy owners each gets
//! `limit / (n + k)`, and something always stays free for the others. When memory becomes scarce the threshold falls,
//! so that the owners with the most bytes are above it and lose; those with less do not notice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;

/// The limit of one node's transport, and what is charged to it.
#[derive(Debug)]
pub(super) struct TransportMemory {
    limit: AtomicUsize,
    /// Every connection changes it, so it has a cache line of its own.
    used: CachePadded<AtomicUsize>,
}

/// Bytes that are charged until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryCharge {
    memory: Arc<TransportMemory>,
    bytes: usize,
}

/// The default limit, in bytes.
pub(super) const DEFAULT_LIMIT: usize = 128 << 20;

/// The part of the free bytes that the queued messages of one connection may have, or the frames and inputs that were
/// read from it. Of the default limit it is 8 MiB while nothing else is charged, and 60 KiB if 1,024 connections want as
/// much as they can get in both directions.
pub(super) const ORDINARY_PART: usize = 16;
/// The part of the free bytes that the queued control of one connection may have. It is larger since a connection
/// without room for control is closed.
pub(super) const CONTROL_PART: usize = 2;

impl Default for TransportMemory {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT.into(), used: CachePadded::default() }
    }
}

impl TransportMemory {
    /// Sets the limit. What is charged already stays.
    pub(super) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// The bytes that are charged now.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn free(&self) -> usize {
        self.limit.load(Ordering::Relaxed).saturating_sub(self.used())
    }

    /// Whether anything is free.
    pub(super) fn has_room(&self) -> bool {
        self.free() > 0
    }

    /// The most bytes that one owner may have now.
    pub(super) fn threshold(&self, part: usize) -> usize {
        self.free() / part
    }
}

impl MemoryCharge {
    /// Charges `bytes`, even beyond the limit: the caller has compared with the threshold, or the bytes are in memory
    /// already.
    pub(super) fn new(memory: &Arc<TransportMemory>, bytes: usize) -> Self {
        memory.used.fetch_add(bytes, Ordering::Relaxed);
        Self { memory: Arc::clone(memory), bytes }
    }

    pub(super) fn memory(&self) -> &TransportMemory {
        &self.memory
    }

    /// The bytes that are charged.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges this many bytes instead.
    pub(super) fn resize(&mut self, bytes: usize) {
        let used = &self.memory.used;
        if bytes > self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_owners_get_equal_parts_and_leave_something_to_others() {
        let memory = Arc::new(TransportMemory::default());
        memory.set_limit(1 << 20);
        let mut owners: Vec<_> = (0..48).map(|_| MemoryCharge::new(&memory, 0)).collect();
        let mut grew = true;
        while grew {
            grew = false;
            for owner in &mut owners {
                let more = owner.bytes() + 64;
                if more <= memory.threshold(ORDINARY_PART) {
                    owner.resize(more);
                    grew = true;
                }
            }
        }
        let fair = (1 << 20) / (ORDINARY_PART + owners.len());
        assert!(owners.iter().all(|owner| owner.bytes().abs_diff(fair) <= 64), "{owners:?}");
        assert!(memory.threshold(ORDINARY_PART) >= fair - 64);
        drop(owners);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn above_the_limit_nothing_is_free() {
        let memory = Arc::new(TransportMemory::default());
        memory.set_limit(100);
        let mut charge = MemoryCharge::new(&memory, 150);
        assert_eq!((memory.has_room(), memory.threshold(1)), (false, 0));
        charge.resize(60);
        assert_eq!((memory.used(), memory.threshold(2)), (60, 20));
    }
}

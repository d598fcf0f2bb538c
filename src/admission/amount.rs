//! An amount of inputs and held messages: their number and their bytes, packed into 64 bits so that one atomic operation
//! changes both.

use std::sync::atomic::{AtomicU64, Ordering};

/// The lower 40 bits count bytes, the bits above count items. The largest permitted limits (`limits/check.rs`) are far
/// below both.
const ITEM: u64 = 1 << 40;
/// An input counts for at most this many bytes. The transport bounds the real size.
const MAX_BYTES: usize = u32::MAX as usize;

/// A number of inputs, and the sum of bytes of inputs and of messages that the engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ItemsAndBytes(u64);

impl ItemsAndBytes {
    /// One input of `bytes`.
    pub(crate) fn one(bytes: usize) -> Self {
        Self::of(1, bytes.min(MAX_BYTES))
    }

    /// No input, but `bytes`.
    pub(super) fn bytes_only(bytes: usize) -> Self {
        Self::of(0, bytes.min(MAX_BYTES))
    }

    pub(super) fn of(items: usize, bytes: usize) -> Self {
        Self(items as u64 * ITEM + bytes as u64)
    }

    /// The number of inputs.
    pub(crate) fn items(self) -> usize {
        (self.0 / ITEM) as usize
    }

    /// The bytes of all together.
    pub(crate) fn bytes(self) -> usize {
        (self.0 % ITEM) as usize
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Subtracts `other`. Returns `None` if it has more items or more bytes than `self`.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        let enough = self.items() >= other.items() && self.bytes() >= other.bytes();
        enough.then(|| Self(self.0 - other.0))
    }
}

/// An [`ItemsAndBytes`] that threads share.
#[derive(Debug, Default)]
pub(super) struct AtomicItemsAndBytes(AtomicU64);

impl AtomicItemsAndBytes {
    /// Adds `more` and returns the sum.
    pub(super) fn add(&self, more: ItemsAndBytes) -> ItemsAndBytes {
        ItemsAndBytes(self.0.fetch_add(more.0, Ordering::AcqRel)).plus(more)
    }

    /// Subtracts `less`. The caller guarantees that there is as much.
    pub(super) fn remove(&self, less: ItemsAndBytes) {
        self.0.fetch_sub(less.0, Ordering::AcqRel);
    }

    pub(super) fn amount(&self) -> ItemsAndBytes {
        ItemsAndBytes(self.0.load(Ordering::Acquire))
    }
}

//! An amount of inputs: how many, and their bytes, in one word, since each input changes both. Bounds nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// An item counts from here on, its bytes below. `check.rs` keeps the bounds far below both.
const ITEM: u64 = 1 << 40;
/// An input counts for no more, however large: the transport bounds its size.
const MAX_BYTES: usize = u32::MAX as usize;

/// So many inputs of so many bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ItemsAndBytes(u64);

impl ItemsAndBytes {
    /// One input.
    pub(crate) fn one(bytes: usize) -> Self {
        Self::of(1, bytes.min(MAX_BYTES))
    }

    pub(super) fn of(items: usize, bytes: usize) -> Self {
        Self(items as u64 * ITEM + bytes as u64)
    }

    pub(crate) fn items(self) -> usize {
        (self.0 / ITEM) as usize
    }

    pub(crate) fn bytes(self) -> usize {
        (self.0 % ITEM) as usize
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// None if there is less of either.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        let enough = self.items() >= other.items() && self.bytes() >= other.bytes();
        enough.then(|| Self(self.0 - other.0))
    }
}

/// What waits of one peer, or of all together.
#[derive(Debug, Default)]
pub(crate) struct AtomicItemsAndBytes(AtomicU64);

impl AtomicItemsAndBytes {
    /// Answers what there is then.
    pub(super) fn add(&self, more: ItemsAndBytes) -> ItemsAndBytes {
        ItemsAndBytes(self.0.fetch_add(more.0, Ordering::AcqRel)).plus(more)
    }

    /// There must be as much.
    pub(super) fn remove(&self, less: ItemsAndBytes) {
        self.0.fetch_sub(less.0, Ordering::AcqRel);
    }

    /// Tells whether there was as much.
    pub(super) fn try_remove(&self, less: ItemsAndBytes) -> bool {
        let without = |amount| ItemsAndBytes(amount).minus(less).map(|left| left.0);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, without).is_ok()
    }

    pub(super) fn remove_all(&self) -> ItemsAndBytes {
        ItemsAndBytes(self.0.swap(0, Ordering::AcqRel))
    }

    pub(crate) fn amount(&self) -> ItemsAndBytes {
        ItemsAndBytes(self.0.load(Ordering::Acquire))
    }
}

//! The room that several streams of the application have together for what is unread. Each has its share of it, so that one
//! which is not read leaves room for others.

use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use super::reader::lock;
use crate::protocol::shares::{Room, Shares};

/// The room and what each stream has of it.
pub(crate) struct SharedRoom {
    room: Room,
    shares: Mutex<Shares<u64>>,
    next_stream: AtomicU64,
}

impl SharedRoom {
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        let (shares, next_stream) = (Mutex::default(), AtomicU64::new(0));
        Self { room: Room { items, bytes }, shares, next_stream }
    }

    fn lock(&self) -> MutexGuard<'_, Shares<u64>> {
        lock(&self.shares)
    }

    /// The number of one more stream.
    pub(super) fn new_stream(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds an item of a stream, if there is room.
    pub(super) fn try_add(&self, stream: u64, bytes: usize) -> bool {
        let mut shares = self.lock();
        let has_room = bytes <= self.room.bytes && shares.has_room(&stream, bytes, self.room);
        if has_room {
            shares.add(&stream, bytes);
        }
        has_room
    }

    /// Removes an item that was added.
    pub(super) fn remove(&self, stream: u64, bytes: usize) {
        self.lock().remove(&stream, bytes);
    }

    /// The items of all streams.
    pub(crate) fn items(&self) -> usize {
        self.lock().items()
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes()
    }
}

//! The state that all connections of a node share while it runs: known addresses, checked signatures, memory and traffic
//! counters. The behaviour and its connections write it; the engine reads parts of it through its `Network`.

pub(super) mod address_book;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use self::address_book::AddressBook;
use super::{memory::TransportMemory, signature::cache::SignatureCache};
use crate::network::TransportStats;

/// The shared state of a node's transport. It is created with the [`Libp2pNetwork`](crate::libp2p::Libp2pNetwork)
/// that the engine and the behaviour are both given.
#[derive(Debug, Default)]
pub(super) struct TransportState {
    addresses: Mutex<AddressBook>,
    signatures: SignatureCache,
    traffic: TrafficCounters,
    memory: Arc<TransportMemory>,
}

impl TransportState {
    /// The address book, locked. Callers release the lock before they return to the executor.
    pub(super) fn addresses(&self) -> MutexGuard<'_, AddressBook> {
        // The book is plain data: a panic elsewhere leaves it whole.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn signatures(&self) -> &SignatureCache {
        &self.signatures
    }

    pub(super) fn traffic(&self) -> &TrafficCounters {
        &self.traffic
    }

    pub(super) fn memory(&self) -> &Arc<TransportMemory> {
        &self.memory
    }

    pub(super) fn stats(&self) -> TransportStats {
        TransportStats { memory_bytes: self.memory.used() as u64, ..self.traffic.snapshot() }
    }
}

/// Counts what all connections read and wrote. Connections add to it from their own tasks.
#[derive(Debug, Default)]
pub(super) struct TrafficCounters {
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    bad_frames: AtomicU64,
    bad_rpcs: AtomicU64,
    slow_frames: AtomicU64,
    refused_streams: AtomicU64,
    hook_panics: AtomicU64,
}

impl TrafficCounters {
    pub(super) fn add_received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A peer's stream was closed because its bytes are not frames.
    pub(super) fn add_bad_frame(&self) {
        self.bad_frames.fetch_add(1, Ordering::Relaxed);
    }

    /// A peer's stream was closed because a frame is not an acceptable RPC.
    pub(super) fn add_bad_rpc(&self) {
        self.bad_rpcs.fetch_add(1, Ordering::Relaxed);
    }

    /// A peer's stream was closed because a frame was not complete in time.
    pub(super) fn add_slow_frame(&self) {
        self.slow_frames.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream that a peer opened was reset, since there were too many.
    pub(super) fn add_refused_stream(&self) {
        self.refused_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// The application's function for message ids panicked.
    pub(super) fn add_hook_panic(&self) {
        self.hook_panics.fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> TransportStats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransportStats {
            received_bytes: value(&self.received_bytes),
            sent_bytes: value(&self.sent_bytes),
            bad_frames: value(&self.bad_frames),
            bad_rpcs: value(&self.bad_rpcs),
            slow_frames: value(&self.slow_frames),
            refused_streams: value(&self.refused_streams),
            hook_panics: value(&self.hook_panics),
            ..TransportStats::default()
        }
    }
}

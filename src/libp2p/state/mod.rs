//! The state that all connections of a node share while it runs: known addresses, verified messages, charged memory,
//! traffic counters, refused connections. The behaviours and the connections write it; the engine reads the addresses and
//! the counters through its `Network`.

pub(super) mod address_book;
pub(super) mod address_filter;
pub(super) mod connection_counts;
pub(super) mod peer_records;
pub(super) mod refusals;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ::libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use enum_map::EnumMap;

use self::{
    address_book::AddressBook, address_filter::AddressFilter, connection_counts::ConnectionCounts,
    peer_records::OwnRecords, refusals::Refusals,
};
use super::{memory::TransportMemory, signature::verified::VerifiedMessages};
use crate::network::{ConnectionRefusal, PeerRecordOutcome, PxDialOutcome, TransportStats};

/// The shared state of a node's transport. It is created with the [`Libp2pNetwork`](crate::libp2p::Libp2pNetwork)
/// that the engine and the behaviour are both given.
#[derive(Debug)]
pub(super) struct TransportState {
    addresses: Mutex<AddressBook>,
    /// The records of connected peers, which our PRUNEs carry.
    records: Mutex<OwnRecords>,
    px: Mutex<PxCounts>,
    /// `None` if no signatures are verified.
    verified: Option<VerifiedMessages>,
    traffic: TrafficCounters,
    refusals: Refusals,
    connections: Mutex<ConnectionCounts>,
    /// The dials of recommended peers that are in progress. The behaviour bounds them.
    px_dials: Mutex<HashSet<ConnectionId>>,
    memory: Arc<TransportMemory>,
}

impl TransportState {
    /// `verifies`: whether signatures are verified.
    pub(super) fn new(verifies: bool) -> Self {
        Self {
            addresses: Mutex::default(),
            records: Mutex::default(),
            px: Mutex::default(),
            verified: verifies.then(VerifiedMessages::default),
            traffic: TrafficCounters::default(),
            refusals: Refusals::default(),
            connections: Mutex::default(),
            px_dials: Mutex::default(),
            memory: Arc::default(),
        }
    }

    /// The address book, locked. Callers release the lock before they return to the executor.
    pub(super) fn addresses(&self) -> MutexGuard<'_, AddressBook> {
        // The book is plain data: a panic elsewhere leaves it whole.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the listen addresses that `peer` reported and that may be dialled.
    pub(super) fn add_listen(
        &self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
        filter: AddressFilter,
    ) {
        let refused = self.addresses().add_listen(peer, addresses, filter);
        self.count_filtered(peer, refused);
    }

    /// Stores a listen address of `peer` that another behaviour reported, besides those that are known.
    pub(super) fn add_listen_address(&self, peer: PeerId, address: Multiaddr, filter: AddressFilter) {
        let refused = self.addresses().add_listen_address(peer, address, filter);
        self.count_filtered(peer, refused);
    }

    /// All addresses at which `peer` may be dialled, the most reliable first.
    pub(super) fn addresses_of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.addresses().addresses(peer)
    }

    /// The records that peers sent of themselves, locked.
    pub(super) fn records(&self) -> MutexGuard<'_, OwnRecords> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies and stores the record that `peer` sent of itself.
    pub(super) fn add_own_record(&self, peer: PeerId, record: &[u8]) -> PeerRecordOutcome {
        let outcome = self.records().insert(peer, record);
        self.count_record(outcome);
        outcome
    }

    /// Verifies the record that came with a recommended peer, and stores those of its addresses that may be dialled.
    pub(super) fn add_px_record(
        &self,
        peer: PeerId,
        record: &[u8],
        filter: AddressFilter,
    ) -> PeerRecordOutcome {
        let (outcome, refused) = self.addresses().add_record(peer, record, filter);
        self.count_record(outcome);
        self.count_filtered(peer, refused);
        outcome
    }

    pub(super) fn count_record(&self, outcome: PeerRecordOutcome) {
        self.px_counts().records[outcome] += 1;
    }

    pub(super) fn count_px_dial(&self, outcome: PxDialOutcome) {
        self.px_counts().dials[outcome] += 1;
    }

    fn px_counts(&self) -> MutexGuard<'_, PxCounts> {
        self.px.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the addresses in one report or record that the filter refused as one.
    fn count_filtered(&self, peer: PeerId, address: Option<Multiaddr>) {
        if let Some(address) = address {
            self.refusals.add(ConnectionRefusal::AddressFilter, Some(&address), Some(peer));
        }
    }

    /// The messages whose signatures were verified lately, if signatures are verified.
    pub(super) fn verified(&self) -> Option<&VerifiedMessages> {
        self.verified.as_ref()
    }

    pub(super) fn traffic(&self) -> &TrafficCounters {
        &self.traffic
    }

    pub(super) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The counters of connections and dials, locked.
    pub(super) fn connections(&self) -> MutexGuard<'_, ConnectionCounts> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The dials of recommended peers that are in progress, locked.
    pub(super) fn px_dials(&self) -> MutexGuard<'_, HashSet<ConnectionId>> {
        self.px_dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of all that connections did.
    pub(super) fn stats(&self) -> TransportStats {
        let PxCounts { records: peer_records, dials: px_dials } = *self.px_counts();
        let ConnectionCounts { open, carrying, dials, failed } = *self.connections();
        TransportStats {
            open,
            carrying,
            dials,
            failed,
            refused: self.refusals.totals(),
            peer_records,
            px_dials,
            memory_bytes: self.memory.used() as u64,
            ..self.traffic.snapshot()
        }
    }

    /// The bytes that all connections together charge.
    pub(super) fn memory(&self) -> &Arc<TransportMemory> {
        &self.memory
    }
}

/// The outcomes of signed records and of the dials of recommended peers. Both are rare.
#[derive(Clone, Copy, Debug, Default)]
struct PxCounts {
    records: EnumMap<PeerRecordOutcome, u64>,
    dials: EnumMap<PxDialOutcome, u64>,
}

/// Counts what all connections read and wrote. Connections add to it from their own tasks.
#[derive(Debug, Default)]
pub(super) struct TrafficCounters {
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    bad_frames: AtomicU64,
    bad_rpcs: AtomicU64,
    graylisted_rpcs: AtomicU64,
    slow_frames: AtomicU64,
    hook_panics: AtomicU64,
    verified: AtomicU64,
    policy_violations: AtomicU64,
    ignored_entries: AtomicU64,
    reopened_streams: AtomicU64,
    lost_frames: AtomicU64,
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

    /// An RPC of a graylisted peer was dropped before it was decoded.
    pub(super) fn add_graylisted_rpc(&self) {
        self.graylisted_rpcs.fetch_add(1, Ordering::Relaxed);
    }

    /// A peer's stream was closed because a frame was not complete in time.
    pub(super) fn add_slow_frame(&self) {
        self.slow_frames.fetch_add(1, Ordering::Relaxed);
    }

    /// The application's function for message ids panicked.
    pub(super) fn add_hook_panic(&self) {
        self.hook_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// The signature of a message was verified and is right.
    pub(super) fn add_verified(&self) {
        self.verified.fetch_add(1, Ordering::Relaxed);
    }

    /// A message broke the signature policy.
    pub(super) fn add_policy_violation(&self) {
        self.policy_violations.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries of an RPC were ignored because of the limits.
    pub(super) fn add_ignored_entries(&self, entries: u64) {
        if entries > 0 {
            self.ignored_entries.fetch_add(entries, Ordering::Relaxed);
        }
    }

    /// A stream of ours is requested again, because the last one broke or could not be opened.
    pub(super) fn add_reopened_stream(&self) {
        self.reopened_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame of a peer was received in part and its stream ended or was replaced.
    pub(super) fn add_lost_frame(&self) {
        self.lost_frames.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> TransportStats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransportStats {
            received_bytes: value(&self.received_bytes),
            sent_bytes: value(&self.sent_bytes),
            bad_frames: value(&self.bad_frames),
            bad_rpcs: value(&self.bad_rpcs),
            graylisted_rpcs: value(&self.graylisted_rpcs),
            slow_frames: value(&self.slow_frames),
            hook_panics: value(&self.hook_panics),
            verified_signatures: value(&self.verified),
            policy_violations: value(&self.policy_violations),
            ignored_entries: value(&self.ignored_entries),
            reopened_streams: value(&self.reopened_streams),
            lost_frames: value(&self.lost_frames),
            ..TransportStats::default()
        }
    }
}

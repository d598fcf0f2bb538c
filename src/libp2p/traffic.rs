//! What was read and written on all connections of a network, in numbers. Counts; carries nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{libp2p::connection::inbound_stream::InboundError, network::Traffic};

/// Counted by the connections' tasks, read whenever somebody asks.
#[derive(Debug, Default)]
pub(super) struct Wire {
    received: AtomicU64,
    sent: AtomicU64,
    bad_frames: AtomicU64,
    bad_rpcs: AtomicU64,
}

impl Wire {
    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A peer's stream is no longer read.
    pub(super) fn failed(&self, error: &InboundError) {
        let counter = match error {
            InboundError::Frame(_) => &self.bad_frames,
            InboundError::Rpc(_) => &self.bad_rpcs,
            // The network's doing, not the peer's.
            InboundError::Io(_) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn traffic(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            received_bytes: of(&self.received),
            sent_bytes: of(&self.sent),
            bad_frames: of(&self.bad_frames),
            bad_rpcs: of(&self.bad_rpcs),
        }
    }
}

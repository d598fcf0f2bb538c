//! The events of a behaviour.

use std::collections::HashMap;

use ::libp2p::{Multiaddr, PeerId, StreamProtocol};

use super::inputs::Inputs;
use crate::{
    libp2p::{
        codec::encode::EncodeError,
        connection::{inbound_stream::InboundError, lanes::LaneCounts},
    },
    protocol::Lane,
    worker::DropReason,
};

/// An event of a [`Behaviour`](crate::libp2p::Behaviour), for the owner of the swarm.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Inputs for the engine, in this order: the messages of one RPC, or one connection or disconnection.
    Inputs(Inputs),
    /// A connection carries gossipsub. Precedes the [`Inputs`](Self::Inputs) with the connection.
    Established {
        /// The peer.
        peer: PeerId,
        /// The protocol that was negotiated first on the connection.
        protocol: StreamProtocol,
    },
    /// A peer's stream is no longer read because of what was read from it. The peer may open another one.
    InboundFailed {
        /// The peer.
        peer: PeerId,
        /// What is wrong.
        error: InboundError,
    },
    /// A connected peer supports none of our protocols.
    Unsupported {
        /// The peer.
        peer: PeerId,
    },
    /// A connected peer broke every stream that we opened, so that nothing can be sent to it.
    OutboundFailed {
        /// The peer.
        peer: PeerId,
    },
    /// Items were not sent to a peer. Every dropped item is reported exactly once; an item is an entry of an RPC.
    Dropped {
        /// The peer.
        peer: PeerId,
        /// Why the items were dropped.
        reason: DropReason,
        /// How many were dropped since the last such event for this peer and reason.
        lanes: LaneCounts,
    },
    /// A message can't be encoded. `Dropped` counts it for each of its recipients.
    EncodeFailed {
        /// What is wrong.
        error: EncodeError,
    },
    /// A peer reads too slowly. Emitted once, until the peer reads again. What follows depends on
    /// [`BehaviourConfig::slow_peer`](crate::libp2p::BehaviourConfig::slow_peer).
    SlowPeer {
        /// The peer.
        peer: PeerId,
        /// In what way it is slow.
        slowness: Slowness,
    },
    /// An address that the engine asked to dial can't be reached. Pass it to the engine's `set_unreachable_point`.
    Unreachable {
        /// The address.
        point: Multiaddr,
        /// What is wrong.
        error: String,
    },
    /// A peer that the engine asked to dial can't be reached.
    DialFailed {
        /// The peer.
        peer: PeerId,
        /// What is wrong.
        error: String,
    },
}

/// In what way a peer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slowness {
    /// Within `write_timeout` the peer read fewer than `min_written` bytes, though more were pending.
    Unread,
    /// Control alone, which is never dropped, reached `stall_factor` times the limits of the send queue. The peer is
    /// disconnected in any case.
    Overflow,
}

/// Why a connection was refused: the engine kicked this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} was kicked")]
pub struct Blocked(pub PeerId);

/// The dropped items that no [`Event::Dropped`] has reported yet: at most one entry for each peer and reason.
#[derive(Default)]
pub(super) struct UnreportedDrops(HashMap<(PeerId, DropReason), LaneCounts>);

impl UnreportedDrops {
    /// Counts one item.
    pub(super) fn add_one(&mut self, peer: PeerId, reason: DropReason, lane: Lane) {
        self.0.entry((peer, reason)).or_default().add(lane, 1);
    }

    /// Counts items of all lanes.
    pub(super) fn add(&mut self, peer: PeerId, reason: DropReason, lanes: LaneCounts) {
        if lanes != LaneCounts::NONE {
            *self.0.entry((peer, reason)).or_default() += lanes;
        }
    }

    /// Takes the entry of one peer and reason as an event.
    pub(super) fn take(&mut self) -> Option<Event> {
        let next = self.0.keys().next().copied()?;
        let ((peer, reason), lanes) = self.0.remove_entry(&next)?;
        Some(Event::Dropped { peer, reason, lanes })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

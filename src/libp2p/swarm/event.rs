//! The events of a behaviour. The most frequent one carries inputs for the engine, which use up the connection's read
//! budget until the engine has taken them.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    task::Context,
};

use ::libp2p::{Multiaddr, PeerId};

use crate::{
    libp2p::{
        codec::encode_error::EncodeError,
        connection::{
            capabilities::ProtocolId, inbound_stream::InboundError, lanes::LaneCounts, read_budget::Permit,
        },
        network::Libp2pNetwork,
    },
    network::{ConnectionRefusal, P2pInput},
    protocol::Lane,
    worker::DropReason,
};

/// An event of a [`Behaviour`](crate::libp2p::Behaviour), for the owner of the swarm.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Inputs for the engine, in this order: the messages of one RPC or of a part of it, or one connection or
    /// disconnection.
    Inputs(Inputs),
    /// A connection carries gossipsub. Precedes the [`Inputs`](Self::Inputs) with the connection.
    Established {
        /// The peer.
        peer: PeerId,
        /// The protocol that was negotiated first on the connection.
        protocol: ProtocolId,
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
    /// This node did not dial a peer or an address that the engine asked for, because a limit is reached. That says
    /// nothing about the peer or the address: the engine may ask again at once.
    DialRefused {
        /// The peer, if the engine named one.
        peer: Option<PeerId>,
        /// The address, if the engine named one.
        point: Option<Multiaddr>,
        /// The limit.
        reason: ConnectionRefusal,
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
    WriteTimeout,
    /// Control alone, which is never dropped, reached its limits in the send queue. The peer is disconnected in any case.
    Overflow,
    /// The memory of the transport was scarce, and control alone had its part of what was free. The peer is disconnected,
    /// since control can't be dropped; it may be an honest one.
    Memory,
}

/// Inputs for the engine, all of one peer. Iterates over the inputs that are not taken yet.
///
/// When the engine has no room, keep this value, and pass no later inputs of the same peer to the engine before it.
/// The connection of this peer is then read no further; other peers are not affected. Drop this value when it is empty
/// or when the peer has disconnected.
pub struct Inputs {
    peer: PeerId,
    pending: VecDeque<P2pInput<Libp2pNetwork>>,
    /// `None` for a connection or disconnection.
    permit: Option<Permit>,
    /// Whether the observer has seen the next input.
    observed: bool,
}

impl Inputs {
    pub(in crate::libp2p) fn new(
        peer: PeerId,
        inputs: impl IntoIterator<Item = P2pInput<Libp2pNetwork>>,
        permit: Option<Permit>,
    ) -> Self {
        Self { peer, pending: inputs.into_iter().collect(), permit, observed: false }
    }

    /// The peer of all these inputs.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The next input, which stays in place.
    pub fn front(&self) -> Option<&P2pInput<Libp2pNetwork>> {
        self.pending.front()
    }

    /// Puts an input back that the engine refused. It is the next one again.
    pub fn put_back(&mut self, input: P2pInput<Libp2pNetwork>) {
        self.pending.push_front(input);
    }

    pub(in crate::libp2p) fn is_observed(&self) -> bool {
        self.observed
    }

    /// The observer has seen the next input, which was put back.
    pub(in crate::libp2p) fn set_observed(&mut self) {
        self.observed = true;
    }
}

impl Iterator for Inputs {
    type Item = P2pInput<Libp2pNetwork>;

    fn next(&mut self) -> Option<Self::Item> {
        self.observed = false;
        self.pending.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.pending.len(), Some(self.pending.len()))
    }
}

impl ExactSizeIterator for Inputs {}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Inputs");
        out.field("peer", &self.peer).field("pending", &self.pending).field("permit", &self.permit.is_some());
        out.finish_non_exhaustive()
    }
}

/// The dropped items that no [`Event::Dropped`] has reported yet: at most one entry for each peer and reason.
#[derive(Default)]
pub(super) struct UnreportedDrops {
    counts: HashMap<(PeerId, DropReason), LaneCounts>,
    /// Whether the last poll returned a report.
    reported: bool,
}

impl UnreportedDrops {
    /// Counts one item.
    pub(super) fn add_one(&mut self, peer: PeerId, reason: DropReason, lane: Lane) {
        self.counts.entry((peer, reason)).or_default().add(lane, 1);
    }

    /// Counts items of all lanes.
    pub(super) fn add(&mut self, peer: PeerId, reason: DropReason, lanes: LaneCounts) {
        if lanes != LaneCounts::NONE {
            *self.counts.entry((peer, reason)).or_default() += lanes;
        }
    }

    /// The report for one peer and reason, at every second poll at most: the swarm polls its connections only while the
    /// behaviour is pending, and an engine that sends to disconnected peers must not keep the connected ones from being
    /// read. The task of `cx` is woken if a report is left.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Option<Event> {
        if !std::mem::replace(&mut self.reported, false)
            && let Some(next) = self.counts.keys().next().copied()
            && let Some(((peer, reason), lanes)) = self.counts.remove_entry(&next)
        {
            self.reported = true;
            return Some(Event::Dropped { peer, reason, lanes });
        }
        if !self.counts.is_empty() {
            cx.waker().wake_by_ref();
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

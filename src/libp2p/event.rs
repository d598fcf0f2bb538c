//! What a behaviour is told once, and what it tells its owner. Plain data.

use std::{collections::BTreeSet, fmt, ops::AddAssign};

use ::libp2p::{Multiaddr, PeerId, StreamProtocol};

use super::{EncodeError, InboundError, Inputs, QueueLimits};
use crate::protocol::Lane;

/// The settings of a [`Behaviour`](super::Behaviour).
#[derive(Clone, Debug)]
pub struct BehaviourConfig {
    /// The protocols offered, the preferred one first.
    pub protocols: Vec<StreamProtocol>,
    /// Peers that are always forwarded to and never in a mesh.
    pub direct: BTreeSet<PeerId>,
    /// Peers that are dialled again when lost.
    pub trusted: BTreeSet<PeerId>,
    /// Peers that get control messages only.
    pub bootstrap: BTreeSet<PeerId>,
    /// How much may wait for a connection to be written to.
    pub queue: QueueLimits,
    /// Whether a peer that stalls, so that even control can't be said to it, is disconnected. If not, it
    /// is served again once it has read all that waits, and has missed what was said meanwhile.
    pub disconnect_stalled: bool,
    /// Kicked peers that are remembered; beyond it the oldest is let in again.
    pub max_blocked: usize,
    /// Streams on which a peer may send garbage before its connection is closed.
    pub max_bad_streams: u32,
}

impl Default for BehaviourConfig {
    fn default() -> Self {
        Self {
            protocols: vec![StreamProtocol::new("/meshsub/1.1.0"), StreamProtocol::new("/meshsub/1.0.0")],
            direct: BTreeSet::new(),
            trusted: BTreeSet::new(),
            bootstrap: BTreeSet::new(),
            queue: QueueLimits::default(),
            disconnect_stalled: true,
            max_blocked: 4_096,
            max_bad_streams: 8,
        }
    }
}

/// What a [`Behaviour`](super::Behaviour) tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// For the engine, in this order. At most what one RPC said, or one connection's coming or going.
    Inputs(Inputs),
    /// A connection to a peer carries gossipsub. Comes before the inputs that tell of it.
    Up { peer: PeerId, protocol: StreamProtocol },
    /// A peer's stream was dropped for what came on it. The peer may open another.
    InboundFailed { peer: PeerId, error: InboundError },
    /// A connected peer speaks no protocol of ours.
    Unsupported { peer: PeerId },
    /// A connected peer broke every stream that we opened: nothing can be said to it.
    OutboundFailed { peer: PeerId },
    /// So many items were dropped since the last such event, because the peer reads too slowly.
    Dropped { peer: PeerId, count: u64, lanes: LaneCounts },
    /// Something was not sent to the peer.
    NotSent { peer: PeerId, error: EncodeError },
    /// A peer reads so slowly that even control can't be said to it. It is disconnected if the
    /// behaviour's `disconnect_stalled` says so.
    Stalled { peer: PeerId },
    /// A point that the engine wanted can't be reached: to be told by `set_unreachable_point`.
    Unreachable { point: Multiaddr, error: String },
    /// A peer that the engine wanted can't be reached.
    DialFailed { peer: PeerId, error: String },
}

/// How many items of each lane.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneCounts([u64; Lane::ALL.len()]);

impl LaneCounts {
    /// None of any lane.
    pub const NONE: Self = Self([0; Lane::ALL.len()]);

    /// How many of `lane`.
    pub fn of(&self, lane: Lane) -> u64 {
        self.0[lane as usize]
    }

    /// How many of all lanes.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(super) fn add(&mut self, lane: Lane, count: u64) {
        let counted = &mut self.0[lane as usize];
        *counted = counted.saturating_add(count);
    }
}

impl AddAssign for LaneCounts {
    fn add_assign(&mut self, other: Self) {
        Lane::ALL.iter().for_each(|lane| self.add(*lane, other.of(*lane)));
    }
}

impl fmt::Debug for LaneCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Lane::ALL.iter().map(|lane| (lane.name(), self.of(*lane)))).finish()
    }
}

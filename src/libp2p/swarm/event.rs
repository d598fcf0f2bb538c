//! What a behaviour is told once, and what it tells its owner. Plain data.

use std::{collections::BTreeSet, fmt, ops::AddAssign, time::Duration};

use ::libp2p::{Multiaddr, PeerId, StreamProtocol};

use super::inputs::Inputs;
use crate::{
    libp2p::{
        codec::encode::EncodeError,
        connection::{inbound_stream::InboundError, send_queue::QueueLimits},
    },
    protocol::Lane,
    worker::NotSent,
};

/// The settings of a [`Behaviour`](crate::libp2p::Behaviour).
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
    /// A peer that reads less than `min_written` bytes in this time, though more waits for it, is slow.
    /// Yamux lets a peer have more only when it has read half of its window, 128 KiB or more: one that
    /// needs longer for that is slow too.
    pub write_timeout: Duration,
    /// The bytes that a peer must read in `write_timeout`, if as many wait. Against peers that read a byte
    /// now and then.
    pub min_written: usize,
    /// What is done about a slow peer.
    pub slow_peer: SlowPeerAction,
    /// Dials that the engine asked for and that are under way, at most; beyond it they fail at once.
    pub max_dials: usize,
    /// Kicked peers that are remembered; beyond it the oldest is let in again.
    pub max_blocked: usize,
    /// Streams on which a peer may send garbage before its connection is closed.
    pub max_bad_streams: u32,
}

impl Default for BehaviourConfig {
    fn default() -> Self {
        Self {
            protocols: ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"]
                .map(StreamProtocol::new)
                .to_vec(),
            direct: BTreeSet::new(),
            trusted: BTreeSet::new(),
            bootstrap: BTreeSet::new(),
            queue: QueueLimits::default(),
            write_timeout: Duration::from_secs(10),
            min_written: 16 << 10,
            slow_peer: SlowPeerAction::default(),
            max_dials: 256,
            max_blocked: 4_096,
            max_bad_streams: 8,
        }
    }
}

/// What is done about a peer that reads too slowly, besides what is always done: its owner is told
/// ([`Event::SlowPeer`]) and through it the engine, which lowers the peer's score if its limits say so;
/// what waits for the peer is dropped, and all but control until it reads again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPeerAction {
    /// Nothing else: the peer stays, in its meshes too, as long as its score allows.
    Report,
    /// It is disconnected: it may come back.
    #[default]
    Disconnect,
}

/// In what way a peer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slowness {
    /// For `write_timeout` it read nothing, or next to nothing, of what waited for it.
    Unread,
    /// Control alone, which is never dropped, fills `stall_factor` times its queue. It is disconnected in
    /// any case.
    Overflow,
}

/// What a [`Behaviour`](crate::libp2p::Behaviour) tells its owner.
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
    /// So many items were not sent to the peer since the last such event, for this reason. All that is
    /// dropped is told so, once; an item is an entry of an RPC.
    Dropped { peer: PeerId, reason: NotSent, lanes: LaneCounts },
    /// Something can't be written at all. It is counted by `Dropped` for each peer it was meant for.
    NotSent { error: EncodeError },
    /// A peer reads too slowly: told once, until it reads again. What follows is
    /// [`BehaviourConfig::slow_peer`]'s.
    SlowPeer { peer: PeerId, slowness: Slowness },
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

    /// Each lane with its number, the most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, u64)> {
        Lane::ALL.into_iter().zip(self.0)
    }

    /// How many of all lanes.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(in crate::libp2p) fn add(&mut self, lane: Lane, count: u64) {
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

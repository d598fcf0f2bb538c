//! The settings of a behaviour.

use std::{collections::BTreeSet, time::Duration};

use ::libp2p::{PeerId, StreamProtocol, swarm::InvalidProtocol};

use crate::libp2p::{
    connection::{
        capabilities::{ProtocolId, ProtocolVersion},
        queue_limits::QueueLimits,
    },
    memory,
    state::address_filter::AddressFilter,
};

/// The settings of a [`Behaviour`](crate::libp2p::Behaviour).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BehaviourConfig {
    /// The protocols that are offered, the preferred one first. By default `/meshsub/1.2.0`, `1.1.0` and `1.0.0`. See
    /// [`protocol_id_prefix`](Self::protocol_id_prefix) and [`protocol_id`](Self::protocol_id).
    pub protocols: Vec<ProtocolId>,
    /// Whether floodsub (`/floodsub/1.0.0`) is offered after the `protocols`. By default it is not. A peer that speaks nothing
    /// else is sent every message of the topics that it subscribes to, as long as its score is not below
    /// [`publish_threshold`](crate::LimitsConfig::publish_threshold): so each such peer costs more upload than one of a mesh.
    pub floodsub: bool,
    /// Direct peers: every message is forwarded to them, and they are in no mesh. `NodeDriver` and
    /// [`gossipsub::Behaviour`](crate::libp2p::gossipsub::Behaviour) pass them to the engine
    /// ([`Worker::set_direct`](crate::Worker::set_direct)), which decides from then on whether they are direct, and asks to
    /// dial one at the start and again and again while it is not connected. It is dialled at the addresses that are known of it:
    /// those that it was dialled at before or reported, those of
    /// [`Behaviour::add_addresses`](crate::libp2p::Behaviour::add_addresses), and those that other behaviours know.
    pub direct: BTreeSet<PeerId>,
    /// Trusted peers: they are dialled again when their connection is lost.
    pub trusted: BTreeSet<PeerId>,
    /// Bootstrap peers: they get control messages only.
    pub bootstrap: BTreeSet<PeerId>,
    /// The bounds of each connection's send queue.
    pub queue: QueueLimits,
    /// A peer is slow if fewer than `min_written` bytes are written to it in this time, though more are pending. By
    /// default 10 s.
    ///
    /// Yamux grants a peer's stream more window only when the peer has read half of it, 128 KiB or more. A peer that
    /// needs longer than `write_timeout` for that is slow too.
    pub write_timeout: Duration,
    /// The bytes that must be written in `write_timeout` if as many are pending; by default 16 KiB. This finds peers
    /// that read a byte now and then.
    pub min_written: usize,
    /// Most bytes of memory that all connections together use for encoded messages, send queues, frames and decoded
    /// inputs; by default 128 MiB. One connection gets at most a sixteenth of what is free of it in each direction, so
    /// that those that use most lose items first ([`DropReason::TransportMemory`](crate::DropReason::TransportMemory)),
    /// or are read later. Control gets half of what is free.
    pub max_memory: usize,
    /// The time in which a frame must be complete from its first byte on, while the engine has room for it; by default
    /// 20 s. Otherwise its stream is closed. The peer may open
    /// others, up to [`max_reopened_streams`](Self::max_reopened_streams).
    pub frame_timeout: Duration,
    /// The action against a slow peer.
    pub slow_peer: SlowPeerAction,
    /// Most dials of direct and trusted peers and of persistent points that are in progress; by default 256. Further ones are refused at
    /// once ([`Event::DialRefused`](crate::libp2p::Event::DialRefused)).
    pub max_dials: usize,
    /// Most dials of recommended peers (px) that are in progress; by default 16. They have a budget of their own, so that
    /// no peer can delay the dials of `max_dials`, which the owner or the configuration of the node asks for.
    pub max_px_dials: usize,
    /// Most recommended peers (px) that are dialled within one minute; by default 60. Without this, peers that lead nowhere
    /// would be dialled without a pause.
    pub max_px_dials_per_minute: usize,
    /// Which addresses that other peers report or recommend may be dialled. By default global ones.
    pub addresses: AddressFilter,
    /// Most blocked peers; by default 4,096. Beyond it the block that ends first is lifted.
    pub max_blocked: usize,
    /// How many streams a peer may break by bytes that are not acceptable RPCs before the connection is closed; by
    /// default 8.
    pub max_bad_streams: u32,
    /// How often a peer may open another stream, after a reset for instance, before the connection is closed; by default 32.
    /// No score changes: the link may be bad and not the peer, and it may connect again. Streams of floodsub are not counted.
    pub max_reopened_streams: u32,
}

impl BehaviourConfig {
    /// Applies `change` and returns the result: `BehaviourConfig::default().with(|c| c.max_dials = 16)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Offers `PREFIX/1.2.0`, `PREFIX/1.1.0` and `PREFIX/1.0.0` in place of the protocols of the specification, for a network
    /// of your own: `config.protocol_id_prefix("/myapp")`.
    ///
    /// # Errors
    /// The prefix does not begin with a slash.
    pub fn protocol_id_prefix(self, prefix: &str) -> Result<Self, InvalidProtocol> {
        let protocols = ProtocolId::with_prefix(prefix)?;
        Ok(Self { protocols, ..self })
    }

    /// Offers a single protocol, which has this id and over which this version of gossipsub is spoken.
    ///
    /// # Errors
    /// The id does not begin with a slash.
    pub fn protocol_id(
        self,
        id: impl Into<String>,
        version: ProtocolVersion,
    ) -> Result<Self, InvalidProtocol> {
        Ok(Self { protocols: vec![ProtocolId::new(id, version)?], ..self })
    }

    /// The protocols that are offered, the preferred one first.
    pub(in crate::libp2p) fn offered(&self) -> impl Iterator<Item = ProtocolId> {
        let floodsub = self.floodsub.then_some(ProtocolId::FLOODSUB);
        self.protocols.iter().cloned().chain(floodsub)
    }

    /// The trusted and bootstrap peers. The connection limits admit them, and direct peers, in any case.
    pub(in crate::libp2p) fn privileged(&self) -> impl Iterator<Item = PeerId> {
        [&self.trusted, &self.bootstrap].into_iter().flatten().copied()
    }

    /// The most bytes of heap that this behaviour uses for `connections`: [`max_memory`](Self::max_memory), and for
    /// each connection [`CONNECTION_MEMORY`](Self::CONNECTION_MEMORY). Not included are the windows of yamux, the address
    /// book and the signature cache.
    pub const fn memory_at_most(&self, connections: usize) -> usize {
        self.max_memory.saturating_add(connections.saturating_mul(Self::CONNECTION_MEMORY))
    }

    /// The most bytes that a connection uses and that are not charged: 80 KiB of frames that are being written, the buffers
    /// of noise and yamux for reading and writing, and 16 KiB of control, which it may have even if memory is scarce.
    pub const CONNECTION_MEMORY: usize = 400 << 10;
}

impl Default for BehaviourConfig {
    fn default() -> Self {
        Self {
            protocols: ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"]
                .map(|id| StreamProtocol::new(id).into())
                .to_vec(),
            floodsub: false,
            direct: BTreeSet::new(),
            trusted: BTreeSet::new(),
            bootstrap: BTreeSet::new(),
            queue: QueueLimits::default(),
            write_timeout: Duration::from_secs(10),
            min_written: 16 << 10,
            max_memory: memory::DEFAULT_LIMIT,
            frame_timeout: Duration::from_secs(20),
            slow_peer: SlowPeerAction::default(),
            max_dials: 256,
            max_px_dials: 16,
            max_px_dials_per_minute: 60,
            addresses: AddressFilter::default(),
            max_blocked: 4_096,
            max_bad_streams: 8,
            max_reopened_streams: 32,
        }
    }
}

/// What is done about a peer that reads too slowly, in addition to what is always done: [`Event::SlowPeer`] is emitted,
/// through which the engine may lower the peer's score; the items that are pending for the peer are dropped; and only
/// control is queued until the peer reads again. Then the engine offers it the messages that it missed.
///
/// [`Event::SlowPeer`]: crate::libp2p::Event::SlowPeer
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPeerAction {
    /// Nothing else. The peer stays connected, and in meshes as long as its score allows.
    Report,
    /// The peer is disconnected. It may connect again.
    #[default]
    Disconnect,
}

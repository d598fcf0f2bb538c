//! The network an engine serves: its types, its hooks, and the words that cross the engine's border.
//!
//! Everything above this file is generic over [`Network`]. Nothing here decides anything.

use std::{fmt, hash::Hash, pin::Pin, sync::Arc, time::Duration};

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

/// What an identifier must be able to do: be copied cheaply, ordered, hashed, printed and sent.
pub trait Key: Clone + Ord + Hash + fmt::Debug + Send + Sync + Unpin + 'static {}
impl<T: Clone + Ord + Hash + fmt::Debug + Send + Sync + Unpin + 'static> Key for T {}

/// A verdict that comes later. Dropped unfinished when it takes longer than
/// `bounds.validation_timeout`.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The application's side of the engine: the types of one network and the questions the engine
/// asks about them (the seed's `WORKER_CONFIGURATION`).
///
/// Hooks are called on the engine's threads, from several at a time, and must not block.
pub trait Network: Send + Sync + Sized + 'static {
    /// A peer. Cloned often: make it small or an `Arc`.
    type Peer: Key;
    /// A topic.
    type Topic: Key;
    /// The id of a message, unique within its topic.
    type MessageId: Key;
    /// The content of a message. Compared only between deliveries of the same id.
    type Message: Clone + Ord + fmt::Debug + Send + Sync + Unpin + 'static;
    /// A network address at which a peer may be reached again.
    type Point: Key;

    /// The topic that an id names, when ids carry their topic. Return `None` when they don't
    /// (libp2p's do not): the engine then remembers where it put each message.
    fn topic_of(&self, id: &Self::MessageId) -> Option<Self::Topic>;

    /// The application's verdict on an id alone, before any content is looked at.
    fn validate_id(&self, id: &Self::MessageId) -> Validity {
        let _ = id;
        Validity::Valid
    }

    /// The application's verdict on a message that is not yet seen.
    fn validate(&self, id: &Self::MessageId, message: &Self::Message) -> Validity {
        let _ = (id, message);
        Validity::Valid
    }

    /// The application's verdict on a message that takes its time: `Some` in place of
    /// [`validate`](Self::validate). The engine goes on meanwhile; deliveries of the same message are
    /// gathered until the verdict. Must not block: hand hard work to threads of your own. A
    /// [`Node`](crate::protocol::Node) waits for nothing: it judges by [`validate`](Self::validate).
    fn validate_later(&self, message: &Arc<FullMessage<Self>>) -> Option<Later<Validity>> {
        let _ = message;
        None
    }

    /// The verdicts on a batch that take their time: `Some` in place of
    /// [`validate_batch`](Self::validate_batch).
    fn validate_batch_later(&self, batch: &[Delivery<Self>]) -> Option<Later<Vec<Validity>>> {
        let _ = batch;
        None
    }

    /// The verdicts on a batch, one per entry and in the same order. An answer of another length
    /// makes the validity of the whole batch unknown.
    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let verdict = |d: &Delivery<Self>| self.validate(&d.message.message_id, &d.message.message);
        batch.iter().map(verdict).collect()
    }

    /// The bytes that a message holds in memory; admission bounds their sum. Override it when messages
    /// own more than their type shows.
    fn message_size(&self, message: &Self::Message) -> usize {
        size_of_val(message)
    }

    /// The bytes that an id holds in memory.
    fn message_id_size(&self, id: &Self::MessageId) -> usize {
        size_of_val(id)
    }

    /// Whether `peer` may do `action`; `false` makes the engine ignore or refuse it.
    fn peer_filter(&self, peer: &Self::Peer, action: PeerAction<'_, Self>) -> bool {
        let _ = (peer, action);
        true
    }

    /// The point at which `peer` is reached, if one is known. Ties peers to the reconnection
    /// delays of [`Worker::set_unreachable_point`](crate::Worker::set_unreachable_point).
    fn reachable_point(&self, peer: &Self::Peer) -> Option<Self::Point> {
        let _ = peer;
        None
    }

    /// What the transport of this network read and wrote so far, if it counts: shown among the metrics.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// What `topic` is called among the metrics, if it gets a label of its own: short, and no other topic's.
    fn topic_label(&self, topic: &Self::Topic) -> String {
        format!("{topic:?}").trim_matches('"').to_owned()
    }

    /// Points to stay connected to; asked for at each round of reconnections.
    fn persistent_points(&self) -> Vec<Self::Point> {
        Vec::new()
    }
}

/// What a transport read and wrote since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from peers.
    pub received_bytes: u64,
    /// Bytes written to peers.
    pub sent_bytes: u64,
    /// Streams given up because what came was not a frame.
    pub bad_frames: u64,
    /// Streams given up because a frame was not an RPC.
    pub bad_rpcs: u64,
}

/// A verdict of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Routed and delivered; its first deliverer is credited.
    Valid,
    /// Not decidable yet: parked, and tried again at each heartbeat.
    Unknown,
    /// Too old to matter: dropped, nobody is penalised.
    Outdated,
    /// Dropped, and everyone who delivered it is penalised (P4).
    Invalid,
}

/// What a peer asks for, as shown to [`Network::peer_filter`].
#[derive_where(Clone, Copy, Debug)]
pub enum PeerAction<'a, N: Network> {
    /// It offers a message by IHAVE.
    IHave(&'a N::MessageId),
    /// It requests a message by IWANT.
    IWant(&'a N::MessageId),
    /// It wants to enter a mesh.
    Graft,
}

/// A message with its header (the spec's "full message").
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(
    serialize = "N::Topic: Serialize, N::MessageId: Serialize, N::Message: Serialize",
    deserialize = "N::Topic: Deserialize<'de>, N::MessageId: Deserialize<'de>, N::Message: Deserialize<'de>"
))]
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FullMessage<N: Network> {
    /// The topic it was published on.
    pub topic: N::Topic,
    /// Its id.
    pub message_id: N::MessageId,
    /// Its content.
    pub message: N::Message,
}

/// A message that came from the network, with everyone who delivered it before its verdict.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<N: Network> {
    /// The first peer to deliver it.
    pub sender: N::Peer,
    /// The other peers that delivered the same content before the verdict, ascending.
    pub co_senders: Vec<N::Peer>,
    /// What they delivered.
    pub message: Arc<FullMessage<N>>,
}

impl<N: Network> FullMessage<N> {
    /// The bytes that it holds in memory, roughly; so few that sums of them are no danger, whatever the
    /// network says.
    pub(crate) fn size(&self, network: &N) -> usize {
        let (message, id) = (network.message_size(&self.message), network.message_id_size(&self.message_id));
        size_of::<Self>().saturating_add(message).saturating_add(id).min(1 << 32)
    }
}

impl<N: Network> Delivery<N> {
    /// Takes in the deliverers of another delivery of the same message: the first to come, up to `max`
    /// beside the very first.
    pub(crate) fn join(&mut self, other: Self, max: usize) {
        for peer in std::iter::once(other.sender).chain(other.co_senders) {
            if peer != self.sender
                && self.co_senders.len() < max
                && let Err(place) = self.co_senders.binary_search(&peer)
            {
                self.co_senders.insert(place, peer);
            }
        }
    }
}

/// What peers say to each other.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's line tells its fields")]
pub enum P2pMessage<N: Network> {
    /// "I put you in my mesh of this topic."
    Graft { topic: N::Topic },
    /// "I took you out of my mesh": others to try, and for how long not to come back.
    Prune { topic: N::Topic, px: Vec<N::Peer>, backoff: Duration },
    /// "I have these messages."
    IHave { topic: N::Topic, message_ids: Vec<N::MessageId> },
    /// "Send me these messages."
    IWant { message_ids: Vec<N::MessageId> },
    /// "I have these messages, or they are on their way to me: don't send them" (v1.2).
    IDontWant { message_ids: Vec<N::MessageId> },
    /// "I want messages of this topic."
    Subscribe { topic: N::Topic },
    /// "I no longer want messages of this topic."
    Unsubscribe { topic: N::Topic },
    /// A full message. Shared: it is the same allocation for all who receive it.
    FullMessage(Arc<FullMessage<N>>),
    /// Keeps a connection alive; says nothing.
    Ping,
}

/// What the p2p layer tells the engine.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's line tells its fields")]
pub enum P2pInput<N: Network> {
    /// A peer said something.
    InMessage { from_peer: N::Peer, message: P2pMessage<N> },
    /// A connection is up. `direct` peers are always forwarded to and never in a mesh, `outbound`
    /// ones were dialled by us, `trusted` ones are dialled again when lost, `bootstrap` ones get
    /// control messages only.
    NewConnection { peer: N::Peer, direct: bool, outbound: bool, trusted: bool, bootstrap: bool },
    /// A connection is gone.
    Disconnection { peer: N::Peer },
}

/// What the application tells the engine.
#[derive_where(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's line tells its fields")]
pub enum AppInput<N: Network> {
    /// Publish a message; its topic need not be joined.
    Publish(FullMessage<N>),
    /// Take part in a topic.
    Join(N::Topic),
    /// Stop taking part in a topic.
    Leave(N::Topic),
    /// Set the application's part (P5) of a peer's score.
    SetApplicationScore { peer: N::Peer, score: f64 },
}

/// Why a connection is wanted.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub enum Origin<N: Network> {
    /// Peer exchange: this peer advertised it in a PRUNE.
    Px(N::Peer),
    /// It is a trusted peer that was lost.
    Trusted,
}

/// What the p2p layer is to do.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's line tells its fields")]
pub enum P2pOutput<N: Network> {
    /// Send `message` to `to_peer`.
    OutMessage { to_peer: N::Peer, message: P2pMessage<N> },
    /// End the connection.
    Disconnect { peer: N::Peer },
    /// End the connection and refuse the peer from now on.
    Kick { peer: N::Peer },
    /// Try to connect to a peer.
    Connect { peer: N::Peer, origin: Origin<N> },
    /// Try to connect to a point.
    ConnectPoint { point: N::Point },
    /// We won't connect to `peer`, which `origin` advertised.
    Forget { peer: N::Peer, origin: N::Peer },
}

/// What the application receives: the valid messages of the topics it joined.
pub type AppOutput<N> = Arc<FullMessage<N>>;

impl<N: Network> P2pInput<N> {
    /// An ordinary connection: inbound, neither direct nor trusted nor bootstrap.
    pub fn connected(peer: N::Peer) -> Self {
        Self::NewConnection { peer, direct: false, outbound: false, trusted: false, bootstrap: false }
    }

    /// `from_peer` said `message`.
    pub fn said(from_peer: N::Peer, message: P2pMessage<N>) -> Self {
        Self::InMessage { from_peer, message }
    }
}

impl<N: Network> P2pMessage<N> {
    /// The topic it is about, if it is about one.
    pub fn topic(&self) -> Option<&N::Topic> {
        match self {
            Self::Graft { topic }
            | Self::Prune { topic, .. }
            | Self::IHave { topic, .. }
            | Self::Subscribe { topic }
            | Self::Unsubscribe { topic } => Some(topic),
            Self::FullMessage(full) => Some(&full.topic),
            Self::IWant { .. } | Self::IDontWant { .. } | Self::Ping => None,
        }
    }
}

// The seed's `pp_p2p_output` and `pp_app_output`. Lists are shown by their length: a log line must
// stay a line.

impl<N: Network> fmt::Display for FullMessage<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {:?} on {:?}", self.message_id, self.topic)
    }
}

impl<N: Network> fmt::Display for P2pMessage<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graft { topic } => write!(f, "graft on {topic:?}"),
            Self::Prune { topic, px, backoff } => {
                write!(f, "prune on {topic:?} ({} px, backoff {backoff:?})", px.len())
            }
            Self::IHave { topic, message_ids } => {
                write!(f, "ihave of {} ids on {topic:?}", message_ids.len())
            }
            Self::IWant { message_ids } => write!(f, "iwant of {} ids", message_ids.len()),
            Self::IDontWant { message_ids } => write!(f, "idontwant of {} ids", message_ids.len()),
            Self::Subscribe { topic } => write!(f, "subscribe to {topic:?}"),
            Self::Unsubscribe { topic } => write!(f, "unsubscribe from {topic:?}"),
            Self::FullMessage(full) => full.fmt(f),
            Self::Ping => f.write_str("ping"),
        }
    }
}

impl<N: Network> fmt::Display for P2pOutput<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutMessage { to_peer, message } => write!(f, "to {to_peer:?}: {message}"),
            Self::Disconnect { peer } => write!(f, "disconnect {peer:?}"),
            Self::Kick { peer } => write!(f, "kick {peer:?}"),
            Self::Connect { peer, origin: Origin::Trusted } => write!(f, "connect to {peer:?} (trusted)"),
            Self::Connect { peer, origin: Origin::Px(from) } => {
                write!(f, "connect to {peer:?} (px from {from:?})")
            }
            Self::ConnectPoint { point } => write!(f, "connect to point {point:?}"),
            Self::Forget { peer, origin } => write!(f, "forget {peer:?} (px from {origin:?})"),
        }
    }
}

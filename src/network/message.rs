//! Messages between peers. A full message is shared by reference count between the caches, the recipients and the
//! application.

use std::{fmt, sync::Arc, time::Duration};

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::{Network, hooks::Hooks};
use crate::admission::charge::Charge;

/// A message with its topic and id (the specification's "full message").
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(
    serialize = "N::Topic: Serialize, N::MessageId: Serialize, N::Message: Serialize",
    deserialize = "N::Topic: Deserialize<'de>, N::MessageId: Deserialize<'de>, N::Message: Deserialize<'de>"
))]
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FullMessage<N: Network> {
    /// The topic on which the message is published.
    pub topic: N::Topic,
    /// The id, unique within the topic.
    pub message_id: N::MessageId,
    /// The content.
    pub message: N::Message,
}

impl<N: Network> FullMessage<N> {
    /// The approximate size in memory. At most 2^32 bytes, so that sums of sizes cannot overflow whatever
    /// [`Network::message_size`] returns.
    #[inline]
    pub(crate) fn sizes(&self, network: &Hooks<N>) -> MessageSize {
        let (message, id) = (network.message_size(&self.message), network.message_id_size(&self.message_id));
        let total = size_of::<Self>().saturating_add(message).saturating_add(id).min(1 << 32);
        MessageSize { total, id: id.min(1 << 32) }
    }

    /// The approximate size in memory, in bytes.
    #[inline]
    pub(crate) fn size(&self, network: &Hooks<N>) -> usize {
        self.sizes(network).total
    }
}

impl<N: Network> fmt::Display for FullMessage<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {:?} on {:?}", self.message_id, self.topic)
    }
}

/// The approximate bytes of a message in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageSize {
    /// The whole message.
    pub(crate) total: usize,
    /// Its id.
    pub(crate) id: usize,
}

/// A message from the network, with the peers that delivered it before its validation ended.
#[derive_where(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery<N: Network> {
    /// The peer that delivered the message first.
    pub sender: N::Peer,
    /// Other peers that delivered the same message, in ascending order. At most
    /// [`max_co_senders`](crate::limits::Bounds::max_co_senders).
    pub co_senders: Vec<N::Peer>,
    /// The message.
    pub message: Arc<FullMessage<N>>,
    /// The bytes that the engine charges for the message while it has it.
    #[derive_where(skip(Debug, EqHashOrd))]
    pub(crate) charge: Charge,
}

/// A clone is not charged: the application may keep it as long as it wants.
impl<N: Network> Clone for Delivery<N> {
    fn clone(&self) -> Self {
        let Self { sender, co_senders, message, charge: _ } = self;
        let (sender, co_senders, message) = (sender.clone(), co_senders.clone(), Arc::clone(message));
        Self { sender, co_senders, message, charge: Charge::default() }
    }
}

impl<N: Network> Delivery<N> {
    /// A delivery without co-senders.
    pub fn new(sender: N::Peer, message: Arc<FullMessage<N>>) -> Self {
        Self { sender, co_senders: Vec::new(), message, charge: Charge::default() }
    }

    /// The same delivery with the charge for its message.
    pub(crate) fn charged_to(mut self, charge: Charge) -> Self {
        self.charge = charge;
        self
    }

    /// The engine holds the message from now on.
    pub(crate) fn begin_charge(&mut self, network: &Hooks<N>) {
        self.charge.begin(|| self.message.size(network));
    }

    /// The sender and the co-senders.
    pub(crate) fn senders(&self) -> impl Iterator<Item = &N::Peer> {
        std::iter::once(&self.sender).chain(&self.co_senders)
    }

    /// Adds the sender and the co-senders of another delivery of the same message, in the order of their arrival, until
    /// there are `max` co-senders.
    pub(crate) fn join(&mut self, other: Self, max: usize) {
        for peer in std::iter::once(other.sender).chain(other.co_senders) {
            if peer != self.sender
                && self.co_senders.len() < max
                && let Err(index) = self.co_senders.binary_search(&peer)
            {
                self.co_senders.insert(index, peer);
            }
        }
    }
}

/// A peer that a PRUNE recommends in place of its sender (v1.1 "peer exchange").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PxPeer<P> {
    /// The recommended peer.
    pub peer: P,
    /// The signed peer record as received, not verified. `None` if the sender gave none, or one that is larger than the
    /// transport accepts. The engine sets none in the messages that it sends; the libp2p transport adds those that the
    /// recommended peers themselves gave it.
    pub record: Option<Arc<[u8]>>,
}

impl<P> PxPeer<P> {
    /// A peer without a record.
    pub fn new(peer: P) -> Self {
        Self { peer, record: None }
    }

    /// The same peer with this signed peer record.
    pub fn with_record(mut self, record: impl Into<Arc<[u8]>>) -> Self {
        self.record = Some(record.into());
        self
    }

    /// The size in memory, in bytes, with the record.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.record.as_ref().map_or(0, |record| record.len())
    }
}

impl<P> From<P> for PxPeer<P> {
    fn from(peer: P) -> Self {
        Self::new(peer)
    }
}

/// Options of a subscription. There are none yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {}

/// An entry of a gossipsub RPC, received from or sent to a peer.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's comment names its fields")]
pub enum P2pMessage<N: Network> {
    /// The sender added the recipient to its mesh of `topic`.
    Graft { topic: N::Topic },
    /// The sender removed the recipient from its mesh of `topic`, recommends the peers of `px`, and accepts no GRAFT
    /// before `backoff` is over.
    Prune { topic: N::Topic, px: Vec<PxPeer<N::Peer>>, backoff: Duration },
    /// The sender has these messages of `topic`.
    IHave { topic: N::Topic, message_ids: Vec<N::MessageId> },
    /// The sender requests these messages.
    IWant { message_ids: Vec<N::MessageId> },
    /// The sender needs no copies of these messages (v1.2).
    IDontWant { message_ids: Vec<N::MessageId> },
    /// The sender subscribes to `topic`. See also [`subscribe`](Self::subscribe).
    Subscribe { topic: N::Topic, options: SubscribeOptions },
    /// The sender unsubscribes from `topic`.
    Unsubscribe { topic: N::Topic },
    /// A full message. All recipients share one allocation.
    FullMessage(Arc<FullMessage<N>>),
    /// Keeps a connection open.
    Ping,
}

impl<N: Network> P2pMessage<N> {
    /// A subscription to `topic` with default options.
    pub fn subscribe(topic: N::Topic) -> Self {
        Self::Subscribe { topic, options: SubscribeOptions::default() }
    }

    /// The approximate bytes of the lists and of the full message that this contains.
    pub(crate) fn bytes(&self, network: &Hooks<N>) -> usize {
        let heap = |ids: &[N::MessageId]| ids.iter().map(|id| network.message_id_size(id)).sum::<usize>();
        let topic = match self {
            Self::FullMessage(_) => 0,
            _ => self.topic().map_or(0, |topic| network.topic_size(topic)),
        };
        topic
            + match self {
                Self::IHave { message_ids, .. }
                | Self::IWant { message_ids }
                | Self::IDontWant { message_ids } => heap(message_ids),
                Self::Prune { px, .. } => px.iter().map(PxPeer::size).sum(),
                Self::FullMessage(message) => message.size(network),
                Self::Graft { .. } | Self::Subscribe { .. } | Self::Unsubscribe { .. } | Self::Ping => 0,
            }
    }

    /// The topic, for messages that concern one topic. `None` for IWANT, IDONTWANT and ping.
    pub fn topic(&self) -> Option<&N::Topic> {
        match self {
            Self::Graft { topic }
            | Self::Prune { topic, .. }
            | Self::IHave { topic, .. }
            | Self::Subscribe { topic, .. }
            | Self::Unsubscribe { topic } => Some(topic),
            Self::FullMessage(full) => Some(&full.topic),
            Self::IWant { .. } | Self::IDontWant { .. } | Self::Ping => None,
        }
    }
}

/// One line. Lists appear as their lengths.
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
            Self::Subscribe { topic, .. } => write!(f, "subscribe to {topic:?}"),
            Self::Unsubscribe { topic } => write!(f, "unsubscribe from {topic:?}"),
            Self::FullMessage(full) => full.fmt(f),
            Self::Ping => f.write_str("ping"),
        }
    }
}

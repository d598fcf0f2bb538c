//! Messages and events as the application sees them.

use ::libp2p::PeerId;

pub use crate::libp2p::transform::Message;

use super::{error::PublishError, topic::TopicHash};
use crate::{
    libp2p::{
        connection::capabilities::ProtocolVersion,
        ids::MessageId,
        swarm::event::{Event as TransportEvent, Slowness},
    },
    network::Validity,
    protocol::{GraftReason, Lane, LeaveReason, Penalty},
    worker::{DropReason, PublishReport},
};

impl From<String> for MessageId {
    fn from(id: String) -> Self {
        id.into_bytes().into()
    }
}

impl From<&str> for MessageId {
    fn from(id: &str) -> Self {
        id.as_bytes().into()
    }
}

impl<const N: usize> From<[u8; N]> for MessageId {
    fn from(id: [u8; N]) -> Self {
        id.as_slice().into()
    }
}

/// The protocol that a peer speaks with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Hash)]
#[non_exhaustive]
pub enum PeerKind {
    /// The peer supports none of our protocols.
    NotSupported,
    /// Floodsub ([`support_floodsub`](super::ConfigBuilder::support_floodsub)).
    Floodsub,
    /// Gossipsub v1.0.
    Gossipsub,
    /// Gossipsub v1.1.
    Gossipsubv1_1,
    /// Gossipsub v1.2.
    Gossipsubv1_2,
}

impl PeerKind {
    pub(super) fn of_version(version: ProtocolVersion) -> Self {
        match version {
            ProtocolVersion::Floodsub => Self::Floodsub,
            ProtocolVersion::V1_0 => Self::Gossipsub,
            ProtocolVersion::V1_1 => Self::Gossipsubv1_1,
            ProtocolVersion::V1_2 => Self::Gossipsubv1_2,
        }
    }
}

/// The application's verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageAcceptance {
    /// The message is valid: it is forwarded, and its first sender gains score (P2).
    Accept,
    /// The message is invalid: it is dropped, and all who delivered it lose score (P4).
    Reject,
    /// The message is dropped, and no score changes. Copies of it are dropped unasked.
    Ignore,
}

impl From<MessageAcceptance> for Validity {
    fn from(acceptance: MessageAcceptance) -> Self {
        match acceptance {
            MessageAcceptance::Accept => Self::Valid,
            MessageAcceptance::Reject => Self::Invalid,
            MessageAcceptance::Ignore => Self::Outdated,
        }
    }
}

/// What was not sent to a peer that reads too slowly, in entries of RPCs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedMessages {
    /// Subscriptions, GRAFTs, PRUNEs and our own messages.
    pub priority: usize,
    /// Forwarded messages, responses to IWANT and gossip.
    pub non_priority: usize,
}

/// An event of a [`Behaviour`](super::Behaviour). The first ones are those of rust-libp2p's gossipsub; the engine adds
/// others.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message was received. With [`validate_messages`](super::ConfigBuilder::validate_messages) it waits for its
    /// verdict; otherwise it is valid, and forwarded already.
    Message {
        /// The peer that delivered the message first.
        propagation_source: PeerId,
        /// The id of the message.
        message_id: MessageId,
        /// The message.
        message: Message,
    },
    /// A peer subscribed to a topic.
    Subscribed {
        /// The peer.
        peer_id: PeerId,
        /// The topic.
        topic: TopicHash,
    },
    /// A peer unsubscribed from a topic.
    Unsubscribed {
        /// The peer.
        peer_id: PeerId,
        /// The topic.
        topic: TopicHash,
    },
    /// A connected peer supports none of our protocols.
    GossipsubNotSupported {
        /// The peer.
        peer_id: PeerId,
    },
    /// A peer reads too slowly, and lost what was queued for it. Emitted for each report of such losses, which add up what
    /// was lost since the last one, and without losses for a peer that reads next to nothing for
    /// [`write_timeout`](crate::libp2p::BehaviourConfig::write_timeout).
    SlowPeer {
        /// The peer.
        peer_id: PeerId,
        /// What was not sent.
        failed_messages: FailedMessages,
    },
    /// A peer entered our mesh of a topic.
    Graft {
        /// The peer.
        peer_id: PeerId,
        /// The topic.
        topic: TopicHash,
        /// Why.
        reason: GraftReason,
    },
    /// A peer left our mesh of a topic.
    Prune {
        /// The peer.
        peer_id: PeerId,
        /// The topic.
        topic: TopicHash,
        /// Why.
        reason: LeaveReason,
    },
    /// The score of a peer was lowered; without [`with_peer_score`](super::Behaviour::with_peer_score) this is what would
    /// have lowered it.
    Penalty {
        /// The peer.
        peer_id: PeerId,
        /// The topic on which the peer did it, if it was on one.
        topic: Option<TopicHash>,
        /// What the peer did.
        penalty: Penalty,
    },
    /// The engine is done with a message that [`publish`](super::Behaviour::publish) accepted.
    Published {
        /// The id of the message.
        message_id: MessageId,
        /// To how many peers it was sent, and why not to others.
        report: PublishReport,
        /// What `publish` of rust-libp2p's gossipsub would have returned: `Duplicate`, `NoPeersSubscribedToTopic`,
        /// `AllQueuesFull` or success.
        result: Result<(), PublishError>,
    },
    /// The engine had no room for this many events: penalties beyond 4,096 that were not read yet.
    EventsLost {
        /// The number of lost events since the last such event.
        count: usize,
    },
    /// An actor of the topic panicked too often: the topic is left. Subscribe again if the cause is removed.
    TopicGivenUp {
        /// The topic.
        topic: TopicHash,
    },
    /// The engine has ended. Nothing is sent or received any more.
    EngineEnded {
        /// Why.
        reason: String,
    },
    /// An event of the transport: a stream that broke, a dial that failed, items that were not sent. Never
    /// [`Inputs`](TransportEvent::Inputs).
    Transport(TransportEvent),
}

/// The event for items that were dropped because of their recipient.
pub(super) fn slow_peer(event: &TransportEvent) -> Option<Event> {
    let (peer_id, failed_messages) = match event {
        TransportEvent::Dropped {
            peer,
            reason: DropReason::PeerQueueFull | DropReason::TransportMemory,
            lanes,
        } => {
            let count = |of: fn(Lane) -> bool| {
                let counts = lanes.iter().filter(|(lane, _)| of(*lane)).map(|(_, count)| count);
                usize::try_from(counts.sum::<u64>()).unwrap_or(usize::MAX)
            };
            let priority = |lane| matches!(lane, Lane::Control | Lane::Publish);
            let failed = FailedMessages {
                priority: count(priority),
                non_priority: count(|lane| !matches!(lane, Lane::Control | Lane::Publish)),
            };
            (*peer, failed)
        }
        // What is dropped with it is reported by `Dropped`.
        TransportEvent::SlowPeer { peer, slowness: Slowness::WriteTimeout } => {
            (*peer, FailedMessages::default())
        }
        _ => return None,
    };
    Some(Event::SlowPeer { peer_id, failed_messages })
}

//! The outcomes of inputs: one exhaustive enum for each input. Misbehaviour of a peer is an outcome rather than an
//! error.

pub(crate) mod counters;
pub(crate) mod decision;
pub(crate) mod labels;
pub(crate) mod reason;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use derive_where::derive_where;
use serde::{Serialize, Serializer};

use crate::network::{FullMessage, Network};

/// The outcome of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AddPeer {
    /// The peer is connected now.
    Added,
    /// The peer was connected already. Its properties are unchanged.
    AlreadyKnown,
}

/// The outcome of a disconnection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RemovePeer {
    /// The peer is not connected now. It may never have been connected.
    #[serde(rename = "removed")]
    Removing,
}

/// The outcome of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SubscribeOutcome {
    /// The peer is subscribed now.
    Subscribed,
    /// The peer is subscribed now, and in the mesh, which had fewer than `degree_optimal` peers. We sent it a GRAFT
    /// (`graft_on_subscribe`).
    Grafted,
    /// The peer is not connected.
    UnknownPeer,
    /// The peer is subscribed to `max_topics_per_peer` topics already.
    TopicLimitExceeded,
    /// The application refuses subscriptions to this topic ([`PeerAction::Subscribe`](crate::PeerAction::Subscribe)).
    Filtered,
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

impl SubscribeOutcome {
    /// Whether the peer is subscribed now.
    pub(crate) fn is_subscribed(self) -> bool {
        matches!(self, Self::Subscribed | Self::Grafted)
    }
}

/// The outcome of an UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum UnsubscribeOutcome {
    /// The peer is no longer subscribed, and not in the mesh or fanout.
    Unsubscribed,
    /// The peer is not connected.
    UnknownPeer,
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The outcome of a GRAFT (v1.1 "graft flood", "prune backoff", "outbound mesh quotas"). A peer is sent one PRUNE in answer
/// to its refused GRAFTs on a topic in a heartbeat, or one for each without `one_prune_per_heartbeat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum GraftOutcome {
    /// The peer is in the mesh now.
    Grafted,
    /// The application or `max_topics_per_peer` refuses the peer. We answer with a PRUNE.
    PeerFiltered,
    /// We have not joined the topic. The GRAFT is ignored, or answered with a PRUNE without `ignore_unknown_grafts`.
    #[serde(rename = "not_joined")]
    UnsubscribedTopic,
    /// The peer is in the mesh already.
    AlreadyInMesh,
    /// The peer is not connected.
    #[serde(rename = "unknown_peer")]
    UnexpectedPeer,
    /// Direct peers are never in a mesh. We answer with a PRUNE.
    DirectPeer,
    /// The peer speaks floodsub, which has no mesh. We do not answer.
    FloodsubPeer,
    /// The backoff of the peer has not expired. The peer is penalised (P7). We answer with a PRUNE.
    BackedOff,
    /// The score of the peer is negative. We answer with a PRUNE.
    NegativeScore,
    /// The mesh is full and the peer is not outbound. We answer with a PRUNE with px.
    MeshFull,
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The outcome of a PRUNE.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum PruneOutcome<N: Network> {
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    TopicNotTracked,
    /// The peer is not in the mesh.
    NotInMesh,
    /// The peer was removed from the mesh. Its peer exchange is ignored because its score is below
    /// `accept_px_threshold`.
    #[serde(rename = "px_ignored")]
    ScoreTooLow {
        /// The score of the peer.
        score: f64,
    },
    /// The peer was removed from the mesh. Its peer exchange is ignored because
    /// [`accept_px`](crate::limits::Extensions::accept_px) is off.
    PxDisabled,
    /// The peer was removed from the mesh. It recommended no peer that we accept.
    NoPx,
    /// The peer was removed from the mesh. We accepted peers from its peer exchange.
    Px {
        /// The accepted peers, ascending. Some may be connected already, or unreachable.
        peers: Vec<N::Peer>,
    },
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The outcome of an IHAVE.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::MessageId: Serialize"))]
pub enum IHaveOutcome<N: Network> {
    /// The score of the peer is below `gossip_threshold`.
    LowScore {
        /// The score of the peer.
        score: f64,
        /// The required score.
        threshold: f64,
    },
    /// The peer sent more than `max_recv_ihave_per_heartbeat` IHAVEs in this heartbeat.
    #[serde(rename = "too_many_ihaves")]
    TooManyIHaves {
        /// The number of IHAVEs in this heartbeat, including this one.
        count: u32,
        /// The allowed number.
        max: u32,
    },
    /// We have requested `max_sent_iwant_per_heartbeat` ids from the peer in this heartbeat already.
    #[serde(rename = "too_many_iwants")]
    TooManyIWants {
        /// The number of ids that we requested in this heartbeat.
        count: u32,
        /// The allowed number.
        max: u32,
    },
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    TopicNotTracked,
    /// The peer speaks floodsub, which has no gossip. Nothing is requested.
    FloodsubPeer,
    /// One of the ids is invalid. The peer is penalised (P4), and no id is requested.
    InvalidId,
    /// The ids that we request from the peer.
    Requested {
        /// The ids, in random order. May be empty.
        ids: Vec<N::MessageId>,
    },
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The outcome of an IWANT.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::MessageId: Serialize"))]
pub enum IWantOutcome<N: Network> {
    /// The score of the peer is below `gossip_threshold`.
    LowScore {
        /// The score of the peer.
        score: f64,
        /// The required score.
        threshold: f64,
    },
    /// Each id was answered or refused separately.
    Answered {
        /// The answers by id. In JSON, an array of pairs: the id and the label of its answer.
        #[serde(serialize_with = "answer_names")]
        ids: BTreeMap<N::MessageId, IWantAnswer<N>>,
    },
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The outcome of an IDONTWANT (v1.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum IDontWantOutcome {
    /// IDONTWANT is disabled (`idontwant_message_size`).
    #[serde(rename = "disabled")]
    SwitchedOff,
    /// The peer is not connected, so that nothing is sent to it.
    UnknownPeer,
    /// The score of the peer is below `gossip_threshold`.
    LowScore {
        /// The score of the peer.
        score: f64,
        /// The required score.
        threshold: f64,
    },
    /// The peer sent more than `max_idontwant_per_heartbeat` ids in this heartbeat.
    #[serde(rename = "too_many_ids")]
    TooMany {
        /// The number of ids of this IDONTWANT that are ignored.
        ignored: usize,
        /// The allowed number of ids in a heartbeat.
        max: usize,
    },
    /// All ids are stored.
    #[serde(rename = "recorded")]
    Recorded {
        /// The number of ids.
        ids: usize,
    },
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
}

/// The answer to one id of an IWANT.
#[derive_where(Clone, Debug, PartialEq)]
pub enum IWantAnswer<N: Network> {
    /// The application refuses the message to this peer.
    Ignored,
    /// The message is not in the history.
    NotFound,
    /// The peer requested the message more than `max_gossip_retransmission` times.
    TooManyRequests,
    /// The peer sent an IDONTWANT of the message.
    Declined,
    /// The peer was sent other requested messages in this heartbeat, and with this one they would have more than
    /// `max_iwant_bytes_per_heartbeat`.
    TooManyBytes,
    /// The message is sent.
    Message(Arc<FullMessage<N>>),
}

/// The outcome of a full message of a peer, or of the verdict on a message under asynchronous or batch validation.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum ReceiveOutcome<N: Network> {
    /// The message is valid and new. It is forwarded, and delivered to the application.
    #[serde(rename = "routed")]
    Route {
        /// The peers of the mesh, the direct subscribers, and those that speak floodsub and are not below
        /// `publish_threshold`, except the senders, ascending. The list includes bootstrap peers and peers that sent
        /// IDONTWANT, although the message is not sent to them.
        to: Vec<N::Peer>,
    },
    /// The message is a duplicate. Within the window of P3 it counts as a delivery of its sender, unless the message was
    /// ignored (`remember_ignored`).
    #[serde(rename = "duplicate")]
    AlreadyReceived,
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    NotSubscribed,
    /// The message is invalid. Its senders are penalised (P4).
    Invalid,
    /// The application can't decide the validity yet. The message is parked.
    Unknown,
    /// The application ignores the message: it is too old, or of no use; or its time is over
    /// ([`Network::expires_at`](crate::Network::expires_at)). It is dropped.
    Outdated,
    /// The message is larger than `max_message_size`. It is dropped, and its senders are penalised (P4).
    TooLarge,
    /// The message waits for the validation of its batch.
    Batched,
    /// The message is under asynchronous validation.
    Validating,
    /// Too many messages of the topic are under validation. The message is dropped, and no peer is penalised.
    Throttled,
    /// The application's validation panicked. The message is dropped without a verdict, and may be received again.
    ValidationPanicked,
    /// The score of the peer is below `graylist_threshold`. Nothing of it is handled.
    Graylisted,
    /// This node is the source of the message, and it is not a duplicate (`refuse_own_messages`). No peer is penalised.
    OwnMessage,
    /// The application refuses the messages of this source ([`Network::refuses_source`](crate::Network::refuses_source)). The
    /// id is not remembered, and no peer is penalised.
    RefusedSource,
}

/// The outcome of a publication of the application.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum PublishOutcome<N: Network> {
    /// The message is sent to the peers of the topic.
    Published {
        /// The peers of the mesh or fanout, the direct subscribers, those that speak floodsub and are not below
        /// `publish_threshold`, and further subscribers (`publish_reaches_degree_optimal`,
        /// `flood_publish_bytes_per_second`), ascending. The list includes bootstrap peers of the mesh or fanout, and such
        /// peers that sent IDONTWANT, although the message is not sent to them.
        to: Vec<N::Peer>,
    },
    /// The message id is in the seen cache, and its message was not ignored.
    AlreadyPublished,
    /// The message is larger than `max_message_size`: peers would take it for an invalid one. It is not sent.
    TooLarge,
    /// The time of the message is over ([`Network::expires_at`](crate::Network::expires_at)). It is not sent.
    Outdated,
    /// The message could be sent to fewer peers than the publisher demands. It is not published, and may be published again.
    TooFewPeers {
        /// The number of peers to which it could be sent.
        peers: usize,
    },
}

/// The outcome of a join of the application.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum JoinOutcome<N: Network> {
    /// The topic is joined now.
    Joined {
        /// The initial mesh, ascending. These peers are sent a GRAFT.
        to_graft: Vec<N::Peer>,
    },
    /// The topic was joined already.
    AlreadyJoined,
}

/// The outcome of a leave of the application.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum LeaveOutcome<N: Network> {
    /// The topic was left.
    Left {
        /// The peers of the former mesh, ascending. They are sent a PRUNE.
        to_prune: Vec<N::Peer>,
        /// The peers of `to_prune` that are sent no px because their score is negative.
        no_px: Vec<N::Peer>,
    },
    /// The topic was not joined.
    NotJoined,
}

/// The outcome of a heartbeat: the changes of the meshes.
#[derive(Serialize)]
#[derive_where(Clone, Debug, Default, PartialEq)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize"))]
pub struct HeartbeatOutcome<N: Network> {
    /// The topics in which each peer was grafted.
    pub to_graft: BTreeMap<N::Peer, BTreeSet<N::Topic>>,
    /// The topics in which each peer was pruned.
    pub to_prune: BTreeMap<N::Peer, BTreeSet<N::Topic>>,
    /// The peers that were pruned from at least one mesh for a negative score. That PRUNE has no px.
    pub no_px: BTreeSet<N::Peer>,
}

fn answer_names<N, S>(ids: &BTreeMap<N::MessageId, IWantAnswer<N>>, serializer: S) -> Result<S::Ok, S::Error>
where
    N: Network<MessageId: Serialize>,
    S: Serializer,
{
    serializer.collect_seq(ids.iter().map(|(id, answer)| (id, answer.name())))
}

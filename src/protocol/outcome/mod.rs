//! What can become of each input: one complete enum an input. Misbehaviour is a value here, never
//! an error.

pub(crate) mod counters;
pub(crate) mod decision;
pub(crate) mod labels;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use derive_where::derive_where;
use serde::{Serialize, Serializer};

use crate::network::{FullMessage, Network};

/// Of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AddPeer {
    /// The peer is connected now.
    Added,
    /// It already was; its facts are unchanged.
    AlreadyKnown,
}

/// Of a disconnection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RemovePeer {
    /// The peer is not connected now, be it that it never was.
    #[serde(rename = "removed")]
    Removing,
}

/// Of a peer's SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SubscribeOutcome {
    /// The peer is subscribed now.
    Subscribed,
    /// It is not connected.
    UnknownPeer,
    /// It is subscribed to `max_topics_per_peer` topics already.
    TopicLimitExceeded,
}

/// Of a peer's UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum UnsubscribeOutcome {
    /// The peer is not subscribed now, nor in the mesh or fanout.
    Unsubscribed,
    /// It is not connected.
    UnknownPeer,
}

/// Of a peer's GRAFT (v1.1 "graft flood", "prune backoff", "outbound mesh quotas").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum GraftOutcome {
    /// The peer is in the mesh now.
    Grafted,
    /// The application, or the cap on its topics, refuses it. Answered by a PRUNE.
    PeerFiltered,
    /// We have not joined the topic. Answered by a PRUNE.
    #[serde(rename = "not_joined")]
    UnsubscribedTopic,
    /// It is there already.
    AlreadyInMesh,
    /// It is not connected.
    #[serde(rename = "unknown_peer")]
    UnexpectedPeer,
    /// Direct peers are never in a mesh. Answered by a PRUNE.
    DirectPeer,
    /// It comes back before its backoff is over: penalised (P7). Answered by a PRUNE.
    BackedOff,
    /// Its score is negative. Answered by a PRUNE.
    NegativeScore,
    /// The mesh is full and it is not outbound. Answered by a PRUNE with px.
    MeshFull,
}

/// Of a peer's PRUNE.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum PruneOutcome<N: Network> {
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    TopicNotTracked,
    /// The peer is not in the mesh.
    NotInMesh,
    /// Pruned; its peer exchange is ignored because its score is below `accept_px_threshold`.
    #[serde(rename = "px_ignored")]
    ScoreTooLow {
        /// The score it has.
        score: f64,
    },
    /// Pruned; there is nobody to connect to.
    NoPx,
    /// Pruned, and these peers were accepted from its peer exchange, ascending.
    Px {
        /// The accepted, of whom some may be connected or unreachable.
        peers: Vec<N::Peer>,
    },
}

/// Of a peer's IHAVE.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::MessageId: Serialize"))]
pub enum IHaveOutcome<N: Network> {
    /// Its score is below `gossip_threshold`.
    LowScore {
        /// The score it has.
        score: f64,
        /// The score it needs.
        threshold: f64,
    },
    /// It sent more than `max_recv_ihave_per_heartbeat` in this heartbeat.
    #[serde(rename = "too_many_ihaves")]
    TooManyIHaves {
        /// How many, this one included.
        count: u32,
        /// How many it may.
        max: u32,
    },
    /// We already requested `max_sent_iwant_per_heartbeat` ids from it in this heartbeat.
    #[serde(rename = "too_many_iwants")]
    TooManyIWants {
        /// How many we requested.
        count: u32,
        /// How many we may.
        max: u32,
    },
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    TopicNotTracked,
    /// One of the ids is invalid: penalised (P4), none is requested.
    InvalidId,
    /// These ids are requested from it, in a random order; possibly none.
    Requested {
        /// The ids.
        ids: Vec<N::MessageId>,
    },
}

/// Of a peer's IWANT.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::MessageId: Serialize"))]
pub enum IWantOutcome<N: Network> {
    /// Its score is below `gossip_threshold`.
    LowScore {
        /// The score it has.
        score: f64,
        /// The score it needs.
        threshold: f64,
    },
    /// What became of each id.
    Answered {
        /// By id. In JSON pairs of an id and the name of its answer.
        #[serde(serialize_with = "answer_names")]
        ids: BTreeMap<N::MessageId, IWantAnswer<N>>,
    },
}

/// Of a peer's IDONTWANT (v1.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum IDontWantOutcome {
    /// None is heeded (`idontwant_message_size`).
    #[serde(rename = "disabled")]
    SwitchedOff,
    /// It is not connected: nothing is sent to it anyway.
    UnknownPeer,
    /// Its score is below `gossip_threshold`.
    LowScore {
        /// The score it has.
        score: f64,
        /// The score it needs.
        threshold: f64,
    },
    /// It named more than `max_idontwant_per_heartbeat` ids in this heartbeat.
    #[serde(rename = "too_many_ids")]
    TooMany {
        /// How many of these are ignored.
        ignored: usize,
        /// How many it may name.
        max: usize,
    },
    /// All of them are heeded.
    #[serde(rename = "recorded")]
    Noted {
        /// How many.
        ids: usize,
    },
}

/// What became of one id of an IWANT.
#[derive_where(Clone, Debug, PartialEq)]
pub enum IWantAnswer<N: Network> {
    /// The application refuses it to this peer.
    Ignored,
    /// It is not in the history.
    NotFound,
    /// The peer asked for it more than `max_gossip_retransmission` times.
    TooManyRequests,
    /// It is sent.
    Message(Arc<FullMessage<N>>),
}

/// Of a full message that a peer sent, and of the verdict on one that had to wait.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum ReceiveOutcome<N: Network> {
    /// Valid and new: forwarded to these peers, ascending, and delivered to the application.
    #[serde(rename = "routed")]
    Route {
        /// The mesh and the direct subscribers, without those who delivered it. Bootstrap peers
        /// stand here too, though nothing is sent to them, and so do those who said IDONTWANT.
        to: Vec<N::Peer>,
    },
    /// Seen before; inside the window of P3 its sender is credited.
    #[serde(rename = "duplicate")]
    AlreadyReceived,
    /// We have not joined the topic.
    #[serde(rename = "not_joined")]
    NotSubscribed,
    /// Its deliverers are penalised (P4).
    Invalid,
    /// Not decidable yet: parked.
    Unknown,
    /// Too old: dropped.
    Outdated,
    /// It waits for the verdict on its batch.
    Batched,
    /// It waits for a verdict that comes later.
    Validating,
    /// Too many messages of the topic wait for a verdict: dropped, nobody is penalised.
    Throttled,
}

/// Of a message that the application publishes.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum PublishOutcome<N: Network> {
    /// Sent to these peers, ascending.
    Published {
        /// The mesh or fanout, and the direct subscribers. Bootstrap peers stand here too, though nothing is
        /// sent to them, and so do those who said IDONTWANT.
        to: Vec<N::Peer>,
    },
    /// Its id was seen before.
    AlreadyPublished,
}

/// Of the application's joining a topic.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum JoinOutcome<N: Network> {
    /// Joined, with these peers as first mesh, ascending.
    Joined {
        /// Who is told GRAFT.
        to_graft: Vec<N::Peer>,
    },
    /// It was joined already.
    AlreadyJoined,
}

/// Of the application's leaving a topic.
#[derive(Serialize)]
#[derive_where(Clone, Debug, PartialEq)]
#[serde(tag = "outcome", rename_all = "snake_case", bound(serialize = "N::Peer: Serialize"))]
pub enum LeaveOutcome<N: Network> {
    /// Left; this was the mesh, ascending.
    Left {
        /// Who is told PRUNE.
        to_prune: Vec<N::Peer>,
        /// Those of them that get no px, because their score is negative.
        no_px: Vec<N::Peer>,
    },
    /// It was not joined.
    NotJoined,
}

/// Of a heartbeat: what changed in the meshes.
#[derive(Serialize)]
#[derive_where(Clone, Debug, Default, PartialEq)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize"))]
pub struct HeartbeatOutcome<N: Network> {
    /// The topics on which each peer was grafted.
    pub to_graft: BTreeMap<N::Peer, BTreeSet<N::Topic>>,
    /// The topics on which each peer was pruned.
    pub to_prune: BTreeMap<N::Peer, BTreeSet<N::Topic>>,
    /// The peers that were pruned from some mesh for a negative score, and get no px there.
    pub no_px: BTreeSet<N::Peer>,
}

fn answer_names<N, S>(ids: &BTreeMap<N::MessageId, IWantAnswer<N>>, serializer: S) -> Result<S::Ok, S::Error>
where
    N: Network<MessageId: Serialize>,
    S: Serializer,
{
    serializer.collect_seq(ids.iter().map(|(id, answer)| (id, answer.name())))
}

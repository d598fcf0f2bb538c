//! What is decided about peers, to be explained to an operator: each outcome that somebody may ask the
//! reason of, as a value. Translates; decides nothing.

use derive_where::derive_where;

use super::{
    GraftOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, ReceiveOutcome, SubscribeOutcome,
};
use crate::{network::Network, timestamp::Timestamp};

/// Something that was decided about a peer, or that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerDecision {
    /// It is connected now.
    Connected,
    /// It is not connected any more.
    Disconnected,
    /// It asked to be in our mesh; this became of it.
    Graft(GraftOutcome),
    /// We put it in our mesh.
    Grafted(Grafting),
    /// It took us out of its mesh, and so we took it out of ours.
    PrunedByPeer,
    /// We took it out of our mesh.
    Pruned(Pruning),
    /// The peers that it named in a PRUNE are not connected to: its score is below `accept_px_threshold`.
    PxRefused,
    /// Its SUBSCRIBE was ignored: it has as many topics as it may.
    SubscribeRefused,
    /// Its IHAVE was ignored. The reason is the outcome's name.
    IHaveRefused(&'static str),
    /// Its IWANT was ignored, or not answered in full. The reason is the outcome's name.
    IWantRefused(&'static str),
    /// Its IDONTWANT was ignored, or not heeded in full. The reason is the outcome's name.
    IDontWantRefused(&'static str),
    /// Its score was lowered.
    Penalised(Penalty),
}

/// Why we put a peer in a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grafting {
    /// We joined the topic.
    Join,
    /// A heartbeat found too few peers, too few outbound ones, or poor ones.
    Heartbeat,
}

/// Why we took a peer out of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pruning {
    /// We left the topic.
    Leave,
    /// The peer unsubscribed from the topic.
    Unsubscribed,
    /// A heartbeat found its score negative.
    NegativeScore,
    /// A heartbeat found more peers than `degree_high`.
    AboveDegreeHigh,
}

/// What a score was lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Penalty {
    /// P7: it came back before its backoff was over.
    GraftBackoff,
    /// P7: it offered a message and did not deliver it.
    BrokenPromise,
    /// P7: the p2p layer found that it does not read what it must be told.
    SlowPeer,
    /// P4: it delivered an invalid message, or offered an invalid id.
    InvalidMessage,
    /// P3b: it left the mesh with too few deliveries.
    MeshDeficit,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// We joined a topic.
    Joined,
    /// We left a topic.
    Left,
    /// We published a message.
    Published,
    /// A message was valid and new.
    Delivered,
    /// A message had been seen before.
    Duplicate,
    /// A message was refused. The reason is the outcome's name.
    Rejected(&'static str),
    /// Something was decided about a peer.
    Decided(PeerDecision),
}

/// Something that happened, with its circumstances.
#[derive_where(Clone, Debug, PartialEq)]
pub struct EventRecord<N: Network> {
    /// Its number: a later one is greater. What happens again in a row to one peer has the number of the last
    /// time.
    pub seq: u64,
    /// When it happened, the last time if it happened several times in a row.
    pub time: Timestamp,
    /// When it happened first.
    pub first: Timestamp,
    /// How often in a row.
    pub count: u64,
    /// What.
    pub kind: EventKind,
    /// Whom it is about.
    pub peer: Option<N::Peer>,
    /// The topic.
    pub topic: Option<N::Topic>,
    /// The message.
    pub message_id: Option<N::MessageId>,
    /// The peer's score at that time; `None` if it had none.
    pub score: Option<f64>,
}

impl EventKind {
    /// To a message that a peer delivered; `None` while there is no verdict.
    pub(crate) fn to_message<N: Network>(outcome: &ReceiveOutcome<N>) -> Option<Self> {
        match outcome {
            ReceiveOutcome::Route { .. } => Some(Self::Delivered),
            ReceiveOutcome::AlreadyReceived => Some(Self::Duplicate),
            ReceiveOutcome::Batched | ReceiveOutcome::Validating => None,
            refused => Some(Self::Rejected(refused.name())),
        }
    }

    /// Its name: that of go-libp2p-pubsub's `TraceEvent` types where there is one, one in their manner where
    /// there is none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joined => "JOIN",
            Self::Left => "LEAVE",
            Self::Published => "PUBLISH_MESSAGE",
            Self::Delivered => "DELIVER_MESSAGE",
            Self::Duplicate => "DUPLICATE_MESSAGE",
            Self::Rejected(_) => "REJECT_MESSAGE",
            Self::Decided(decision) => decision.name(),
        }
    }

    /// Why, as a word.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Rejected(reason) => Some(reason),
            Self::Decided(decision) => decision.reason(),
            _ => None,
        }
    }

    /// Why, for a person.
    pub fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Decided(decision) => decision.explanation(),
            _ => None,
        }
    }
}

impl PeerDecision {
    fn name(self) -> &'static str {
        match self {
            Self::Connected => "ADD_PEER",
            Self::Disconnected => "REMOVE_PEER",
            Self::Graft(GraftOutcome::Grafted) | Self::Grafted(_) => "GRAFT",
            Self::Graft(_) => "REJECT_GRAFT",
            Self::PrunedByPeer | Self::Pruned(_) => "PRUNE",
            Self::PxRefused => "REJECT_PX",
            Self::SubscribeRefused => "REJECT_SUBSCRIBE",
            Self::IHaveRefused(_) => "REJECT_IHAVE",
            Self::IWantRefused(_) => "REJECT_IWANT",
            Self::IDontWantRefused(_) => "REJECT_IDONTWANT",
            Self::Penalised(_) => "PENALTY",
        }
    }

    fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Connected | Self::Disconnected => return None,
            Self::Graft(outcome) => outcome.name(),
            Self::Grafted(Grafting::Join) => "join",
            Self::Grafted(Grafting::Heartbeat) => "heartbeat",
            Self::PrunedByPeer => "remote_prune",
            Self::Pruned(Pruning::Leave) => "leave",
            Self::Pruned(Pruning::Unsubscribed) => "unsubscribed",
            Self::Pruned(Pruning::NegativeScore) => "negative_score",
            Self::Pruned(Pruning::AboveDegreeHigh) => "above_d_high",
            Self::PxRefused => "low_score",
            Self::SubscribeRefused => SubscribeOutcome::TopicLimitExceeded.name(),
            Self::IHaveRefused(reason) | Self::IWantRefused(reason) | Self::IDontWantRefused(reason) => {
                reason
            }
            Self::Penalised(Penalty::GraftBackoff) => "graft_backoff",
            Self::Penalised(Penalty::BrokenPromise) => "broken_promise",
            Self::Penalised(Penalty::SlowPeer) => "slow_peer",
            Self::Penalised(Penalty::InvalidMessage) => "invalid_message",
            Self::Penalised(Penalty::MeshDeficit) => "mesh_deficit",
        })
    }

    fn explanation(self) -> Option<&'static str> {
        Some(match self {
            Self::Connected | Self::Disconnected => return None,
            Self::Graft(outcome) => outcome.explanation(),
            Self::Grafted(Grafting::Join) => "we joined the topic",
            Self::Grafted(Grafting::Heartbeat) => {
                "a heartbeat found too few peers, too few outbound peers, or low scores in the mesh"
            }
            Self::PrunedByPeer => "it took us out of its mesh",
            Self::Pruned(Pruning::Leave) => "we left the topic",
            Self::Pruned(Pruning::Unsubscribed) => "it unsubscribed from the topic",
            Self::Pruned(Pruning::NegativeScore) => "its score is negative",
            Self::Pruned(Pruning::AboveDegreeHigh) => "the mesh had more peers than degree_high",
            Self::PxRefused => "its score is below accept_px_threshold",
            Self::SubscribeRefused => "it is subscribed to max_topics_per_peer topics already",
            Self::IHaveRefused(_) => "its IHAVE was ignored",
            Self::IWantRefused(_) => "some of its IWANT ids were not answered",
            Self::IDontWantRefused(_) => "some of its IDONTWANT ids were ignored",
            Self::Penalised(Penalty::GraftBackoff) => "P7: it sent a GRAFT before its backoff expired",
            Self::Penalised(Penalty::BrokenPromise) => {
                "P7: it broke an IWANT promise: it sent an IHAVE and did not send the message"
            }
            Self::Penalised(Penalty::SlowPeer) => "P7: it reads too slowly for control messages",
            Self::Penalised(Penalty::InvalidMessage) => "P4: it sent an invalid message or message id",
            Self::Penalised(Penalty::MeshDeficit) => "P3b: it left the mesh with a delivery deficit",
        })
    }

    /// Of a SUBSCRIBE.
    pub(crate) fn of_subscribe(outcome: SubscribeOutcome) -> Option<Self> {
        (outcome == SubscribeOutcome::TopicLimitExceeded).then_some(Self::SubscribeRefused)
    }

    /// Of an IHAVE.
    pub(crate) fn of_ihave<N: Network>(outcome: &IHaveOutcome<N>) -> Option<Self> {
        match outcome {
            IHaveOutcome::Requested { .. } | IHaveOutcome::TopicNotTracked => None,
            refused => Some(Self::IHaveRefused(refused.name())),
        }
    }

    /// Of an IDONTWANT.
    pub(crate) fn of_idontwant(outcome: IDontWantOutcome) -> Option<Self> {
        match outcome {
            IDontWantOutcome::LowScore { .. } | IDontWantOutcome::TooMany { .. } => {
                Some(Self::IDontWantRefused(outcome.name()))
            }
            IDontWantOutcome::SwitchedOff
            | IDontWantOutcome::UnknownPeer
            | IDontWantOutcome::Noted { .. } => None,
        }
    }

    /// Of an IWANT: ids that are no longer here are nobody's fault.
    pub(crate) fn of_iwant<N: Network>(outcome: &IWantOutcome<N>) -> Option<Self> {
        match outcome {
            IWantOutcome::LowScore { .. } => Some(Self::IWantRefused(outcome.name())),
            IWantOutcome::Answered { ids } => {
                let refused = |answer: &&IWantAnswer<N>| {
                    matches!(answer, IWantAnswer::Ignored | IWantAnswer::TooManyRequests)
                };
                ids.values().find(refused).map(|answer| Self::IWantRefused(answer.name()))
            }
        }
    }
}

impl GraftOutcome {
    /// Why the GRAFT of a peer was accepted or refused, for people.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Grafted => "the peer requested it",
            Self::PeerFiltered => "the application or max_topics_per_peer refuses the peer",
            Self::UnsubscribedTopic => "we have not joined the topic",
            Self::AlreadyInMesh => "the peer is in the mesh already",
            Self::UnexpectedPeer => "the peer is not connected",
            Self::DirectPeer => "direct peers are never in a mesh",
            Self::BackedOff => "the peer comes back before its backoff is over",
            Self::NegativeScore => "the score of the peer is negative",
            Self::MeshFull => "the mesh is full and the peer is not outbound",
        }
    }
}

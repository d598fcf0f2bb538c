//! The event records that explain decisions about peers and messages to operators, with their names and
//! explanations.

use derive_where::derive_where;
use enum_map::Enum;

use super::{
    GraftOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, ReceiveOutcome,
    SubscribeOutcome,
    reason::{GraftReason, LeaveReason, Penalty, ScoreAction},
};
use crate::{network::Network, timestamp::Timestamp};

/// A decision about a peer, or an action of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerDecision {
    /// The peer connected.
    Connected,
    /// The peer disconnected.
    Disconnected,
    /// The peer sent a GRAFT, with this outcome.
    Graft(GraftOutcome),
    /// We grafted the peer.
    Grafted(GraftReason),
    /// The peer left our mesh: it sent a PRUNE, or we pruned it.
    Pruned(LeaveReason),
    /// The peers that it recommended in a PRUNE were ignored: its score is below `accept_px_threshold`.
    PxRefused,
    /// Its SUBSCRIBE was ignored: it is subscribed to `max_topics_per_peer` topics.
    SubscribeRefused,
    /// Its SUBSCRIBE was ignored: the application refuses subscriptions to the topic.
    SubscribeFiltered,
    /// Its IHAVE was ignored. The reason is the name of the outcome.
    IHaveRefused(&'static str),
    /// Its IWANT was ignored, or some of its ids were not answered. The reason is the name of the outcome.
    IWantRefused(&'static str),
    /// Its IDONTWANT was ignored, or some of its ids were ignored. The reason is the name of the outcome.
    IDontWantRefused(&'static str),
    /// The score of the peer was lowered.
    Penalised(Penalty),
    /// Something was done about the peer because of its score.
    ActedOnScore(ScoreAction),
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// We joined a topic, or began to relay it.
    Joined,
    /// We left a topic, or ceased to relay it.
    Left,
    /// We published a message.
    Published,
    /// A message was valid and new, and was delivered to the application. On a topic that is only relayed: it was forwarded.
    Delivered,
    /// A message was a duplicate.
    Duplicate,
    /// A message was rejected. The reason is the name of the outcome.
    Rejected(&'static str),
    /// A decision about a peer, or an action of the peer.
    Decided(PeerDecision),
}

/// An event with its time, peer, topic and message. Consecutive equal events of one peer are one record.
#[derive_where(Clone, Debug, PartialEq)]
pub struct EventRecord<N: Network> {
    /// Sequence number, ascending. A repeated event has the number of its last occurrence.
    pub seq: u64,
    /// The time of the last occurrence.
    pub time: Timestamp,
    /// The time of the first occurrence.
    pub first: Timestamp,
    /// The number of consecutive occurrences. At least 1.
    pub count: u64,
    /// The kind of the event.
    pub kind: EventKind,
    /// The peer that the event is about.
    pub peer: Option<N::Peer>,
    /// The topic.
    pub topic: Option<N::Topic>,
    /// The message.
    pub message_id: Option<N::MessageId>,
    /// The score of the peer at that time. `None` if the peer had no score.
    pub score: Option<f64>,
}

impl EventKind {
    /// Returns the event of a message that a peer sent, or `None` before there is a verdict.
    pub(crate) fn to_message<N: Network>(outcome: &ReceiveOutcome<N>) -> Option<Self> {
        match outcome {
            ReceiveOutcome::Route { .. } => Some(Self::Delivered),
            ReceiveOutcome::AlreadyReceived => Some(Self::Duplicate),
            ReceiveOutcome::Batched | ReceiveOutcome::Validating => None,
            refused => Some(Self::Rejected(refused.name())),
        }
    }

    /// The name of the event: that of the `TraceEvent` type of go-libp2p-pubsub if there is one, else a name in the
    /// same style.
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

    /// The names of all kinds of events.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let kinds = [Self::Joined, Self::Left, Self::Published, Self::Delivered, Self::Duplicate];
        kinds.into_iter().chain([Self::Rejected("")]).map(Self::name).chain(PeerDecision::names())
    }

    /// The reason as a label, for example `low_score`.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Rejected(reason) => Some(reason),
            Self::Decided(decision) => decision.reason(),
            _ => None,
        }
    }

    /// The reason as a phrase for operators.
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
            Self::Pruned(_) => "PRUNE",
            Self::PxRefused => "REJECT_PX",
            Self::SubscribeRefused | Self::SubscribeFiltered => "REJECT_SUBSCRIBE",
            Self::IHaveRefused(_) => "REJECT_IHAVE",
            Self::IWantRefused(_) => "REJECT_IWANT",
            Self::IDontWantRefused(_) => "REJECT_IDONTWANT",
            Self::Penalised(_) => "PENALTY",
            Self::ActedOnScore(action) => action.event_name(),
        }
    }

    fn names() -> impl Iterator<Item = &'static str> {
        let decisions = [
            Self::Connected,
            Self::Disconnected,
            Self::Graft(GraftOutcome::Grafted),
            Self::Graft(GraftOutcome::MeshFull),
            Self::Pruned(LeaveReason::RemotePrune),
            Self::PxRefused,
            Self::SubscribeRefused,
            Self::IHaveRefused(""),
            Self::IWantRefused(""),
            Self::IDontWantRefused(""),
            Self::Penalised(Penalty::InvalidMessage),
        ];
        let actions = (0..ScoreAction::LENGTH).map(ScoreAction::from_usize).map(Self::ActedOnScore);
        decisions.into_iter().chain(actions).map(Self::name)
    }

    fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Connected | Self::Disconnected => return None,
            Self::Graft(outcome) => outcome.name(),
            Self::Grafted(reason) => reason.name(),
            Self::Pruned(reason) => reason.name(),
            Self::PxRefused => "low_score",
            Self::ActedOnScore(ScoreAction::LeaveGraylist) => "score_recovered",
            Self::ActedOnScore(_) => "low_score",
            Self::SubscribeRefused => SubscribeOutcome::TopicLimitExceeded.name(),
            Self::SubscribeFiltered => SubscribeOutcome::Filtered.name(),
            Self::IHaveRefused(reason) | Self::IWantRefused(reason) | Self::IDontWantRefused(reason) => {
                reason
            }
            Self::Penalised(penalty) => penalty.name(),
        })
    }

    pub(crate) fn explanation(self) -> Option<&'static str> {
        Some(match self {
            Self::Connected | Self::Disconnected => return None,
            Self::Graft(outcome) => outcome.explanation(),
            Self::Grafted(reason) => reason.explanation(),
            Self::Pruned(reason) => reason.explanation(),
            Self::PxRefused => "its score is below accept_px_threshold",
            Self::SubscribeRefused => {
                "it is subscribed to max_topics_per_peer topics already, joined ones not counted"
            }
            Self::SubscribeFiltered => "the application refuses subscriptions to the topic",
            Self::IHaveRefused(_) => "its IHAVE was ignored",
            Self::IWantRefused(_) => "some of its IWANT ids were not answered",
            Self::IDontWantRefused(_) => "some of its IDONTWANT ids were ignored",
            Self::Penalised(penalty) => penalty.explanation(),
            Self::ActedOnScore(action) => action.explanation(),
        })
    }

    /// The decision that follows from a SUBSCRIBE, if the outcome is a refusal or a graft.
    pub(crate) fn of_subscribe(outcome: SubscribeOutcome) -> Option<Self> {
        match outcome {
            SubscribeOutcome::Grafted => Some(Self::Grafted(GraftReason::RemoteSubscribe)),
            SubscribeOutcome::TopicLimitExceeded => Some(Self::SubscribeRefused),
            SubscribeOutcome::Filtered => Some(Self::SubscribeFiltered),
            SubscribeOutcome::Subscribed | SubscribeOutcome::UnknownPeer | SubscribeOutcome::Graylisted => {
                None
            }
        }
    }

    /// The decision that follows from an IHAVE, if the outcome is a refusal.
    pub(crate) fn of_ihave<N: Network>(outcome: &IHaveOutcome<N>) -> Option<Self> {
        match outcome {
            IHaveOutcome::Requested { .. } | IHaveOutcome::TopicNotTracked | IHaveOutcome::Graylisted => None,
            refused => Some(Self::IHaveRefused(refused.name())),
        }
    }

    /// The decision that follows from an IDONTWANT, if the outcome is a refusal.
    pub(crate) fn of_idontwant(outcome: IDontWantOutcome) -> Option<Self> {
        match outcome {
            IDontWantOutcome::LowScore { .. } | IDontWantOutcome::TooMany { .. } => {
                Some(Self::IDontWantRefused(outcome.name()))
            }
            IDontWantOutcome::SwitchedOff
            | IDontWantOutcome::UnknownPeer
            | IDontWantOutcome::Recorded { .. }
            | IDontWantOutcome::Graylisted => None,
        }
    }

    /// The decision that follows from an IWANT, if the outcome is a refusal. An id that is no longer in the history is
    /// not a refusal.
    pub(crate) fn of_iwant<N: Network>(outcome: &IWantOutcome<N>) -> Option<Self> {
        match outcome {
            IWantOutcome::LowScore { .. } => Some(Self::IWantRefused(outcome.name())),
            IWantOutcome::Graylisted => None,
            IWantOutcome::Answered { ids } => {
                let refused = |answer: &&IWantAnswer<N>| {
                    matches!(
                        answer,
                        IWantAnswer::Ignored
                            | IWantAnswer::TooManyRequests
                            | IWantAnswer::TooManyBytes
                            | IWantAnswer::Declined
                    )
                };
                ids.values().find(refused).map(|answer| Self::IWantRefused(answer.name()))
            }
        }
    }
}

impl GraftOutcome {
    /// Why the GRAFT was accepted or refused, as a phrase for operators.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Grafted => "the peer requested it",
            Self::PeerFiltered => "the application or max_topics_per_peer refuses the peer",
            Self::UnsubscribedTopic => "we have not joined the topic",
            Self::AlreadyInMesh => "the peer is in the mesh already",
            Self::UnexpectedPeer => "the peer is not connected",
            Self::DirectPeer => "direct peers are never in a mesh",
            Self::FloodsubPeer => "the peer speaks floodsub, which has no mesh",
            Self::BackedOff => "the peer comes back before its backoff is over",
            Self::NegativeScore => "the score of the peer is negative",
            Self::MeshFull => "the mesh is full and the peer is not outbound",
            Self::Graylisted => "the score of the peer is below graylist_threshold",
        }
    }
}

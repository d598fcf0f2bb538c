//! The reasons of mesh changes and penalties. Each reason has one name, which events, logs and metrics use.

use std::time::Duration;

use enum_map::Enum;
use strum::{IntoStaticStr, VariantNames};

/// Why a peer entered our mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum GraftReason {
    /// We joined the topic.
    Join,
    /// We joined the topic, and the peer was in its fanout.
    FanoutPromoted,
    /// The peer sent a GRAFT.
    RemoteGraft,
    /// The peer subscribed while the mesh had fewer than `degree_optimal` peers.
    RemoteSubscribe,
    /// The heartbeat found fewer than `degree_low` peers in the mesh.
    #[strum(serialize = "below_d_low")]
    BelowDegreeLow,
    /// The heartbeat found fewer than `degree_out` outbound peers in the mesh.
    OutboundQuota,
    /// The heartbeat found that the median score of the mesh was below `opportunistic_graft_threshold`.
    Opportunistic,
}

/// Why a peer left our mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum LeaveReason {
    /// The peer sent a PRUNE.
    RemotePrune,
    /// The peer unsubscribed from the topic.
    Unsubscribed,
    /// The peer disconnected.
    Disconnected,
    /// The heartbeat found that the score of the peer was negative.
    NegativeScore,
    /// The heartbeat found `degree_high` peers or more in the mesh.
    #[strum(serialize = "above_d_high")]
    AboveDegreeHigh,
    /// We left the topic.
    Leave,
    /// The topic was restarted after a panic.
    Restart,
    /// The application made the peer a direct peer.
    Direct,
}

/// Why the score of a peer was lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Penalty {
    /// P7: the peer sent a GRAFT before its backoff expired.
    GraftBackoff,
    /// P7: the peer sent an IHAVE and did not send the requested message.
    BrokenPromise,
    /// P4: the peer sent an invalid message, or an invalid id in an IHAVE.
    InvalidMessage,
    /// P7: the p2p layer reported that the peer reads too slowly for control messages.
    SlowPeer,
    /// P3b: the peer left the mesh with a delivery deficit.
    MeshDeficit,
    /// P7: the peer sent bytes that are no RPC, or a message on a topic that is not joined that breaks the network's rules.
    ProtocolViolation,
}

/// An action on a peer because of its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ScoreAction {
    /// The score fell below `graylist_threshold`: nothing is handled that the peer sends.
    Graylist,
    /// The score is no longer below `graylist_threshold`: what the peer sends is handled again.
    LeaveGraylist,
    /// The score was below `disconnect_threshold`: the p2p layer was asked to disconnect the peer.
    Disconnect,
    /// The same, and to refuse its connections for `ban_duration`.
    Ban,
}

impl GraftReason {
    /// The label of the reason, for metrics and logs.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The reason as a phrase for operators.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::Join => "we joined the topic",
            Self::FanoutPromoted => "we joined the topic and it was in the fanout",
            Self::RemoteGraft => "the peer requested it",
            Self::RemoteSubscribe => "it subscribed while the mesh had fewer peers than degree_optimal",
            Self::BelowDegreeLow => "the mesh had fewer peers than degree_low",
            Self::OutboundQuota => "the mesh had fewer outbound peers than degree_out",
            Self::Opportunistic => "the median score of the mesh was below opportunistic_graft_threshold",
        }
    }
}

impl LeaveReason {
    /// The label of the reason, for metrics and logs.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The reason as a phrase for operators.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::RemotePrune => "it took us out of its mesh",
            Self::Unsubscribed => "it unsubscribed from the topic",
            Self::Disconnected => "it disconnected",
            Self::NegativeScore => "its score is negative",
            Self::AboveDegreeHigh => "the mesh had degree_high peers or more",
            Self::Leave => "we left the topic",
            Self::Restart => "the topic was restarted after a panic",
            Self::Direct => "the application made it a direct peer",
        }
    }
}

impl ScoreAction {
    /// The action below `disconnect_threshold`.
    pub(crate) fn of_low_score(ban_duration: Duration) -> Self {
        if ban_duration.is_zero() { Self::Disconnect } else { Self::Ban }
    }

    /// The label of the action, for metrics and logs.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The name of its event, in the style of go-libp2p-pubsub.
    pub(super) fn event_name(self) -> &'static str {
        match self {
            Self::Graylist => "GRAYLIST_PEER",
            Self::LeaveGraylist => "UNGRAYLIST_PEER",
            Self::Disconnect => "DISCONNECT_PEER",
            Self::Ban => "BAN_PEER",
        }
    }

    /// The reason as a phrase for operators.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::Graylist => "its score is below graylist_threshold: nothing that it sends is handled",
            Self::LeaveGraylist => "its score is no longer below graylist_threshold",
            Self::Disconnect => "its score is below disconnect_threshold",
            Self::Ban => "its score is below disconnect_threshold: it is refused for ban_duration",
        }
    }
}

impl Penalty {
    /// The label of the reason, for metrics and logs.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The reason as a phrase for operators.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::GraftBackoff => "P7: it sent a GRAFT before its backoff expired",
            Self::BrokenPromise => {
                "P7: it broke an IWANT promise: it sent an IHAVE and did not send the message"
            }
            Self::InvalidMessage => "P4: it sent an invalid message or message id",
            Self::SlowPeer => "P7: it reads too slowly for control messages",
            Self::MeshDeficit => "P3b: it left the mesh with a delivery deficit",
            Self::ProtocolViolation => {
                "P7: it broke the protocol: bytes that are no RPC, or a forged message"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        assert_eq!(GraftReason::BelowDegreeLow.name(), "below_d_low");
        assert_eq!(LeaveReason::AboveDegreeHigh.name(), "above_d_high");
        assert_eq!(GraftReason::VARIANTS[GraftReason::OutboundQuota.into_usize()], "outbound_quota");
    }
}

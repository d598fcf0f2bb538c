//! Label values as enums: the [catalogue](super::CATALOGUE) lists their names, and maps of handles are indexed by them.
//! Reasons that the state machines count are enums of `protocol`, with the same derives.

use enum_map::Enum;
use strum::VariantNames;

use crate::network::{Network, P2pMessage};

/// The type of an RPC entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum RpcType {
    Message,
    Subscribe,
    Unsubscribe,
    Graft,
    Prune,
    IHave,
    IWant,
    Ping,
    IDontWant,
}

impl RpcType {
    pub(super) fn of<N: Network>(message: &P2pMessage<N>) -> Self {
        match message {
            P2pMessage::FullMessage(_) => Self::Message,
            P2pMessage::Subscribe { .. } => Self::Subscribe,
            P2pMessage::Unsubscribe { .. } => Self::Unsubscribe,
            P2pMessage::Graft { .. } => Self::Graft,
            P2pMessage::Prune { .. } => Self::Prune,
            P2pMessage::IHave { .. } => Self::IHave,
            P2pMessage::IWant { .. } => Self::IWant,
            P2pMessage::Ping => Self::Ping,
            P2pMessage::IDontWant { .. } => Self::IDontWant,
        }
    }
}

/// The type of an RPC entry that lists message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[expect(clippy::enum_variant_names, reason = "the specification names them so")]
pub(super) enum IdListType {
    IHave,
    IWant,
    IDontWant,
}

/// Whether a peer or this node sent an RPC entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum RpcDirection {
    Received,
    Sent,
}

/// Why a full message is sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum SendPath {
    Publish,
    Fanout,
    Forward,
    IWant,
    /// An own message to a subscriber that is neither in the mesh or fanout nor direct.
    #[strum(serialize = "beyond_mesh")]
    BeyondMesh,
}

/// A verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Verdict {
    Valid,
    Invalid,
    Outdated,
    Unknown,
}

/// Why a message is dropped before it has a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Unvalidated {
    Timeout,
    Throttled,
    Panic,
    Expired,
}

/// Why the transport no longer reads a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Malformed {
    Frame,
    Rpc,
    SlowFrame,
}

/// The consequence of the panic of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(super) enum AfterPanic {
    Restarted,
    GivenUp,
}

/// A configured size of meshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum DegreeBound {
    Low,
    Optimal,
    High,
    Outbound,
}

/// A statistic of the peers' scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum ScoreStat {
    Min,
    Median,
    Max,
}

/// A statistic of one score component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(super) enum ComponentStat {
    Min,
    Mean,
}

/// Why a valid message is not delivered to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Undelivered {
    /// The subscription of its topic was full and drops messages then.
    QueueFull,
    /// The stream of its topic's subscription was dropped before it was read.
    Unread,
}

/// The kinds of items that a reader of the HTTP stream missed because it reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum StreamItem {
    Message,
    Event,
}

/// The kind of item that an actor handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Handled {
    Subscribe,
    Unsubscribe,
    Graft,
    Prune,
    #[strum(serialize = "ihave")]
    IHave,
    #[strum(serialize = "iwant")]
    IWant,
    ReceiveMessage,
    ValidationResult,
    Publish,
    Join,
    Leave,
    /// From the supervisor to a topic.
    Command,
    /// Any item of the supervisor.
    Supervisor,
}

/// A queue of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum EngineQueue {
    Input,
    Publication,
    Supervisor,
    Router,
    P2pOutput,
    AppOutput,
}

/// A queue with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(super) enum BoundedQueue {
    Input,
    Publication,
    P2pOutput,
    AppOutput,
}

/// A queue whose items are counted in bytes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ByteQueue {
    /// The queued inputs and the messages that the engine holds.
    Input,
    Publication,
    P2pOutput,
    AppOutput,
}

/// A queue whose waiting times are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TimedQueue {
    Input,
    P2pOutput,
    AppOutput,
}

//! The protocol as pure state machines, without actors, clocks, locks, channels, logs and metrics. Time is an argument,
//! randomness is seeded, and collections are ordered wherever their order can reach an output.
//!
//! There are two state machines and their composition:
//!
//! * a topic (`topic/`): the mesh, fanout, backoffs, gossip and messages of one topic;
//! * the peers' side (`peers/`, `score/`): connections, scores, peer exchange, and state that topics share;
//! * [`Node`] (`node/`): both, composed synchronously. The actors compose them over several threads.
//!
//! A topic needs a state machine only while it is joined, published to or remembers messages. A *passive* topic, which
//! peers subscribe to and we do not, has none: the peers' side has its subscribers, and `passive.rs` handles its inputs.
//!
//! Topics identify connections by numbers (`connection.rs`), which are resolved to peers. For gossip, this happens when
//! the output is read (`output/pending.rs`).
//!
//! Topics report *events* to the peers' side, and the peers' side sends *commands* to topics (`exchange/`). Each input
//! has one outcome enum with all its possible results (`outcome/`).
//!
//! The behaviour is that of the corrected Octez reference, as recorded in `tests/traces`. Comments name the sections of
//! the libp2p gossipsub specifications v1.0, v1.1 and v1.2.

pub(crate) mod backoff;
pub(crate) mod connection;
pub(crate) mod event;
pub(crate) mod exchange;
pub(crate) mod inspect;
pub(crate) mod iwant;
pub(crate) mod node;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod output;
pub(crate) mod passive;
pub(crate) mod peers;
pub(crate) mod quota;
pub(crate) mod rate_limit;
mod rng;
pub(crate) mod score;
pub(crate) mod shares;
mod time_cache;
pub(crate) mod topic;

pub use self::{
    backoff::RemainingBackoff,
    event::Event,
    exchange::command::ValidationMode,
    inspect::{
        footprint::Footprint,
        memory::MemoryBound,
        stats::{Stats, TopicProblem},
        view::{CachedView, ConnectionView, FanoutView, ScoreView, SeenView, TopicScoreView, View},
    },
    node::{Node, NodeOutputs},
    options::NodeOptions,
    outcome::{
        AddPeer, GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome,
        JoinOutcome, LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, RemovePeer,
        SubscribeOutcome, UnsubscribeOutcome,
        decision::{EventKind, EventRecord, PeerDecision},
        labels::Input,
        reason::{GraftReason, LeaveReason, Penalty, ScoreAction},
    },
    output::{Lane, OutputBatch, expand::OutputBatchIter},
    peers::peer_event::PeerEvent,
    score::breakdown::{ScoreBreakdown, Threshold, TopicBreakdown},
    topic::inspect::PeerTopicStatus,
};
pub use crate::timestamp::Timestamp;

//! The protocol as pure state machines. In this folder nobody knows an actor, a clock, a lock, a
//! channel, a log or a metric: time is an argument, randomness is seeded, order is that of ordered
//! collections wherever it can reach an output.
//!
//! There are two machines and their composition:
//!
//! * a topic (`topic.rs` and `mesh.rs`, `delivery.rs`, `gossip.rs`, `unwanted.rs`, `fanout.rs`,
//!   `maintenance.rs`): everything about one topic, and no other;
//! * the peers' side (`peers.rs` and `round.rs`, `px.rs`, `undecided.rs`, `score.rs`): connections,
//!   scores, and whatever is not one topic's;
//! * [`Node`]: both, composed synchronously. The actors compose them too, over threads.
//!
//! Topics know connections by numbers (`connection_id.rs`); who they are is looked up (`connected.rs`), for gossip when it is
//! read (`unread.rs`).
//!
//! Topics tell the peers' side *facts*; it gives them *orders* (`outbox.rs`). Each input has one
//! outcome enum whose variants are all that can become of it (`outcome.rs`).
//!
//! Behaviour is that of the corrected Octez reference, as recorded in `tests/traces`; comments name
//! the sections of the libp2p gossipsub specifications v1.0, v1.1 and v1.2.

pub(crate) mod connection;
pub(crate) mod event;
pub(crate) mod exchange;
pub(crate) mod inspect;
pub(crate) mod iwant;
pub(crate) mod node;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod output;
pub(crate) mod peers;
pub(crate) mod quota;
pub(crate) mod rate_limit;
mod rng;
pub(crate) mod score;
mod time_cache;
pub(crate) mod topic;

pub use self::{
    event::Event,
    exchange::command::ValidationMode,
    inspect::{
        footprint::Footprint,
        stats::Stats,
        view::{CachedView, ConnectionView, FanoutView, ScoreView, SeenView, TopicScoreView, View},
    },
    node::{Node, NodeOutputs},
    options::NodeOptions,
    outcome::{
        AddPeer, GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome,
        JoinOutcome, LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, RemovePeer,
        SubscribeOutcome, UnsubscribeOutcome,
        decision::{EventKind, EventRecord, Grafting, PeerDecision, Penalty, Pruning},
        labels::Input,
    },
    output::{Lane, OutputBatch, expand::OutputBatchIter},
    score::breakdown::{ScoreBreakdown, Threshold, TopicBreakdown},
    topic::inspect::PeerTopicStatus,
};
pub use crate::timestamp::Timestamp;

//! The ops of the traces, typed. Unknown ops and unknown arguments are errors: nothing is skipped.

use std::sync::Arc;

use actix_gossipsub::Validity;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    limits::TraceLimits,
    network::{Id, Topic},
};

/// One line of a trace.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub op: Value,
    pub expect: Value,
}

/// An op, as the driver of one kind of trace sees it.
pub enum Step<Op> {
    /// It changes the application, not the engine.
    Setting(Setting),
    Op(Op),
}

impl<Op: DeserializeOwned> Step<Op> {
    pub fn parse(op: &Value) -> Result<Self, String> {
        let name = op["op"].as_str().ok_or("an op without a name")?;
        let step = if Setting::NAMES.contains(&name) {
            Setting::deserialize(op).map(Step::Setting)
        } else {
            Op::deserialize(op).map(Step::Op)
        };
        step.map_err(|error| format!("unreadable op: {error}"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::enum_variant_names, reason = "the names are the ops'")]
pub enum Setting {
    SetValidity { message_id: Id, id: Option<Validity>, message: Option<Validity>, batch: Option<Validity> },
    SetDefaultValidity { validity: Validity },
    SetPeerFilter { peer: i64, deny: Vec<Filter> },
    SetBatchMode { mode: BatchMode },
    SetInitialPoints { points: Vec<i64> },
}

impl Setting {
    const NAMES: [&str; 5] =
        ["set_validity", "set_default_validity", "set_peer_filter", "set_batch_mode", "set_initial_points"];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    Ihave,
    Iwant,
    Graft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    Normal,
    WrongLength,
}

/// FORMAT.md, sections 2 to 4. Variants without arguments have braces: serde checks unknown fields
/// of those only.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum AutomatonOp {
    Make { limits: Box<TraceLimits> },
    CheckLimits { limits: Box<TraceLimits> },
    AdvanceTime { ms: u64 },
    View { detail: bool },
    AddPeer { peer: i64, direct: bool, outbound: bool, bootstrap: bool },
    RemovePeer { peer: i64 },
    Subscribe { peer: i64, topic: Topic },
    Unsubscribe { peer: i64, topic: Topic },
    Graft { peer: i64, topic: Topic },
    Prune { peer: i64, topic: Topic, px: Vec<i64>, backoff: u64 },
    Ihave { peer: i64, topic: Topic, message_ids: Vec<Id> },
    Iwant { peer: i64, message_ids: Vec<Id> },
    ReceiveMessage(Reception),
    ApplyBatch { batch: Vec<BatchEntry> },
    Publish { topic: Topic, message_id: Id, message: Arc<str> },
    Join { topic: Topic },
    Leave { topic: Topic },
    Heartbeat {},
    SetApplicationScore { peer: i64, score: f64 },
    SelectPxPeers { peer_to_prune: i64, topic: Topic, no_px_peers: Vec<i64> },
    SelectGossipMessages {},
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reception {
    pub sender: i64,
    pub topic: Topic,
    pub message_id: Id,
    pub message: Arc<str>,
    /// Milliseconds; present in batch mode only.
    pub batch_interval: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchEntry {
    pub sender: i64,
    pub topic: Topic,
    pub message_id: Id,
    pub message: Arc<str>,
    pub co_senders: Vec<i64>,
}

/// FORMAT.md, sections 3 and 5.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkerOp {
    Make(Make),
    AdvanceTime {
        ms: u64,
    },
    View {
        detail: bool,
    },
    P2pInput {
        input: TraceP2pInput,
    },
    BoundedP2pInput {
        input: TraceP2pInput,
        #[serde(default = "once")]
        times: u64,
    },
    AppInput {
        input: TraceAppInput,
    },
    Heartbeat {
        #[serde(default = "once")]
        times: u64,
    },
    CheckUnknownMessages {},
    MessageBurst {
        from_peer: i64,
        topic: Topic,
        first_id: i64,
        step: i64,
        count: u64,
    },
    SetUnreachablePoint {
        point: i64,
    },
    Hold {},
    Release {},
    Stats {},
    IsSubscribed {
        topic: Topic,
    },
    ReconnectionDelays {},
    InputQueueLength {},
}

fn once() -> u64 {
    1
}

/// The first line of a worker trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Make {
    pub limits: Box<TraceLimits>,
    #[serde(rename = "self")]
    pub self_peer: i64,
    pub topics: Vec<Topic>,
    pub initial_points: Vec<i64>,
    /// Milliseconds.
    pub batching_interval: Option<u64>,
    #[serde(default = "default_queue_length")]
    pub max_transport_input_queue_length: usize,
}

fn default_queue_length() -> usize {
    8192
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceP2pInput {
    NewConnection { peer: i64, direct: bool, trusted: bool, bootstrap: bool },
    Disconnection { peer: i64 },
    InMessage { from_peer: i64, p2p_message: TraceP2pMessage },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceP2pMessage {
    Graft { topic: Topic },
    Prune { topic: Topic, px: Vec<i64>, backoff: u64 },
    Ihave { topic: Topic, message_ids: Vec<Id> },
    Iwant { message_ids: Vec<Id> },
    Subscribe { topic: Topic },
    Unsubscribe { topic: Topic },
    Message { topic: Topic, message_id: Id, message: Arc<str> },
    Ping {},
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceAppInput {
    PublishMessage { topic: Topic, message_id: Id, message: Arc<str> },
    Join { topic: Topic },
    Leave { topic: Topic },
}

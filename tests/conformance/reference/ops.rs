//! This module parses the lines of a trace (FORMAT.md, 2 to 5). An unknown op or argument is an error.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{AppInput, ConnectionInfo, Delivery, FullMessage, P2pInput, P2pMessage, PxPeer};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    TraceNetwork,
    limits::ReferenceLimits,
    network::{ReferenceId, Setting},
};

/// One line of a trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub op: Value,
    /// The answer of the reference.
    pub expect: Value,
}

/// An op, as the driver of one kind of trace performs it.
pub enum Step<Op> {
    Setting(Setting),
    Op(Op),
}

impl<Op: DeserializeOwned> Step<Op> {
    pub fn parse(op: &Value) -> Result<Self, String> {
        let is_setting = op["op"].as_str().is_some_and(|name| Setting::NAMES.contains(&name));
        let step = if is_setting {
            Setting::deserialize(op).map(Self::Setting)
        } else {
            Op::deserialize(op).map(Self::Op)
        };
        step.map_err(|error| error.to_string())
    }
}

/// An op of an automaton trace (FORMAT.md, 4).
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum AutomatonOp {
    Make {
        limits: ReferenceLimits,
    },
    CheckLimits {
        limits: ReferenceLimits,
    },
    AdvanceTime {
        #[serde(rename = "ms", deserialize_with = "milliseconds")]
        span: Duration,
    },
    View {
        detail: bool,
    },
    AddPeer {
        peer: i64,
        direct: bool,
        outbound: bool,
        bootstrap: bool,
    },
    RemovePeer {
        peer: i64,
    },
    Subscribe {
        peer: i64,
        topic: Arc<str>,
    },
    Unsubscribe {
        peer: i64,
        topic: Arc<str>,
    },
    Graft {
        peer: i64,
        topic: Arc<str>,
    },
    Prune {
        peer: i64,
        topic: Arc<str>,
        px: Vec<i64>,
        #[serde(deserialize_with = "milliseconds")]
        backoff: Duration,
    },
    Ihave {
        peer: i64,
        topic: Arc<str>,
        message_ids: Vec<ReferenceId>,
    },
    Iwant {
        peer: i64,
        message_ids: Vec<ReferenceId>,
    },
    ReceiveMessage {
        sender: i64,
        topic: Arc<str>,
        message_id: ReferenceId,
        message: Arc<str>,
        /// Present in batch mode.
        batch_interval: Option<u64>,
    },
    ApplyBatch {
        batch: Vec<BatchEntry>,
    },
    Publish(FullMessage<TraceNetwork>),
    Join {
        topic: Arc<str>,
    },
    Leave {
        topic: Arc<str>,
    },
    Heartbeat {},
    SetApplicationScore {
        peer: i64,
        score: f64,
    },
    SelectPxPeers {
        peer_to_prune: i64,
        topic: Arc<str>,
        no_px_peers: Vec<i64>,
    },
    SelectGossipMessages {},
}

/// A message of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchEntry {
    sender: i64,
    topic: Arc<str>,
    message_id: ReferenceId,
    message: Arc<str>,
    co_senders: Vec<i64>,
}

impl From<BatchEntry> for Delivery<TraceNetwork> {
    fn from(entry: BatchEntry) -> Self {
        let BatchEntry { sender, topic, message_id, message, co_senders } = entry;
        let mut delivery = Self::new(sender, Arc::new(FullMessage { topic, message_id, message }));
        delivery.co_senders = co_senders;
        delivery
    }
}

/// An op of a worker trace (FORMAT.md, 5).
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkerOp {
    Make(Make),
    AdvanceTime {
        #[serde(rename = "ms", deserialize_with = "milliseconds")]
        span: Duration,
    },
    View {
        detail: bool,
    },
    P2pInput {
        input: TraceP2pInput,
    },
    /// An input that is dropped when the queue is full.
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
    MessageBurst(Burst),
    SetUnreachablePoint {
        point: i64,
    },
    #[serde(rename = "hold")]
    Pause {},
    #[serde(rename = "release")]
    Resume {},
    Stats {},
    IsSubscribed {
        topic: Arc<str>,
    },
    ReconnectionDelays {},
    InputQueueLength {},
}

/// The first line of a worker trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Make {
    pub limits: ReferenceLimits,
    #[serde(rename = "self")]
    pub self_peer: i64,
    /// The topics that are joined at the start, in this order.
    pub topics: Vec<Arc<str>>,
    pub initial_points: Vec<i64>,
    /// The time that a batch is open; `None` if messages are validated one by one.
    #[serde(deserialize_with = "optional_milliseconds")]
    pub batching_interval: Option<Duration>,
    #[serde(default = "queue_length")]
    pub max_transport_input_queue_length: usize,
}

/// Ids `[topic, first_id]`, `[topic, first_id + step]` …, with contents `m<id>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    pub from_peer: i64,
    topic: Arc<str>,
    first_id: i64,
    step: i64,
    count: i64,
}

impl Burst {
    pub fn messages(&self) -> impl Iterator<Item = Arc<FullMessage<TraceNetwork>>> + '_ {
        (0..self.count).map(|nth| {
            let number = self.first_id + nth * self.step;
            let (topic, message) = (Arc::clone(&self.topic), Arc::from(format!("m{number}")));
            let message_id = ReferenceId { number, topic: Arc::clone(&topic) };
            Arc::new(FullMessage { topic, message_id, message })
        })
    }
}

/// An input of the p2p layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceP2pInput {
    NewConnection { peer: i64, direct: bool, trusted: bool, bootstrap: bool },
    Disconnection { peer: i64 },
    InMessage { from_peer: i64, p2p_message: TraceMessage },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum TraceMessage {
    Graft {
        topic: Arc<str>,
    },
    Prune {
        topic: Arc<str>,
        px: Vec<i64>,
        #[serde(deserialize_with = "milliseconds")]
        backoff: Duration,
    },
    IHave {
        topic: Arc<str>,
        message_ids: Vec<ReferenceId>,
    },
    IWant {
        message_ids: Vec<ReferenceId>,
    },
    Subscribe {
        topic: Arc<str>,
    },
    Unsubscribe {
        topic: Arc<str>,
    },
    Message(Arc<FullMessage<TraceNetwork>>),
    Ping {},
}

/// An input of the application.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TraceAppInput {
    PublishMessage(FullMessage<TraceNetwork>),
    Join { topic: Arc<str> },
    Leave { topic: Arc<str> },
}

impl From<TraceP2pInput> for P2pInput<TraceNetwork> {
    fn from(input: TraceP2pInput) -> Self {
        match input {
            // FORMAT.md, 6: the reference's worker takes its trusted peers for outbound ones.
            TraceP2pInput::NewConnection { peer, direct, trusted, bootstrap } => {
                let mut info = if trusted { ConnectionInfo::outbound() } else { ConnectionInfo::inbound() };
                (info.kind.direct, info.kind.trusted, info.kind.bootstrap) = (direct, trusted, bootstrap);
                Self::NewConnection { peer, info }
            }
            TraceP2pInput::Disconnection { peer } => Self::Disconnection { peer },
            TraceP2pInput::InMessage { from_peer, p2p_message } => {
                Self::InMessage { from_peer, message: p2p_message.into() }
            }
        }
    }
}

impl From<TraceMessage> for P2pMessage<TraceNetwork> {
    fn from(message: TraceMessage) -> Self {
        match message {
            TraceMessage::Graft { topic } => Self::Graft { topic },
            TraceMessage::Prune { topic, px, backoff } => {
                Self::Prune { topic, px: px.into_iter().map(PxPeer::new).collect(), backoff }
            }
            TraceMessage::IHave { topic, message_ids } => Self::IHave { topic, message_ids },
            TraceMessage::IWant { message_ids } => Self::IWant { message_ids },
            TraceMessage::Subscribe { topic } => Self::subscribe(topic),
            TraceMessage::Unsubscribe { topic } => Self::Unsubscribe { topic },
            TraceMessage::Message(full) => Self::FullMessage(full),
            TraceMessage::Ping {} => Self::Ping,
        }
    }
}

impl From<TraceAppInput> for AppInput<TraceNetwork> {
    fn from(input: TraceAppInput) -> Self {
        match input {
            TraceAppInput::PublishMessage(full) => Self::Publish(full),
            TraceAppInput::Join { topic } => Self::Join(topic),
            TraceAppInput::Leave { topic } => Self::Leave(topic),
        }
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

fn optional_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Option::deserialize(deserializer).map(|ms| ms.map(Duration::from_millis))
}

fn once() -> u64 {
    1
}

fn queue_length() -> usize {
    8192
}

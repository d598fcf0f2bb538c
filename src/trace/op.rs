//! The ops of a trace, typed (FORMAT.md, 2 to 5, and what [this module](super) adds). An unknown op or argument is
//! a mistake: nothing is skipped.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    fields::{Fields, Mistake},
    limits::TraceLimits,
    network::{Setting, TraceNetwork},
    said::{app_input, burst, delivery, full_message, p2p_input, unknown},
    values::Values,
};
use crate::network::{AppInput, ConnectionInfo, Delivery, Direction, FullMessage, P2pInput, PeerKind};

/// One line of a trace.
#[derive(Clone, Debug)]
pub struct Line {
    /// What is done.
    pub op: Value,
    /// What the recorded instance answered; a live node's recording has no answers.
    pub expect: Option<Value>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no JSON object of `op` and, perhaps, `expect`.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let line = serde_json::from_str(text).map_err(|error| Mistake::new("line", error))?;
        let mut fields = Fields::of("", line)?;
        let line = Self { op: fields.value("op")?, expect: fields.optional("expect")? };
        fields.end()?;
        Ok(line)
    }
}

/// An op, as the driver of one kind of trace sees it.
pub enum Step<V: Values, Op> {
    /// It changes the application, not the engine.
    Setting(Setting<V>),
    /// It goes to the engine.
    Op(Op),
}

/// The ops of one kind of trace.
pub trait Ops: Sized {
    /// The values they are made of.
    type Values: Values;

    /// The op of this name.
    #[doc(hidden)]
    fn read(name: &str, fields: OpFields) -> Result<Self, Mistake>;
}

/// The arguments of an op.
pub struct OpFields(Fields);

impl<V: Values, Op: Ops<Values = V>> Step<V, Op> {
    /// Reads an op.
    ///
    /// # Errors
    /// The mistake in it, with its field.
    pub fn parse(op: &Value) -> Result<Self, Mistake> {
        let mut fields = Fields::of("op", op.clone())?;
        let name: String = fields.take("op")?;
        match Setting::read(&name, &mut fields)? {
            Some(setting) => {
                fields.end()?;
                Ok(Self::Setting(setting))
            }
            None => Op::read(&name, OpFields(fields)).map(Self::Op),
        }
    }
}

impl<V: Values> Setting<V> {
    /// None if that is no setting.
    fn read(name: &str, fields: &mut Fields) -> Result<Option<Self>, Mistake> {
        Ok(Some(match name {
            "set_validity" => Self::SetValidity {
                message_id: fields.take("message_id")?,
                id: fields.optional("id")?,
                message: fields.optional("message")?,
                batch: fields.optional("batch")?,
            },
            "set_default_validity" => Self::SetDefaultValidity { validity: fields.take("validity")? },
            "set_peer_filter" => {
                Self::SetPeerFilter { peer: fields.take("peer")?, deny: fields.take("deny")? }
            }
            "set_batch_mode" => Self::SetBatchMode { mode: fields.take("mode")? },
            "set_initial_points" => Self::SetInitialPoints { points: fields.take("points")? },
            _ => return Ok(None),
        }))
    }
}

/// FORMAT.md, 4.
#[allow(missing_docs, reason = "the names are the ops' and their arguments'")]
pub enum AutomatonOp<V: Values> {
    Make { limits: Box<TraceLimits<V::Topic>> },
    CheckLimits { limits: Box<TraceLimits<V::Topic>> },
    AdvanceTime { span: Duration },
    View { detail: bool },
    AddPeer { peer: V::Peer, info: ConnectionInfo },
    RemovePeer { peer: V::Peer },
    Subscribe { peer: V::Peer, topic: V::Topic },
    Unsubscribe { peer: V::Peer, topic: V::Topic },
    Graft { peer: V::Peer, topic: V::Topic },
    Prune { peer: V::Peer, topic: V::Topic, px: Vec<V::Peer>, backoff: Duration },
    Ihave { peer: V::Peer, topic: V::Topic, message_ids: Vec<V::MessageId> },
    Iwant { peer: V::Peer, message_ids: Vec<V::MessageId> },
    ReceiveMessage(Reception<V>),
    ApplyBatch { batch: Vec<Delivery<TraceNetwork<V>>> },
    Publish(FullMessage<TraceNetwork<V>>),
    Join { topic: V::Topic },
    Leave { topic: V::Topic },
    Heartbeat,
    SetApplicationScore { peer: V::Peer, score: f64 },
    SelectPxPeers { peer_to_prune: V::Peer, topic: V::Topic, no_px_peers: Vec<V::Peer> },
    SelectGossipMessages,
}

/// A full message that a peer sends.
pub struct Reception<V: Values> {
    pub(super) sender: V::Peer,
    pub(super) full: Arc<FullMessage<TraceNetwork<V>>>,
    /// Whether it waits for the verdict on its batch.
    pub(super) batched: bool,
}

impl<V: Values> Ops for AutomatonOp<V> {
    type Values = V;

    fn read(name: &str, OpFields(mut f): OpFields) -> Result<Self, Mistake> {
        let op = match name {
            "make" => Self::Make { limits: limits(&mut f)? },
            "check_limits" => Self::CheckLimits { limits: limits(&mut f)? },
            "advance_time" => Self::AdvanceTime { span: f.span("ms")? },
            "view" => Self::View { detail: f.take("detail")? },
            "add_peer" => Self::AddPeer { peer: f.take("peer")?, info: connection_info(&mut f)? },
            "remove_peer" => Self::RemovePeer { peer: f.take("peer")? },
            "subscribe" => Self::Subscribe { peer: f.take("peer")?, topic: f.take("topic")? },
            "unsubscribe" => Self::Unsubscribe { peer: f.take("peer")?, topic: f.take("topic")? },
            "graft" => Self::Graft { peer: f.take("peer")?, topic: f.take("topic")? },
            "prune" => Self::Prune {
                peer: f.take("peer")?,
                topic: f.take("topic")?,
                px: f.take("px")?,
                backoff: f.span("backoff")?,
            },
            "ihave" => Self::Ihave {
                peer: f.take("peer")?,
                topic: f.take("topic")?,
                message_ids: f.take("message_ids")?,
            },
            "iwant" => Self::Iwant { peer: f.take("peer")?, message_ids: f.take("message_ids")? },
            "receive_message" => Self::ReceiveMessage(Reception {
                sender: f.take("sender")?,
                full: Arc::new(full_message::<V>(&mut f)?),
                batched: f.optional::<u64>("batch_interval")?.is_some(),
            }),
            "apply_batch" => {
                let entries = f.list("batch")?;
                Self::ApplyBatch { batch: entries.into_iter().map(delivery).collect::<Result<_, _>>()? }
            }
            "publish" => Self::Publish(full_message(&mut f)?),
            "join" => Self::Join { topic: f.take("topic")? },
            "leave" => Self::Leave { topic: f.take("topic")? },
            "heartbeat" => Self::Heartbeat,
            "set_application_score" => {
                Self::SetApplicationScore { peer: f.take("peer")?, score: f.take("score")? }
            }
            "select_px_peers" => Self::SelectPxPeers {
                peer_to_prune: f.take("peer_to_prune")?,
                topic: f.take("topic")?,
                no_px_peers: f.take("no_px_peers")?,
            },
            "select_gossip_messages" => Self::SelectGossipMessages,
            other => return Err(unknown(&f, "op", other)),
        };
        f.end()?;
        Ok(op)
    }
}

/// FORMAT.md, 5. The last three are ours.
#[allow(missing_docs, reason = "the names are the ops' and their arguments'")]
pub enum WorkerOp<V: Values> {
    Make(Make<V>),
    AdvanceTime {
        span: Duration,
    },
    View {
        detail: bool,
    },
    /// Whether a full queue drops it, and how often it comes. A new connection may name its peer's point.
    P2pInput {
        input: P2pInput<TraceNetwork<V>>,
        point: Option<V::Point>,
        bounded: bool,
        times: u64,
    },
    AppInput {
        input: AppInput<TraceNetwork<V>>,
    },
    Heartbeat {
        times: u64,
    },
    CheckUnknownMessages,
    MessageBurst {
        from_peer: V::Peer,
        messages: Vec<Arc<FullMessage<TraceNetwork<V>>>>,
    },
    SetUnreachablePoint {
        point: V::Point,
    },
    Hold,
    Release,
    Stats,
    IsSubscribed {
        topic: V::Topic,
    },
    ReconnectionDelays,
    InputQueueLength,
    /// Judge the pending batch now.
    ProcessBatch,
    /// The transport found a peer too slow.
    SlowPeer {
        peer: V::Peer,
    },
    /// So many inputs are missing here.
    Gap {
        lost: u64,
    },
}

/// The first line of a worker trace.
pub struct Make<V: Values> {
    /// What it runs with.
    pub limits: Box<TraceLimits<V::Topic>>,
    /// Its own peer.
    pub self_peer: Option<V::Peer>,
    /// What it joins at the start.
    pub topics: Vec<V::Topic>,
    /// Points to stay connected to.
    pub initial_points: Vec<V::Point>,
    /// How long a batch of messages is open; none if they are judged one by one.
    pub batching_interval: Option<Duration>,
    /// Beyond so many inputs, bounded ones are dropped.
    pub max_transport_input_queue_length: usize,
    /// Where random choices come from. A live node's recording has it.
    pub seed: Option<u64>,
    /// What recorded a live node, whose batches are judged where `process_batch` says so.
    pub recorded_by: Option<String>,
}

impl<V: Values> Ops for WorkerOp<V> {
    type Values = V;

    fn read(name: &str, OpFields(mut f): OpFields) -> Result<Self, Mistake> {
        let op = match name {
            "make" => Self::Make(make(&mut f)?),
            "advance_time" => Self::AdvanceTime { span: f.span("ms")? },
            "view" => Self::View { detail: f.take("detail")? },
            "p2p_input" | "bounded_p2p_input" => {
                let (input, point) = p2p_input::<V>(f.fields("input")?)?;
                let bounded = name == "bounded_p2p_input";
                let times = if bounded { f.optional("times")?.unwrap_or(1) } else { 1 };
                Self::P2pInput { input, point, bounded, times }
            }
            "app_input" => Self::AppInput { input: app_input::<V>(f.fields("input")?)? },
            "heartbeat" => Self::Heartbeat { times: f.optional("times")?.unwrap_or(1) },
            "check_unknown_messages" => Self::CheckUnknownMessages,
            "message_burst" => {
                Self::MessageBurst { from_peer: f.take("from_peer")?, messages: burst::<V>(&mut f)? }
            }
            "set_unreachable_point" => Self::SetUnreachablePoint { point: f.take("point")? },
            "hold" => Self::Hold,
            "release" => Self::Release,
            "stats" => Self::Stats,
            "is_subscribed" => Self::IsSubscribed { topic: f.take("topic")? },
            "reconnection_delays" => Self::ReconnectionDelays,
            "input_queue_length" => Self::InputQueueLength,
            "process_batch" => Self::ProcessBatch,
            "slow_peer" => Self::SlowPeer { peer: f.take("peer")? },
            "gap" => Self::Gap { lost: f.take("lost")? },
            other => return Err(unknown(&f, "op", other)),
        };
        f.end()?;
        Ok(op)
    }
}

fn make<V: Values>(f: &mut Fields) -> Result<Make<V>, Mistake> {
    let network: Option<String> = f.optional("network")?;
    if network.as_deref() != V::NETWORK {
        return Err(f.mistake("network", format!("is {network:?}, and not {:?}", V::NETWORK)));
    }
    let batching_interval: Option<Value> = f.optional("batching_interval")?;
    let span = |value: Value| {
        super::fields::to_span(&value)
            .ok_or_else(|| f.mistake("batching_interval", "no time in milliseconds"))
    };
    let batching_interval = batching_interval.map(span).transpose()?;
    Ok(Make {
        limits: limits(f)?,
        self_peer: f.optional("self")?,
        topics: f.take("topics")?,
        initial_points: f.take("initial_points")?,
        batching_interval,
        max_transport_input_queue_length: f.optional("max_transport_input_queue_length")?.unwrap_or(8192),
        seed: f.optional("seed")?,
        recorded_by: f.optional("recorded_by")?,
    })
}

fn limits<T>(f: &mut Fields) -> Result<Box<TraceLimits<T>>, Mistake>
where
    T: Ord + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    TraceLimits::read(f.fields("limits")?).map(Box::new)
}

fn connection_info(f: &mut Fields) -> Result<ConnectionInfo, Mistake> {
    let direction = Direction::outbound_if(f.take("outbound")?);
    let kind = PeerKind { direct: f.take("direct")?, trusted: false, bootstrap: f.take("bootstrap")? };
    Ok(ConnectionInfo::new(direction).kind(kind))
}

//! A line of a recording as serde types. They are apart from the engine's types, so that a change of those does not
//! change the files. A mistake in a line is reported with its path.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Number, Value, json};
use serde_path_to_error::Segment;

use super::{Recordable, limits};
use crate::{
    limits::{LimitsConfig, RuntimeLimits},
    network::{
        ConnectionInfo, FullMessage, Origin, P2pInput, P2pMessage, P2pOutput, PeerFeedback, PeerKind,
        hooks::Hooks,
    },
};

/// A mistake in a line of a recording, with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {path}: {problem}")]
pub struct Mistake {
    /// The number of the line, from 1.
    pub line: usize,
    /// The column of text that is not JSON; else a path from the start of the line: `op.input.peer`.
    pub path: String,
    /// The problem there, and the expected value.
    pub problem: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<T> {
    op: T,
}

/// The operation of a line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, bound = "")]
pub(super) enum Op<N: Recordable> {
    Make(Box<Make<N>>),
    AdvanceTime { ms: Milliseconds },
    P2pInput { input: PeerInput<N> },
    AppInput { input: AppInput<N> },
    Heartbeat {},
    CheckUnknownMessages {},
    ProcessBatch {},
    SetUnreachablePoint { point: N::Point },
    RestoreBackoffs { backoffs: Vec<Backoff<N>> },
    SetLimits { values: Box<RuntimeLimits<N::Topic>> },
    SetDirect { peer: N::Peer, direct: bool },
    Block { peer: N::Peer, ms: Milliseconds },
    Unblock { peer: N::Peer },
    SlowPeer { peer: N::Peer },
    ProtocolViolation { peer: N::Peer },
    PeerFeedback { peer: N::Peer, topic: N::Topic, feedback: PeerFeedback },
    Gap { lost: u64 },
}

/// How the engine was started.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub(super) struct Make<N: Recordable> {
    pub(super) limits: LimitsConfig<N::Topic>,
    pub(super) network: String,
    pub(super) recorded_by: String,
    pub(super) seed: u64,
    #[serde(rename = "self")]
    pub(super) self_peer: Option<N::Peer>,
    pub(super) topics: Vec<N::Topic>,
    pub(super) initial_points: Vec<N::Point>,
    pub(super) batching_interval: Option<Milliseconds>,
}

/// A backoff that a former process left.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub(super) struct Backoff<N: Recordable> {
    pub(super) topic: N::Topic,
    pub(super) peer: N::Peer,
    pub(super) ms: Milliseconds,
}

/// An input of the p2p layer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, bound = "")]
pub(super) enum PeerInput<N: Recordable> {
    NewConnection(Connection<N>),
    Disconnection { peer: N::Peer },
    RemoteAddresses { peer: N::Peer, addresses: Vec<IpAddr> },
    FurtherConnection { peer: N::Peer },
    InMessage { from_peer: N::Peer, p2p_message: PeerMessage<N> },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub(super) struct Connection<N: Recordable> {
    pub(super) peer: N::Peer,
    pub(super) direct: bool,
    pub(super) outbound: Option<bool>,
    pub(super) trusted: bool,
    pub(super) bootstrap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) point: Option<N::Point>,
    /// The peer's address, for P6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) floodsub: bool,
}

/// A message of a peer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields, bound = "")]
pub(super) enum PeerMessage<N: Recordable> {
    Graft { topic: N::Topic },
    Prune { topic: N::Topic, px: Vec<N::Peer>, backoff: Milliseconds },
    IHave { topic: N::Topic, message_ids: Vec<N::MessageId> },
    IWant { message_ids: Vec<N::MessageId> },
    IDontWant { message_ids: Vec<N::MessageId> },
    Subscribe { topic: N::Topic },
    Unsubscribe { topic: N::Topic },
    Message(Arc<FullMessage<N>>),
    Ping {},
}

/// An input of the application.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, bound = "")]
pub(super) enum AppInput<N: Recordable> {
    PublishMessage(Arc<FullMessage<N>>),
    PublishToAtLeast { min_peers: usize, message: Arc<FullMessage<N>> },
    Join { topic: N::Topic },
    Leave { topic: N::Topic },
    Relay { topic: N::Topic },
    StopRelay { topic: N::Topic },
    SetApplicationScore { peer: N::Peer, score: f64 },
}

impl<N: Recordable> PeerInput<N> {
    /// `network` knows where the peer of a new connection is reached.
    pub(super) fn new(input: P2pInput<N>, network: &Hooks<N>) -> Self {
        match input {
            P2pInput::InMessage { from_peer, message } => {
                Self::InMessage { from_peer, p2p_message: message.into() }
            }
            P2pInput::NewConnection { peer, info } => {
                let PeerKind { direct, trusted, bootstrap } = info.kind;
                let (point, outbound) = (network.reachable_point(&peer), Some(info.direction.is_outbound()));
                let ConnectionInfo { remote_address: address, floodsub, .. } = info;
                Self::NewConnection(Connection {
                    peer,
                    direct,
                    outbound,
                    trusted,
                    bootstrap,
                    point,
                    address,
                    floodsub,
                })
            }
            P2pInput::Disconnection { peer } => Self::Disconnection { peer },
            P2pInput::RemoteAddresses { peer, addresses } => Self::RemoteAddresses { peer, addresses },
            P2pInput::FurtherConnection { peer } => Self::FurtherConnection { peer },
        }
    }
}

impl<N: Recordable> From<P2pMessage<N>> for PeerMessage<N> {
    fn from(message: P2pMessage<N>) -> Self {
        match message {
            P2pMessage::Graft { topic } => Self::Graft { topic },
            P2pMessage::Prune { topic, px, backoff } => {
                let px = px.into_iter().map(|px| px.peer).collect();
                Self::Prune { topic, px, backoff: Milliseconds(backoff) }
            }
            P2pMessage::IHave { topic, message_ids } => Self::IHave { topic, message_ids },
            P2pMessage::IWant { message_ids } => Self::IWant { message_ids },
            P2pMessage::IDontWant { message_ids } => Self::IDontWant { message_ids },
            P2pMessage::Subscribe { topic, .. } => Self::Subscribe { topic },
            P2pMessage::Unsubscribe { topic } => Self::Unsubscribe { topic },
            P2pMessage::FullMessage(full) => Self::Message(full),
            P2pMessage::Ping => Self::Ping {},
        }
    }
}

/// The enums of a line, from the outside in: the field that holds one, and the key of the variant's name in the file.
const ENUMS: [(&str, &str); 3] = [("op", "op"), ("input", "type"), ("p2p_message", "type")];

/// The line of an op.
pub(super) fn write<N: Recordable>(op: &Op<N>) -> serde_json::Result<Value> {
    let mut line = serde_json::to_value(Line { op })?;
    tag(&mut line, &ENUMS);
    line["op"].get_mut("limits").map(limits::into_recorded);
    Ok(line)
}

/// The op of a line, also as it is written there.
pub(super) fn read<N: Recordable>(text: &str, number: usize) -> Result<(Op<N>, Value), Mistake> {
    let mut line: Value = serde_json::from_str(text).map_err(|error| {
        let at = format!(" at line {} column {}", error.line(), error.column());
        Mistake::new(number, format!("column {}", error.column()), error.to_string().replace(&at, ""))
    })?;
    let written = line["op"].clone();
    untag(&mut line).map_err(|path| Mistake::new(number, path, "a name is expected"))?;
    line.pointer_mut("/op/make/limits").map(limits::from_recorded);
    match serde_path_to_error::deserialize(line) {
        Ok(Line { op }) => Ok((op, written)),
        Err(error) => Err(Mistake::new(number, path_in_file(error.path()), error.inner())),
    }
}

impl Mistake {
    pub(super) fn new(line: usize, path: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { line, path: path.into(), problem: problem.to_string() }
    }
}

/// Rewrites each enum of `object` from `{NAME: {..fields}}` to `{tag: NAME, ..fields}`. serde's attribute `tag` does
/// the same, but after it an error does not know its path.
fn tag(mut object: &mut Value, enums: &[(&str, &str)]) {
    for (field, tag) in enums {
        let Some(variant) = object.get_mut(field) else { return };
        if let Value::Object(entries) = variant.take()
            && let Some((name, mut fields)) = entries.into_iter().next()
        {
            fields[tag] = name.into();
            *variant = fields;
        }
        object = variant;
    }
}

/// The reverse of [`tag`]. An error is the path at which a name is missing.
fn untag(mut object: &mut Value) -> Result<(), String> {
    let mut path = String::new();
    for (field, tag) in ENUMS {
        let Some(variant) = object.get_mut(field) else { break };
        path = format!("{path}{field}.");
        let Some(Value::String(name)) = variant.get_mut(tag).map(Value::take) else {
            return Err(path + tag);
        };
        variant.as_object_mut().map(|fields| fields.remove(tag));
        *variant = json!({ &name: variant.take() });
        object = &mut variant[name];
    }
    Ok(())
}

/// A path in the file, which has no level of its own for a variant.
fn path_in_file(path: &serde_path_to_error::Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("[{index}]"),
        Segment::Map { key } => format!(".{key}"),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    let path = "line".to_owned() + &path.iter().map(step).collect::<String>();
    path.replacen("line.op.limits.score.", "line.op.limits.score_limits.", 1).replacen("line.", "", 1)
}

/// An output to the p2p layer (tests/traces/FORMAT.md, section 5).
pub(super) fn output<N: Recordable>(output: P2pOutput<N>) -> Value {
    match output {
        P2pOutput::OutMessage { to_peer, message } => {
            let message = PeerMessage::from(message);
            let mut output = json!({ "type": "out_message", "to_peer": to_peer, "p2p_message": message });
            tag(&mut output, &ENUMS[2..]);
            output
        }
        P2pOutput::Disconnect { peer } => json!({ "type": "disconnect", "peer": peer }),
        P2pOutput::Kick { peer, duration } => {
            json!({ "type": "kick", "peer": peer, "duration": Milliseconds(duration) })
        }
        P2pOutput::Unblock { peer } => json!({ "type": "unblock", "peer": peer }),
        P2pOutput::Connect { peer, origin, .. } => {
            let px = match origin {
                Origin::Px(from) => json!({ "px": from }),
                Origin::Trusted => json!("trusted"),
                Origin::Direct => json!("direct"),
            };
            json!({ "type": "connect", "peer": peer, "origin": px })
        }
        P2pOutput::ConnectPoint { point } => json!({ "type": "connect_point", "point": point }),
        P2pOutput::Forget { peer, origin } => json!({ "type": "forget", "peer": peer, "origin": origin }),
    }
}

/// A span in milliseconds: an integer, or a fraction that is exact to the nanosecond for a hundred days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Milliseconds(pub(super) Duration);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = self.0.as_nanos();
        match nanos % 1_000_000 {
            0 => serializer.serialize_u64(self.0.as_millis() as u64),
            _ => serializer.serialize_f64(nanos as f64 / 1e6),
        }
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        if let Some(whole) = number.as_u64() {
            return Ok(Self(Duration::from_millis(whole)));
        }
        let fraction = number.as_f64().filter(|ms| (0.0..1e12).contains(ms));
        let ms =
            fraction.ok_or_else(|| D::Error::custom(format!("{number} is not a number of milliseconds")))?;
        // Rounded to whole nanoseconds: the writer had no finer ones.
        Ok(Self(Duration::from_nanos((ms * 1e6).round() as u64)))
    }
}

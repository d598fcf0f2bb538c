//! The entries of an RPC, borrowed from the frame, and their decoders. Lists are passed on one by one, so that a check
//! alone stores nothing.

use std::str;

use super::{
    encode::Kind,
    limits::WireLimits,
    protobuf::{ProtoReader, Value, field},
};

/// An entry of an RPC.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Subscription(Subscription<'a>),
    Message(RawMessage<'a>),
    IHave(IHave<'a>),
    IWant(Vec<&'a [u8]>),
    Graft(&'a str),
    Prune(Prune<'a>),
    IDontWant(Vec<&'a [u8]>),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription<'a> {
    pub(super) subscribe: bool,
    pub(super) topic: &'a str,
}

/// The fields of a message. `None` is an absent field; a signature distinguishes it from an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::libp2p) struct RawMessage<'a> {
    pub(in crate::libp2p) from: Option<&'a [u8]>,
    pub(in crate::libp2p) data: Option<&'a [u8]>,
    pub(in crate::libp2p) seqno: Option<&'a [u8]>,
    pub(in crate::libp2p) topic: &'a str,
    pub(in crate::libp2p) signature: Option<&'a [u8]>,
    pub(in crate::libp2p) key: Option<&'a [u8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct IHave<'a> {
    pub(super) topic: &'a str,
    pub(super) ids: Vec<&'a [u8]>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prune<'a> {
    pub(super) topic: &'a str,
    pub(super) px: Vec<PeerInfo<'a>>,
    /// In seconds; absent from v1.0 peers.
    pub(super) backoff: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeerInfo<'a> {
    pub(super) peer: &'a [u8],
    pub(super) record: Option<&'a [u8]>,
}

/// Why a frame is not an acceptable RPC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The frame is not protobuf.
    #[error("malformed protobuf")]
    Malformed,
    /// A topic name is not UTF-8.
    #[error("a topic is not UTF-8")]
    TopicNotText,
    /// A value is longer than [`WireLimits`] allows.
    #[error("a {what} of {length} bytes exceeds the limit of {max}")]
    TooLong {
        /// The kind of value.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl Entry<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Subscription(_) => Kind::Subscription,
            Self::Message(_) => Kind::Message,
            Self::IHave(_) => Kind::IHave,
            Self::IWant(_) => Kind::IWant,
            Self::Graft(_) => Kind::Graft,
            Self::Prune(_) => Kind::Prune,
            Self::IDontWant(_) => Kind::IDontWant,
        }
    }
}

pub(super) fn subscription<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<Subscription<'a>, RpcError> {
    let mut entry = Subscription::default();
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::sub_opts::SUBSCRIBE, Value::Varint(flag)) => entry.subscribe = flag != 0,
            (field::sub_opts::TOPIC_ID, Value::Bytes(name)) => entry.topic = topic(name, limits)?,
            _ => {}
        }
    }
    Ok(entry)
}

pub(super) fn message<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<RawMessage<'a>, RpcError> {
    let mut message = RawMessage::default();
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::message::FROM, Value::Bytes(bytes)) => message.from = Some(bytes),
            (field::message::DATA, Value::Bytes(bytes)) => message.data = Some(bytes),
            (field::message::SEQNO, Value::Bytes(bytes)) => message.seqno = Some(bytes),
            (field::message::TOPIC, Value::Bytes(name)) => message.topic = topic(name, limits)?,
            (field::message::SIGNATURE, Value::Bytes(bytes)) => message.signature = Some(bytes),
            (field::message::KEY, Value::Bytes(bytes)) => message.key = Some(bytes),
            _ => {}
        }
    }
    Ok(message)
}

/// Returns the topic of an IHAVE, and calls `each` for each of its ids.
pub(super) fn ihave<'a>(
    bytes: &'a [u8],
    limits: &WireLimits,
    mut each: impl FnMut(&'a [u8]),
) -> Result<&'a str, RpcError> {
    let mut name = "";
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::TOPIC_ID, Value::Bytes(bytes)) => name = topic(bytes, limits)?,
            (field::ihave::MESSAGE_IDS, Value::Bytes(id)) => each(message_id(id, limits)?),
            _ => {}
        }
    }
    Ok(name)
}

/// Calls `each` for each id of an IWANT or an IDONTWANT.
pub(super) fn id_list<'a>(
    bytes: &'a [u8],
    limits: &WireLimits,
    mut each: impl FnMut(&'a [u8]),
) -> Result<(), RpcError> {
    for field in ProtoReader::new(bytes) {
        if let (field::id_list::MESSAGE_IDS, Value::Bytes(id)) = field? {
            each(message_id(id, limits)?);
        }
    }
    Ok(())
}

pub(super) fn graft<'a>(bytes: &'a [u8], limits: &WireLimits) -> Result<&'a str, RpcError> {
    let mut name = "";
    for field in ProtoReader::new(bytes) {
        if let (field::TOPIC_ID, Value::Bytes(bytes)) = field? {
            name = topic(bytes, limits)?;
        }
    }
    Ok(name)
}

/// Returns the topic and the backoff of a PRUNE, and calls `each` for each of its peers.
pub(super) fn prune<'a>(
    bytes: &'a [u8],
    limits: &WireLimits,
    mut each: impl FnMut(PeerInfo<'a>),
) -> Result<(&'a str, Option<u64>), RpcError> {
    let (mut name, mut backoff) = ("", None);
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::TOPIC_ID, Value::Bytes(bytes)) => name = topic(bytes, limits)?,
            (field::prune::PEERS, Value::Bytes(info)) => each(peer_info(info)?),
            (field::prune::BACKOFF, Value::Varint(seconds)) => backoff = Some(seconds),
            _ => {}
        }
    }
    Ok((name, backoff))
}

fn peer_info(bytes: &[u8]) -> Result<PeerInfo<'_>, RpcError> {
    let mut info = PeerInfo::default();
    for field in ProtoReader::new(bytes) {
        match field? {
            (field::peer_info::PEER_ID, Value::Bytes(peer)) => info.peer = peer,
            (field::peer_info::SIGNED_PEER_RECORD, Value::Bytes(record)) => info.record = Some(record),
            _ => {}
        }
    }
    Ok(info)
}

fn topic<'a>(name: &'a [u8], limits: &WireLimits) -> Result<&'a str, RpcError> {
    check_length("topic", name, limits.max_topic_length)?;
    str::from_utf8(name).map_err(|_| RpcError::TopicNotText)
}

pub(super) fn message_id<'a>(id: &'a [u8], limits: &WireLimits) -> Result<&'a [u8], RpcError> {
    check_length("message id", id, limits.max_id_length)?;
    Ok(id)
}

fn check_length(what: &'static str, bytes: &[u8], max: usize) -> Result<(), RpcError> {
    let length = bytes.len();
    if length <= max { Ok(()) } else { Err(RpcError::TooLong { what, length, max }) }
}

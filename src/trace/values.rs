//! Whose peers, topics and messages a trace speaks of: the reference's recordings, a [`PlainNetwork`](crate::plain)'s,
//! or libp2p's. Types only; decides nothing.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    network::{Key, Network, Validity},
    plain::PlainId,
};

/// A network whose inputs can be written to a trace and read from one.
pub trait Traced:
    Network<
        Peer: Serialize + DeserializeOwned,
        Topic: Serialize + DeserializeOwned,
        MessageId: Serialize + DeserializeOwned,
        Message: Serialize + DeserializeOwned,
        Point: Serialize + DeserializeOwned,
    >
{
}

impl<N> Traced for N where
    N: Network<
            Peer: Serialize + DeserializeOwned,
            Topic: Serialize + DeserializeOwned,
            MessageId: Serialize + DeserializeOwned,
            Message: Serialize + DeserializeOwned,
            Point: Serialize + DeserializeOwned,
        >
{
}

/// The types of a recorded network, and what follows from a value alone.
pub trait Values: fmt::Debug + Send + Sync + 'static {
    /// A peer. In JSON it is a number or a string, as it is the key of maps.
    type Peer: Key + Serialize + DeserializeOwned;
    /// A topic. In JSON it is a string.
    type Topic: Key + Serialize + DeserializeOwned;
    /// The id of a message.
    type MessageId: Key + Serialize + DeserializeOwned;
    /// The content of a message.
    type Message: Clone + Ord + fmt::Debug + Send + Sync + Unpin + Serialize + DeserializeOwned + 'static;
    /// A network address.
    type Point: Key + Serialize + DeserializeOwned;

    /// What the first line of a trace calls this network; the reference's traces call it nothing.
    const NETWORK: Option<&'static str>;

    /// As [`Network::topic_of`].
    fn topic_of(id: &Self::MessageId) -> Option<Self::Topic>;

    /// The verdict that the network itself gives, whatever the application says.
    fn verdict(message: &Self::Message) -> Option<Validity> {
        let _ = message;
        None
    }

    /// A peer's point, where the trace names none.
    fn reachable_point(peer: &Self::Peer) -> Option<Self::Point> {
        let _ = peer;
        None
    }

    /// As [`Network::message_size`].
    fn message_size(message: &Self::Message) -> usize {
        size_of_val(message)
    }

    /// As [`Network::message_id_size`].
    fn message_id_size(id: &Self::MessageId) -> usize {
        size_of_val(id)
    }
}

/// The reference's recordings (tests/traces): integer peers, ids that are numbers of a topic.
#[derive(Debug)]
pub struct Reference;

/// `["t0", 12]` in JSON; ordered by number first, then by topic (FORMAT.md, 1): hence the field order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "(Arc<str>, i64)", into = "(Arc<str>, i64)")]
pub struct ReferenceId {
    /// Its number within the topic.
    pub number: i64,
    /// Its topic.
    pub topic: Arc<str>,
}

impl From<(Arc<str>, i64)> for ReferenceId {
    fn from((topic, number): (Arc<str>, i64)) -> Self {
        Self { number, topic }
    }
}

impl From<ReferenceId> for (Arc<str>, i64) {
    fn from(id: ReferenceId) -> Self {
        (id.topic, id.number)
    }
}

impl Values for Reference {
    type Peer = i64;
    type Topic = Arc<str>;
    type MessageId = ReferenceId;
    type Message = Arc<str>;
    type Point = i64;

    const NETWORK: Option<&'static str> = None;

    fn topic_of(id: &ReferenceId) -> Option<Arc<str>> {
        Some(Arc::clone(&id.topic))
    }

    fn reachable_point(peer: &i64) -> Option<i64> {
        Some(peer + 1000)
    }
}

/// A [`PlainNetwork`](crate::plain::PlainNetwork)'s.
#[derive(Debug)]
pub struct Plain;

impl Values for Plain {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    const NETWORK: Option<&'static str> = Some("plain");

    fn topic_of(id: &PlainId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn message_size(message: &String) -> usize {
        message.len()
    }
}

/// Those of real peers: ids in the form that libp2p prints, bytes in hexadecimal.
#[cfg(feature = "libp2p")]
#[derive(Debug)]
pub struct Libp2p;

#[cfg(feature = "libp2p")]
impl Values for Libp2p {
    type Peer = ::libp2p::PeerId;
    type Topic = crate::libp2p::TopicName;
    type MessageId = crate::libp2p::MessageId;
    type Message = crate::libp2p::Message;
    type Point = ::libp2p::Multiaddr;

    const NETWORK: Option<&'static str> = Some("libp2p");

    fn topic_of(_: &Self::MessageId) -> Option<Self::Topic> {
        None
    }

    fn verdict(message: &Self::Message) -> Option<Validity> {
        message.signature_error().map(crate::libp2p::SignatureError::validity)
    }

    fn message_size(message: &Self::Message) -> usize {
        size_of::<Self::Message>() + message.size()
    }

    fn message_id_size(id: &Self::MessageId) -> usize {
        size_of::<Self::MessageId>() + id.as_bytes().len()
    }
}

//! The data transform: an encoding of the application between its messages and those on the wire.

#[cfg(feature = "snappy")]
pub(super) mod snappy;

use std::{fmt, io, sync::Arc};

use ::libp2p::PeerId;

use super::{ids::TopicName, message::Message as WireMessage};

/// A transform that all threads share.
pub(super) type Transform = Arc<dyn DataTransform + Send + Sync>;

/// A message, with its content after the [transform](DataTransform).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// The peer that published the message; `None` if it is anonymous.
    pub source: Option<PeerId>,
    /// The content. A copy: the engine keeps the message as it was received, to forward it.
    pub data: Vec<u8>,
    /// The sequence number that the source gave it; `None` if it is anonymous.
    pub sequence_number: Option<u64>,
    /// The topic on which it was published.
    pub topic: TopicName,
}

impl Message {
    pub(super) fn from_wire(topic: &TopicName, message: &WireMessage) -> Self {
        Self {
            source: message.source().copied(),
            data: message.data().to_vec(),
            sequence_number: message.seqno(),
            topic: topic.clone(),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("source", &self.source)
            .field("length", &self.data.len())
            .field("sequence_number", &self.sequence_number)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RawMessage {
    /// The peer that published it.
    pub source: Option<PeerId>,
    /// The content on the wire.
    pub data: Vec<u8>,
    /// The sequence number that the source gave it.
    pub sequence_number: Option<u64>,
    /// The topic.
    pub topic: TopicName,
}

/// An encoding of the application, such as a compression. The two functions are inverse to each other.
pub trait DataTransform {
    /// Decodes a received message. It is called for its id, for its validation and for its delivery, on several threads.
    ///
    /// # Errors
    /// The content can't be decoded: the message is invalid (P4).
    fn inbound_transform(&self, raw_message: RawMessage) -> Result<Message, io::Error>;

    /// Encodes the content of a message of ours.
    ///
    /// # Errors
    /// The message is not published.
    fn outbound_transform(&self, topic: &TopicName, data: Vec<u8>) -> Result<Vec<u8>, io::Error>;
}

/// The transform that changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityTransform;

impl DataTransform for IdentityTransform {
    fn inbound_transform(&self, raw_message: RawMessage) -> Result<Message, io::Error> {
        Ok(raw_message.into())
    }

    fn outbound_transform(&self, _: &TopicName, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

impl From<Message> for RawMessage {
    fn from(Message { source, data, sequence_number, topic }: Message) -> Self {
        Self { source, data, sequence_number, topic }
    }
}

impl From<RawMessage> for Message {
    fn from(RawMessage { source, data, sequence_number, topic }: RawMessage) -> Self {
        Self { source, data, sequence_number, topic }
    }
}

/// A received message as the application sees it.
///
/// # Errors
/// The transform can't decode it.
pub(super) fn decode(transform: Option<&Transform>, message: Message) -> io::Result<Message> {
    match transform {
        Some(transform) => transform.inbound_transform(message.into()),
        None => Ok(message),
    }
}

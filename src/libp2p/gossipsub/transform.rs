//! The data transform: an encoding of the application between its messages and those on the wire.

use std::io;

use ::libp2p::PeerId;

use super::{message::Message, topic::TopicHash};

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
    pub topic: TopicHash,
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
    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error>;
}

/// The transform that changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityTransform;

impl DataTransform for IdentityTransform {
    fn inbound_transform(&self, raw_message: RawMessage) -> Result<Message, io::Error> {
        Ok(raw_message.into())
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
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

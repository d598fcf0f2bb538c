//! Topic names and message ids. A clone shares the bytes; the codec checks the lengths.

use std::{fmt, sync::Arc};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use unsigned_varint::encode;

/// The name of a topic, as it is written on the wire.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// Creates a topic name. Its length is checked when it is published to or sent
    /// ([`max_topic_length`](super::WireLimits::max_topic_length)): peers never learn of a topic with a longer name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The topic whose name on the wire is the base64 of a SHA-256 of `name`: `Sha256Topic` of rust-libp2p's gossipsub. Peers
    /// learn that it exists and not what it is called.
    pub fn sha256(name: &str) -> Self {
        // The hashed value is a TopicDescriptor of the first pubsub protocols: a protobuf message whose field 1 is the name.
        let mut length = encode::usize_buffer();
        let descriptor = [&[1 << 3 | 2], encode::usize(name.len(), &mut length), name.as_bytes()].concat();
        Self::new(BASE64_STANDARD.encode(Sha256::digest(descriptor)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for TopicName {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The id of a message: any bytes. `Display`, `Debug` and serde write it in hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Arc<[u8]>);

impl MessageId {
    /// Creates an id of these bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes that an id takes on the heap besides its own: the counts of its clones, and what the allocator adds.
    pub(super) const HEADER: usize = 32;

    /// The bytes of the id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for MessageId {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for MessageId {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_printed_in_hexadecimal() {
        let id = MessageId::new(vec![0, 0xab, 7]);
        assert_eq!(id.to_string(), "00ab07");
        assert_eq!(format!("{id:?}"), "00ab07");
    }

    #[test]
    fn hashed_topics_are_those_of_the_official_implementation() {
        for name in ["", "news", "/eth2/8c9f62fe/beacon_block/ssz_snappy", &"long ".repeat(100)] {
            let theirs = ::libp2p::gossipsub::Sha256Topic::new(name).hash().into_string();
            assert_eq!(TopicName::sha256(name).as_str(), theirs);
        }
        assert_eq!(TopicName::sha256("news").as_str().len(), 44);
    }

    #[test]
    fn topics_keep_their_name() {
        let topic = TopicName::from("news");
        assert_eq!(topic.as_str(), "news");
        assert_eq!(format!("{topic} {topic:?}"), "news \"news\"");
    }
}

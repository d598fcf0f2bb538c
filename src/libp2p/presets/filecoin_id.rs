//! The message ids of Filecoin.

use blake2::{Blake2b, Digest, digest::consts::U32};

use crate::libp2p::{
    ids::{MessageId, TopicName},
    message::Message as WireMessage,
    transform::Message,
};

/// The topics of the fast finality of Filecoin (F3) begin with this.
const FAST_FINALITY: &str = "/f3/";

/// The message id of Filecoin, for [`raw_message_id_fn`](crate::libp2p::gossipsub::ConfigBuilder::raw_message_id_fn): the BLAKE2b-256 of the data,
/// as in Lotus. On the topics of its fast finality (F3), which begin with `/f3/`, the length of the topic in 4 big-endian
/// bytes and the topic are hashed before the data, as in go-f3.
pub fn filecoin_message_id(topic: &TopicName, raw: &WireMessage, _: Option<&Message>) -> MessageId {
    let topic = topic.as_str();
    let mut hash = Blake2b::<U32>::new();
    if topic.starts_with(FAST_FINALITY) {
        // A topic has at most some KiB.
        hash.update((topic.len() as u32).to_be_bytes());
        hash.update(topic);
    }
    hash.update(raw.data());
    hash.finalize()[..].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::message::Content;

    /// Computed with Python: `hashlib.blake2b(prefix + b'abc', digest_size=32).hexdigest()`, where `prefix` is empty or
    /// `struct.pack('>I', len(topic)) + topic`.
    #[test]
    fn ids_are_those_of_lotus_and_of_fast_finality() {
        for (topic, expected) in [
            ("/fil/blocks/testnetnet", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
            (
                "/f3/granite/0.0.3/filecoin",
                "5e3baa7622249a9f16ffe36998a2bcd217f85f5871bf82f3ba16afc4d7eedc24",
            ),
        ] {
            let message = WireMessage::new(Content { data: Some(b"abc"[..].into()), ..Content::default() });
            let id = filecoin_message_id(&topic.into(), &message, None);
            assert_eq!(hex::encode(id.as_bytes()), expected, "{topic}");
        }
    }
}

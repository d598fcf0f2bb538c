//! The message id of Ethereum's consensus layer.

use sha2::{Digest, Sha256};

use crate::libp2p::{
    ids::{MessageId, TopicName},
    message::Message as WireMessage,
    transform::Message,
};

/// The first bytes that are hashed; named as in the specification of Ethereum's p2p interface.
const MESSAGE_DOMAIN_INVALID_SNAPPY: [u8; 4] = [0, 0, 0, 0];
const MESSAGE_DOMAIN_VALID_SNAPPY: [u8; 4] = [1, 0, 0, 0];

/// The bytes of an id.
const ID_LENGTH: usize = 20;

/// The message id of Ethereum's consensus layer since Altair, for
/// [`raw_message_id_fn`](crate::libp2p::gossipsub::ConfigBuilder::raw_message_id_fn): the first 20 bytes of the SHA-256 of a domain, the length
/// of the topic in 8 little-endian bytes, the topic, and the decompressed content; for a message that can't be decompressed
/// another domain and the bytes as they were received.
///
/// The transform is to be that of snappy blocks with the network's largest payload (`SnappyTransform` of the feature
/// `snappy`). Topics of Phase 0, before Altair, had ids without the length and the topic; no network uses them any more.
pub fn ethereum_message_id(topic: &TopicName, raw: &WireMessage, decoded: Option<&Message>) -> MessageId {
    let (domain, content) = match decoded {
        Some(message) => (MESSAGE_DOMAIN_VALID_SNAPPY, &message.data[..]),
        None => (MESSAGE_DOMAIN_INVALID_SNAPPY, raw.data()),
    };
    let topic = topic.as_str().as_bytes();
    let mut hash = Sha256::new();
    hash.update(domain);
    hash.update((topic.len() as u64).to_le_bytes());
    hash.update(topic);
    hash.update(content);
    hash.finalize()[..ID_LENGTH].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::message::Content;

    const TOPIC: &str = "/eth2/8c9f62fe/beacon_block/ssz_snappy";

    fn id(raw: &[u8], decoded: Option<&[u8]>) -> MessageId {
        let content = Content { data: Some(raw.into()), ..Content::default() };
        let decoded = decoded.map(|data| Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: TOPIC.into(),
        });
        ethereum_message_id(&TOPIC.into(), &WireMessage::new(content), decoded.as_ref())
    }

    /// Computed with Python: `hashlib.sha256(domain + struct.pack('<Q', len(topic)) + topic + data).digest()[:20].hex()`.
    #[test]
    fn ids_are_those_of_the_specification_of_ethereum() {
        for (raw, decoded, expected) in [
            (&b"\x03\x08abc"[..], Some(&b"abc"[..]), "346db108233adf907fb5f471399be74446ac9996"),
            (b"abc", None, "0df5a03b8a4be5f7df132a7cf50f582b2956ec52"),
            (b"\x03\x08abc", None, "1d2bd02b5ce3689ca0df0f3d6bc2f5a1c9fa23e0"),
        ] {
            assert_eq!(hex::encode(id(raw, decoded).as_bytes()), expected, "{raw:?}");
        }
    }
}

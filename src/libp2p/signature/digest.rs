//! The digest of a received message: the id of a message that breaks the signature policy.

use sha2::{Digest, Sha256};

use crate::libp2p::{codec::entry::RawMessage, ids::MessageId};

/// The digest of all fields of a message, as its id. It covers every field, its presence and its length. The prefix keeps
/// these ids apart from others that are SHA-256 digests.
pub(in crate::libp2p) fn digest(raw: &RawMessage<'_>) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(b"actix-gossipsub: a message and its signature");
    let fields = [raw.from, raw.data, raw.seqno, Some(raw.topic.as_bytes()), raw.signature, raw.key];
    for field in fields {
        let length = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(field.unwrap_or_default());
    }
    hash.finalize().as_slice().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_fields_differ_and_so_do_borders_between_fields() {
        let raw = RawMessage::default();
        let all = [
            digest(&raw),
            digest(&RawMessage { data: Some(b""), ..raw }),
            digest(&RawMessage { data: Some(b"ab"), ..raw }),
            digest(&RawMessage { data: Some(b"a"), seqno: Some(b"b"), ..raw }),
        ];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 4);
    }
}

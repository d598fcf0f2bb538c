//! The default message id. Two messages have the same one only if one is a copy of the other: else anyone could send a
//! message with the id of another before it, and the other would be dropped as a duplicate.

use sha2::{Digest, Sha256};

use crate::libp2p::{
    ids::{MessageId, TopicName},
    message::Message,
    signature::validation::ValidationMode,
};

/// The id of a message in a network that accepts messages by `mode`.
///
/// That of a signed message is the default of the pubsub specification: source and sequence number. rust-, js- and py-libp2p
/// have to be configured to use it. Only the source can sign them. If nobody signed them, the id follows from the content.
pub(in crate::libp2p) fn default_message_id(
    mode: ValidationMode,
    topic: &TopicName,
    message: &Message,
) -> MessageId {
    match (message.source(), message.seqno()) {
        (Some(source), Some(seqno)) if message.is_verified() => {
            let mut id = source.to_bytes();
            id.extend_from_slice(&seqno.to_be_bytes());
            id.into()
        }
        (None, None) => payload(message),
        // rust-libp2p forwards such messages without source and sequence number.
        _ if mode == ValidationMode::None => payload(message),
        _ => content_digest(b"actix-gossipsub: a message without a signature", topic, message),
    }
}

/// The digest of a message without its signature. No message has the same one under another prefix, none of which is the
/// beginning of another.
pub(in crate::libp2p) fn content_digest(prefix: &[u8], topic: &TopicName, message: &Message) -> MessageId {
    let source = message.source().map(|source| source.to_bytes());
    let seqno = message.seqno().map(u64::to_be_bytes);
    let mut hash = Sha256::new();
    hash.update(prefix);
    for field in [source.as_deref(), seqno.as_ref().map(|seqno| &seqno[..]), Some(topic.as_str().as_bytes())]
    {
        hash.update(field.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
        hash.update(field.unwrap_or_default());
    }
    hash.update(message.data());
    hash.finalize().as_slice().into()
}

fn payload(message: &Message) -> MessageId {
    Sha256::digest(message.data()).as_slice().into()
}

#[cfg(test)]
mod tests {
    use ::libp2p::{PeerId, identity::Keypair};

    use super::*;
    use crate::{
        libp2p::{Libp2pNetwork, MessageAuthenticity, SignaturePolicy, message::Content},
        network::Network,
    };

    fn id(mode: ValidationMode, content: &Content) -> MessageId {
        default_message_id(mode, &"t".into(), &Message::new(content.clone()))
    }

    #[test]
    fn only_a_verified_source_is_part_of_the_id_as_it_is() {
        let verified = Content {
            source: Some(PeerId::random()),
            seqno: Some(7),
            data: Some(b"data".as_slice().into()),
            is_verified: true,
            ..Content::default()
        };
        let forged = Content { is_verified: false, ..verified.clone() };
        let permissive = |content: &Content| id(ValidationMode::Permissive, content);
        assert_ne!(permissive(&verified), permissive(&forged));
        let others = [
            Content { data: Some(b"evil".as_slice().into()), ..forged.clone() },
            Content { source: Some(PeerId::random()), ..forged.clone() },
            Content { source: None, ..forged.clone() },
            Content { seqno: None, ..forged.clone() },
        ];
        others.iter().for_each(|other| assert_ne!(permissive(other), permissive(&forged)));
        // Fields beside the payload are ignored.
        let ids: Vec<_> = others[1..].iter().map(|other| id(ValidationMode::None, other)).collect();
        assert_eq!(ids, vec![id(ValidationMode::None, &forged); 3]);
    }

    /// The engine refuses messages of which it is the source itself, and must not believe an unsigned one.
    #[test]
    fn the_engine_knows_only_of_sources_that_are_verified() {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let us = key.public().to_peer_id();
        for (authenticity, mode, source) in [
            (MessageAuthenticity::Signed(key.clone()), ValidationMode::Strict, Some(us)),
            (MessageAuthenticity::Signed(key.clone()), ValidationMode::Permissive, Some(us)),
            (MessageAuthenticity::Signed(key), ValidationMode::None, None),
            (MessageAuthenticity::Author(us), ValidationMode::Permissive, None),
        ] {
            let network = Libp2pNetwork::builder(SignaturePolicy::new(authenticity, mode).unwrap()).build();
            let full = network.message("t".into(), *b"data").unwrap();
            assert_eq!(full.message.source(), Some(&us));
            assert_eq!(network.source(&full.message), source, "{mode:?}");
            assert_eq!(full.message.is_verified(), source.is_some());
        }
    }
}

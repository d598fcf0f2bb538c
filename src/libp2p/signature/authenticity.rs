//! The author in our own messages, and its proof.

use std::fmt;

use ::libp2p::{
    PeerId,
    identity::{Keypair, SigningError},
};

use super::validation::{has_inlined_key, signed_bytes};
use crate::libp2p::{ids::TopicName, message::Content};

/// The author in our messages: the `MessageAuthenticity` of rust-libp2p's gossipsub. Part of a
/// [`SignaturePolicy`](crate::libp2p::SignaturePolicy).
#[derive(Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "the variants are those of rust-libp2p; there is one value for a node"
)]
pub enum MessageAuthenticity {
    /// The owner of this key, its signature, and ascending sequence numbers. The public key is sent too unless the peer id
    /// contains it: those of Ed25519 and secp256k1 do, those of RSA and ECDSA are hashes.
    Signed(Keypair),
    /// This peer, which need not be ours, with random sequence numbers and no signature.
    Author(PeerId),
    /// A random peer id and a random sequence number for each message, and no signature.
    RandomAuthor,
    /// Nothing: neither a source, nor a sequence number, nor a signature. Two messages with the same payload are then the
    /// same message, unless a message id function distinguishes them.
    Anonymous,
}

impl MessageAuthenticity {
    /// Whether messages are signed.
    pub fn is_signing(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// Whether messages have no source.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// The fields of a message of ours. `seqno` is that of a signed one.
    pub(super) fn author(
        &self,
        topic: &TopicName,
        seqno: u64,
        data: Box<[u8]>,
    ) -> Result<Content, SigningError> {
        let (source, seqno) = match self {
            Self::Signed(key) => return signed(key, topic, seqno, data),
            Self::Author(peer) => (Some(*peer), Some(rand::random())),
            Self::RandomAuthor => (Some(PeerId::random()), Some(rand::random())),
            Self::Anonymous => (None, None),
        };
        Ok(Content { source, seqno, data: Some(data), ..Content::default() })
    }
}

impl fmt::Debug for MessageAuthenticity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(key) => write!(f, "Signed({})", key.public().to_peer_id()),
            Self::Author(peer) => write!(f, "Author({peer})"),
            Self::RandomAuthor => f.write_str("RandomAuthor"),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

/// The fields of a message that `key` signs.
pub(super) fn signed(
    key: &Keypair,
    topic: &TopicName,
    seqno: u64,
    data: Box<[u8]>,
) -> Result<Content, SigningError> {
    let public = key.public();
    let source = public.to_peer_id();
    let number = seqno.to_be_bytes();
    let bytes = signed_bytes(Some(&source.to_bytes()), Some(&data), Some(&number), topic.as_str());
    Ok(Content {
        source: Some(source),
        seqno: Some(seqno),
        data: Some(data),
        signature: Some(key.sign(&bytes)?.into()),
        // The specification leaves the key out where the peer id contains it.
        key: (!has_inlined_key(&source)).then(|| public.encode_protobuf().into()),
        ..Content::default()
    })
}

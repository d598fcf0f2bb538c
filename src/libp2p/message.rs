//! The content of a message: the fields of the wire, stored unchanged so that a message is forwarded exactly as it was
//! signed. The topic is not among them; the engine's `FullMessage` carries it.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use ::libp2p::PeerId;
use serde::{Deserialize, Serialize};

/// The content of a message. Immutable; clones share the bytes.
///
/// A received message that breaks the signature policy is passed to the engine too, so that the engine penalises the
/// peers that delivered it. Such a message carries its [`SignatureError`] in place of content, and
/// [`Libp2pNetwork::validate`](crate::Network::validate) rejects it without a call to the application.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message(Arc<Content>);

#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub(super) source: Option<PeerId>,
    pub(super) seqno: Option<u64>,
    /// A signature distinguishes absent data from empty data.
    pub(super) data: Option<Box<[u8]>>,
    pub(super) signature: Option<Box<[u8]>>,
    pub(super) key: Option<Box<[u8]>>,
    /// Whether the signature of the source was checked.
    pub(super) is_verified: bool,
    pub(super) signature_error: Option<SignatureError>,
}

impl Message {
    pub(super) fn new(content: Content) -> Self {
        Self(Arc::new(content))
    }

    /// A message without content, which stands for one that breaks the signature policy.
    pub(super) fn invalid(error: SignatureError) -> Self {
        Self::new(Content { signature_error: Some(error), ..Content::default() })
    }

    /// The peer that published the message, as the message says; `None` when messages are anonymous. Anyone can write it
    /// into a message that is not [verified](Self::is_verified).
    pub fn source(&self) -> Option<&PeerId> {
        self.0.source.as_ref()
    }

    /// Whether the [source](Self::source) has signed the message. With
    /// [`StrictSign`](crate::libp2p::SignaturePolicy::StrictSign) that is so for every message.
    pub fn is_verified(&self) -> bool {
        self.0.is_verified
    }

    /// The sequence number, which is unique among the messages of one source; `None` when messages are anonymous.
    pub fn seqno(&self) -> Option<u64> {
        self.0.seqno
    }

    /// The payload that was published.
    pub fn data(&self) -> &[u8] {
        self.0.data.as_deref().unwrap_or_default()
    }

    /// The signature of the source.
    pub fn signature(&self) -> Option<&[u8]> {
        self.0.signature.as_deref()
    }

    /// The source's public key, encoded as protobuf; `None` when the peer id contains the key.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key.as_deref()
    }

    /// How the message breaks the signature policy, if it does.
    pub fn signature_error(&self) -> Option<SignatureError> {
        self.0.signature_error
    }

    /// The bytes in memory that all clones share.
    pub(crate) fn size(&self) -> usize {
        let fields = [&self.0.data, &self.0.signature, &self.0.key];
        let bytes: usize = fields.into_iter().flatten().map(|bytes| bytes.len()).sum();
        size_of::<Content>() + bytes
    }

    pub(super) fn content(&self) -> &Content {
        &self.0
    }

    pub(super) fn downgrade(&self) -> WeakMessage {
        WeakMessage(Arc::downgrade(&self.0))
    }
}

/// A message that does not keep its bytes in memory.
#[derive(Debug)]
pub(super) struct WeakMessage(Weak<Content>);

impl WeakMessage {
    /// The message, if a [`Message`] still exists.
    pub(super) fn upgrade(&self) -> Option<Message> {
        self.0.upgrade().map(Message)
    }

    pub(super) fn exists(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = &*self.0;
        let mut out = f.debug_struct("Message");
        out.field("source", &content.source)
            .field("seqno", &content.seqno)
            .field("length", &self.data().len());
        if let Some(error) = content.signature_error {
            out.field("signature_error", &error);
        }
        out.finish_non_exhaustive()
    }
}

/// How a message breaks the [`SignaturePolicy`](crate::libp2p::SignaturePolicy).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignatureError {
    /// The message names no source, though it must be signed.
    #[error("no source")]
    MissingSource,
    /// The source is not a peer id.
    #[error("the source is no peer id")]
    BadSource,
    /// The message has no sequence number, though it must be signed.
    #[error("no sequence number")]
    MissingSeqno,
    /// The sequence number does not have 8 bytes.
    #[error("the sequence number is not of 8 bytes")]
    BadSeqno,
    /// The message has no signature, though it must be signed.
    #[error("no signature")]
    MissingSignature,
    /// The public key is missing or can't be decoded.
    #[error("no usable public key")]
    BadKey,
    /// The public key belongs to another peer than the source.
    #[error("the public key is not that of the source")]
    ForeignKey,
    /// The signature does not match these fields and this source.
    #[error("wrong signature")]
    BadSignature,
    /// The message names a source, though messages are anonymous.
    #[error("a source, though messages are anonymous")]
    UnexpectedSource,
    /// The message has a sequence number, though messages are anonymous.
    #[error("a sequence number, though messages are anonymous")]
    UnexpectedSeqno,
    /// The message has a signature, though messages are anonymous.
    #[error("a signature, though messages are anonymous")]
    UnexpectedSignature,
    /// The message has a public key, though messages are anonymous.
    #[error("a public key, though messages are anonymous")]
    UnexpectedKey,
}

//! The content of a message: the fields of the wire, stored unchanged so that a message is forwarded exactly as it was
//! signed. The topic is not among them; the engine's `FullMessage` carries it.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use ::libp2p::PeerId;
use serde::{Deserialize, Serialize};

use crate::network::Validity;

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

    /// The peer that published the message; `None` when messages are not signed.
    pub fn source(&self) -> Option<&PeerId> {
        self.0.source.as_ref()
    }

    /// The sequence number, which is unique among the messages of one source; `None` when messages are not signed.
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
    /// StrictSign: the message names no source.
    #[error("no source")]
    MissingSource,
    /// StrictSign: the source is not a peer id.
    #[error("the source is no peer id")]
    BadSource,
    /// StrictSign: the message has no sequence number.
    #[error("no sequence number")]
    MissingSeqno,
    /// StrictSign: the sequence number does not have 8 bytes.
    #[error("the sequence number is not of 8 bytes")]
    BadSeqno,
    /// StrictSign: the message has no signature.
    #[error("no signature")]
    MissingSignature,
    /// StrictSign: this build of libp2p can't verify keys of this type, and the key is that of the source. The senders are
    /// not to blame: the message is dropped as [`Outdated`](Validity::Outdated), without a penalty.
    #[error("a public key of a type that can't be verified here")]
    UnsupportedKey,
    /// StrictSign: the public key is missing or can't be decoded.
    #[error("no usable public key")]
    BadKey,
    /// StrictSign: the public key belongs to another peer than the source.
    #[error("the public key is not that of the source")]
    ForeignKey,
    /// StrictSign: the signature does not match these fields and this source.
    #[error("wrong signature")]
    BadSignature,
    /// StrictNoSign: the message names a source.
    #[error("a source, though messages are anonymous")]
    UnexpectedSource,
    /// StrictNoSign: the message has a sequence number.
    #[error("a sequence number, though messages are anonymous")]
    UnexpectedSeqno,
    /// StrictNoSign: the message has a signature.
    #[error("a signature, though messages are anonymous")]
    UnexpectedSignature,
    /// StrictNoSign: the message has a public key.
    #[error("a public key, though messages are anonymous")]
    UnexpectedKey,
}

impl SignatureError {
    /// The validation result of a message with this error: `Outdated` for
    /// [`UnsupportedKey`](Self::UnsupportedKey), `Invalid` for all others.
    pub fn validity(self) -> Validity {
        match self {
            Self::UnsupportedKey => Validity::Outdated,
            _ => Validity::Invalid,
        }
    }
}

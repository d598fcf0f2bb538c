//! A message as it travels: the wire's fields, kept so that it is forwarded exactly as it was signed.
//! It never carries its topic (the engine's `FullMessage` does) and never changes once made.

use std::{fmt, sync::Arc};

use ::libp2p::PeerId;

use crate::libp2p::signature::policy::Flaw;

/// The content of a message. A clone shares the bytes.
///
/// A message whose signature or fields break the signature policy is still handed to the engine, so
/// that whoever delivered it is penalised there: it then carries its [`Flaw`] and no content, and
/// [`Libp2pNetwork::validate`](super::Libp2pNetwork) answers `Invalid` without asking the application.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message(Arc<Content>);

#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub(super) source: Option<PeerId>,
    pub(super) seqno: Option<u64>,
    /// Absent and empty are different things to a signature.
    pub(super) data: Option<Box<[u8]>>,
    pub(super) signature: Option<Box<[u8]>>,
    pub(super) key: Option<Box<[u8]>>,
    pub(super) flaw: Option<Flaw>,
}

impl Message {
    pub(super) fn new(content: Content) -> Self {
        Self(Arc::new(content))
    }

    /// A stand-in for a message that must not be used.
    pub(super) fn flawed(flaw: Flaw) -> Self {
        Self::new(Content { flaw: Some(flaw), ..Content::default() })
    }

    /// Who published it; absent when messages are not signed.
    pub fn source(&self) -> Option<&PeerId> {
        self.0.source.as_ref()
    }

    /// Its number among those of its source; absent when messages are not signed.
    pub fn seqno(&self) -> Option<u64> {
        self.0.seqno
    }

    /// What was published.
    pub fn data(&self) -> &[u8] {
        self.0.data.as_deref().unwrap_or_default()
    }

    /// The signature of its source.
    pub fn signature(&self) -> Option<&[u8]> {
        self.0.signature.as_deref()
    }

    /// The source's public key as it was sent (protobuf); absent when the peer id contains it.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key.as_deref()
    }

    /// What is wrong with it, if it broke the signature policy.
    pub fn flaw(&self) -> Option<Flaw> {
        self.0.flaw
    }

    /// The bytes that its content holds, which all clones share.
    pub(crate) fn size(&self) -> usize {
        let fields = [&self.0.data, &self.0.signature, &self.0.key];
        let bytes: usize = fields.into_iter().flatten().map(|bytes| bytes.len()).sum();
        size_of::<Content>() + bytes
    }

    pub(super) fn content(&self) -> &Content {
        &self.0
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = &*self.0;
        let mut out = f.debug_struct("Message");
        out.field("source", &content.source)
            .field("seqno", &content.seqno)
            .field("length", &self.data().len());
        if let Some(flaw) = content.flaw {
            out.field("flaw", &flaw);
        }
        out.finish_non_exhaustive()
    }
}

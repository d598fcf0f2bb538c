//! The signature policy of a network: what our messages say of their author, and what is demanded of those of others.

use std::fmt;

use ::libp2p::identity::{Keypair, SigningError};

use super::{
    authenticity::{self, MessageAuthenticity},
    validation::{Checked, ValidationMode},
};
use crate::libp2p::{
    codec::entry::RawMessage,
    ids::TopicName,
    message::{Content, Message, SignatureError},
};

/// The signature policy of a network. All nodes of a network should have the same one: messages that break it are invalid.
///
/// It has two sides: what our messages carry ([`MessageAuthenticity`]), and what received ones must
/// ([`ValidationMode`]). The libp2p pubsub specification and go-libp2p name these combinations:
///
/// | specification | here | we write | we accept |
/// |---|---|---|---|
/// | StrictSign | `StrictSign(key)` | `Signed(key)` | `Strict` |
/// | StrictNoSign | `StrictNoSign` | `Anonymous` | `Anonymous` |
/// | LaxSign | `new(Signed(key), Permissive)` | `Signed(key)` | `Permissive` |
/// | LaxNoSign | `new(Author(our peer), Permissive)` | `Author(our peer)` | `Permissive` |
///
/// [`new`](Self::new) makes any combination whose own messages it accepts, as rust-libp2p does:
///
/// | we write | `Strict` | `Permissive` | `Anonymous` | `None` |
/// |---|---|---|---|---|
/// | `Signed` | yes | yes | refused | yes |
/// | `Author`, `RandomAuthor` | refused | yes | refused | yes |
/// | `Anonymous` | refused | yes | yes | yes |
///
/// # What is not verified
///
/// Under `Permissive` a message without a signature is accepted, and under `None` any message. It is not
/// [verified](Message::is_verified), and its [`source`](Message::source) is what the sender wrote. Such a source has no effect
/// on the engine, and the default message id does not rely on it: it follows from the content, so that nobody can take the place
/// of another peer's message. A [message id function](crate::libp2p::Libp2pNetworkBuilder::message_id) of the application
/// must have that property too, or anyone can suppress messages by sending others with their ids first. Large messages can be
/// suppressed even by ones that are found invalid: their IDONTWANT is sent before the verdict. Set
/// [`idontwant_message_size`](crate::limits::Extensions::idontwant_message_size) to 0 with such ids.
#[derive(Clone)]
#[non_exhaustive]
pub enum SignaturePolicy {
    /// Messages carry their source, a sequence number and the source's signature. This key signs our messages.
    StrictSign(Box<Keypair>),
    /// Messages are anonymous. They must not carry a source, sequence number, signature or key.
    StrictNoSign,
    /// Another combination: see [`new`](Self::new).
    Custom(Box<CustomPolicy>),
}

/// A combination that [`SignaturePolicy::new`] has checked.
#[derive(Clone, Debug)]
pub struct CustomPolicy {
    authenticity: MessageAuthenticity,
    mode: ValidationMode,
}

/// Why a signature policy is refused: its nodes would refuse each other's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// [`ValidationMode::Strict`] accepts only signed messages, and ours would not be signed.
    #[error("Strict accepts only signed messages: sign ours, or accept by another mode")]
    Unsigned,
    /// [`ValidationMode::Anonymous`] accepts only messages without a source, and ours would have one.
    #[error(
        "Anonymous accepts only messages without a source: leave it out of ours, or accept by another mode"
    )]
    NotAnonymous,
}

impl SignaturePolicy {
    /// Combines what our messages carry with what received ones must.
    ///
    /// # Errors
    /// This node would refuse messages such as its own.
    pub fn new(authenticity: MessageAuthenticity, mode: ValidationMode) -> Result<Self, PolicyError> {
        Ok(match (authenticity, mode) {
            (MessageAuthenticity::Signed(key), ValidationMode::Strict) => Self::StrictSign(key.into()),
            (MessageAuthenticity::Anonymous, ValidationMode::Anonymous) => Self::StrictNoSign,
            (_, ValidationMode::Strict) => return Err(PolicyError::Unsigned),
            (_, ValidationMode::Anonymous) => return Err(PolicyError::NotAnonymous),
            (authenticity, mode) => Self::Custom(CustomPolicy { authenticity, mode }.into()),
        })
    }

    /// The requirements for received messages.
    pub fn mode(&self) -> ValidationMode {
        match self {
            Self::StrictSign(_) => ValidationMode::Strict,
            Self::StrictNoSign => ValidationMode::Anonymous,
            Self::Custom(policy) => policy.mode,
        }
    }

    /// Whether received signatures are checked.
    pub(in crate::libp2p) fn verifies(&self) -> bool {
        self.mode().verifies()
    }

    /// Creates a message of ours. `seqno` is that of a signed one.
    pub(in crate::libp2p) fn author(
        &self,
        topic: &TopicName,
        seqno: u64,
        data: Vec<u8>,
    ) -> Result<Message, SigningError> {
        let data = data.into_boxed_slice();
        let content = match self {
            Self::StrictSign(key) => authenticity::signed(key, topic, seqno, data)?,
            Self::StrictNoSign => MessageAuthenticity::Anonymous.author(topic, seqno, data)?,
            Self::Custom(policy) => policy.authenticity.author(topic, seqno, data)?,
        };
        // As those see it who receive it: its id must be the same here and there.
        let is_verified = content.signature.is_some() && self.verifies();
        Ok(Message::new(Content { is_verified, ..content }))
    }

    /// Checks a received message and takes over its fields.
    pub(in crate::libp2p) fn accept(&self, raw: &RawMessage<'_>) -> Result<Message, SignatureError> {
        let Checked { source, seqno, is_verified } = self.mode().check(raw)?;
        Ok(Message::new(Content {
            source,
            seqno,
            data: raw.data.map(Into::into),
            signature: raw.signature.map(Into::into),
            key: raw.key.map(Into::into),
            is_verified,
            signature_error: None,
        }))
    }
}

impl fmt::Debug for SignaturePolicy {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StrictSign(key) => write!(f, "StrictSign({})", key.public().to_peer_id()),
            Self::StrictNoSign => f.write_str("StrictNoSign"),
            Self::Custom(policy) => {
                let CustomPolicy { authenticity, mode } = &**policy;
                write!(f, "{authenticity:?}, accepts {mode:?}")
            }
        }
    }
}

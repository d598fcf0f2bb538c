//! Why messages of the engine are not sent.

use crate::libp2p::message::SignatureError;

/// Why a message of the engine can't be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message needs a larger frame than peers accept.
    #[error("{length} bytes exceed the limit of {max}")]
    TooLarge {
        /// The length of the encoded message, in bytes.
        length: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The name of the topic is empty, or longer than peers accept: they would refuse the whole frame.
    #[error("a topic's name has 1 to {max} bytes, this one has {length}")]
    BadTopic {
        /// The length of the name, in bytes.
        length: usize,
        /// The longest name that is sent, in bytes.
        max: usize,
    },
    /// Each message id is longer than peers accept: they would refuse the whole frame.
    #[error("a message id of {length} bytes exceeds the limit of {max}")]
    LongId {
        /// The length of the shortest id, in bytes.
        length: usize,
        /// The longest id that is sent, in bytes.
        max: usize,
    },
    /// The message breaks the signature policy and must not be forwarded.
    #[error("the message is not valid: {0}")]
    Signature(SignatureError),
}

//! The reasons for which the engine does not accept an input.

use enum_map::Enum;
use strum::{EnumDiscriminants, IntoStaticStr, VariantNames};

/// Why the engine did not accept an input.
///
/// Most are [temporary](Self::is_temporary): the caller may send the input again later. A transport should then stop reading
/// from the peer until [`Worker::p2p_input_ready`](crate::Worker::p2p_input_ready) completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumDiscriminants, thiserror::Error)]
#[strum_discriminants(
    name(RefusedReason),
    vis(pub(crate)),
    derive(Enum, IntoStaticStr, VariantNames),
    strum(serialize_all = "snake_case"),
    doc = "The reason without its value; the names are metric labels."
)]
#[non_exhaustive]
pub enum Refused {
    /// The input queue is full: it has `bounds.max_input_items` inputs, of all peers together. For a publication: that
    /// many publications are queued.
    #[error("the input queue is full: {waiting} inputs are queued")]
    TooManyInputs {
        /// The number of queued inputs.
        waiting: usize,
    },
    /// The engine has no room for the bytes of this input (`bounds.max_input_bytes`): inputs are queued, or messages wait for
    /// verdicts or for the readers of the streams.
    #[error("the input queue is full: {waiting} bytes are queued or held")]
    TooManyBytes {
        /// The bytes of the queued inputs and of the messages that the engine holds.
        waiting: usize,
    },
    /// The input queue is at least half full and this peer has more than its fair share of it: the second half is for
    /// peers that have less. The fair share is the limit divided by the number of connected peers plus one.
    #[error(
        "the input queue is half full and this peer has more than its share: {waiting} inputs, {bytes} bytes"
    )]
    PeerOverShare {
        /// The number of this peer's queued inputs.
        waiting: usize,
        /// The bytes of this peer's queued inputs and of its messages that the engine holds.
        bytes: usize,
    },
    /// The application's output stream is full (`bounds.max_output_items`, `bounds.max_output_bytes`), and nothing in it
    /// may be dropped. The application must read it.
    #[error("the application stream is full: {waiting} messages are queued")]
    ApplicationBehind {
        /// The number of queued messages.
        waiting: usize,
    },
    /// The subscriber of this topic ([`Worker::subscribe`](crate::Worker::subscribe)) has too many unread messages. Not
    /// [temporary](Self::is_temporary): a transport that waited would stop to read the peer's messages on other topics too.
    /// [`Worker::p2p_input_ready`](crate::Worker::p2p_input_ready) waits for one that reads each topic separately.
    #[error("the subscriber of the topic is behind: {waiting} messages are unread")]
    SubscriberBehind {
        /// The number of unread messages.
        waiting: usize,
    },
    /// The p2p output stream has more control messages, which are never dropped, than `bounds.max_output_items` or
    /// `bounds.max_output_bytes`. The transport must read it.
    #[error("the p2p stream is full of control messages: {waiting} outputs are queued")]
    TransportBehind {
        /// The number of queued outputs.
        waiting: usize,
    },
    /// The score of the peer is below `extensions.graylist_threshold`: nothing of it is handled until its score recovers.
    #[error("the peer is graylisted: its score is below graylist_threshold")]
    Graylisted,
    /// The engine has ended or is shutting down.
    #[error("the engine has ended")]
    Stopped,
}

impl Refused {
    /// The reason in snake case, as metrics and events label it.
    pub fn reason(self) -> &'static str {
        RefusedReason::from(self).into()
    }

    /// Whether the engine has no room now and may have some later. Otherwise the input is to be dropped: the peer is
    /// graylisted, the topic's subscriber is behind, or the engine has ended.
    pub fn is_temporary(self) -> bool {
        !matches!(self, Self::Graylisted | Self::SubscriberBehind { .. } | Self::Stopped)
    }

    /// The depth of the queue that is full, in items or bytes. 0 if no queue is full.
    pub(crate) fn depth(self) -> usize {
        match self {
            Self::TooManyInputs { waiting }
            | Self::TooManyBytes { waiting }
            | Self::PeerOverShare { waiting, .. }
            | Self::TransportBehind { waiting }
            | Self::SubscriberBehind { waiting }
            | Self::ApplicationBehind { waiting } => waiting,
            Self::Graylisted | Self::Stopped => 0,
        }
    }
}

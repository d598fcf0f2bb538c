//! The messages of this node.

use std::{
    io,
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use super::Libp2pNetwork;
use crate::{libp2p::ids::TopicName, network::FullMessage};

/// Why a message of ours can't be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// The key can't sign.
    #[error("the message can't be signed: {0}")]
    Signing(#[from] ::libp2p::identity::SigningError),
    /// The [data transform](super::Libp2pNetworkBuilder::data_transform) can't encode the payload.
    #[error("the data transform failed: {0}")]
    Transform(#[source] io::Error),
    /// The message needs a larger frame than peers accept, so that it could never be sent.
    #[error("the message has {length} bytes, of which {max} can be sent")]
    TooLarge {
        /// The length of the payload, in bytes.
        length: usize,
        /// The longest payload that can be sent on this topic, in bytes.
        max: usize,
    },
    /// The topic name is empty, or longer than peers accept.
    #[error("a topic's name has 1 to {max} bytes, this one has {length}")]
    BadTopic {
        /// The length of the name, in bytes.
        length: usize,
        /// The longest name that is sent, in bytes.
        max: usize,
    },
}

/// Most bytes that source, sequence number, signature, key and tags add to a payload. The longest key that can sign is an
/// RSA key of 4,096 bits: its signatures have 512 bytes, and its public key 556.
const MESSAGE_OVERHEAD: usize = 1_280;

impl Libp2pNetwork {
    /// Creates a message of ours, encoded by the transform and signed as the policy demands. Publish it with
    /// [`Worker::publish`](crate::Worker::publish).
    ///
    /// # Errors
    /// The topic name or the payload is too long to be sent, the transform can't encode it, or the key can't sign.
    pub fn message(
        &self,
        topic: TopicName,
        data: impl Into<Vec<u8>>,
    ) -> Result<FullMessage<Self>, AuthorError> {
        let mut data = data.into();
        if let Some(transform) = &self.hooks.transform {
            data = transform.outbound_transform(&topic, data).map_err(AuthorError::Transform)?;
        }
        self.check_size(&topic, data.len())?;
        let seqno = self.hooks.next_seqno.fetch_add(1, Ordering::Relaxed);
        let message = self.hooks.policy.author(&topic, seqno, data)?;
        let message_id = self.message_id(&topic, &message);
        Ok(FullMessage { topic, message_id, message })
    }

    /// Checks the length of a topic's name.
    pub(super) fn check_topic(&self, topic: &TopicName) -> Result<(), AuthorError> {
        let limits = &self.hooks.limits;
        if limits.allow_topic(topic) {
            return Ok(());
        }
        Err(AuthorError::BadTopic { length: topic.as_str().len(), max: limits.max_topic_length })
    }

    fn check_size(&self, topic: &TopicName, length: usize) -> Result<(), AuthorError> {
        self.check_topic(topic)?;
        let max = self.max_payload(topic);
        if length > max { Err(AuthorError::TooLarge { length, max }) } else { Ok(()) }
    }

    /// The longest payload that can be sent on this topic, in bytes, as the transform has encoded it.
    pub fn max_payload(&self, topic: &TopicName) -> usize {
        self.hooks.limits.max_frame_out.saturating_sub(MESSAGE_OVERHEAD + topic.as_str().len())
    }
}

/// Sequence numbers start at the wall clock, in nanoseconds, so that they ascend over restarts.
pub(super) fn start_seqno() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

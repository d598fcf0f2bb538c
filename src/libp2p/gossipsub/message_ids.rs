//! The functions of the application that make message ids, and how they are set.

use std::sync::Arc;

use super::{
    config::{Config, ConfigBuilder},
    hooks::default_id,
    message::Message,
    topic::TopicHash,
};
use crate::{
    libp2p::{
        ids::MessageId,
        message::{Content, Message as WireMessage},
        signature::validation::ValidationMode,
    },
    limits::TopicPattern,
};

/// Topic, message as it was received, and message after the transform if that succeeds.
type RawIdFn = dyn Fn(&TopicHash, &WireMessage, Option<&Message>) -> MessageId + Send + Sync;
type DecodedIdFn = dyn Fn(&Message) -> MessageId + Send + Sync;

/// The application's function for message ids, by what it is given.
#[derive(Clone)]
pub(super) enum MessageIds {
    Decoded(Arc<DecodedIdFn>),
    Raw(Arc<RawIdFn>),
}

impl Config {
    /// The id of a message, by the function that [`ConfigBuilder::topic_message_id_fn`] sets for its topic, or else the one of
    /// [`ConfigBuilder::message_id_fn`]. The default id is that of a message
    /// which its source has signed, if it has one and the validation mode checks signatures. A function that
    /// [`ConfigBuilder::raw_message_id_fn`] sets is given `message` as that before and after the transform.
    pub fn message_id(&self, message: &Message) -> MessageId {
        let mut of_topics = self.topic_message_ids.iter();
        let of_topic = of_topics.find(|(pattern, _)| pattern.matches(message.topic.as_str()));
        let ids = of_topic.map(|(_, ids)| ids).or(self.message_id.as_ref());
        if let Some(MessageIds::Decoded(message_id)) = ids {
            return message_id(message);
        }
        let is_verified = message.source.is_some() && self.validation_mode != ValidationMode::None;
        let (source, seqno) = (message.source, message.sequence_number);
        let data = Some(message.data.clone().into());
        let content = Content { source, seqno, data, is_verified, ..Content::default() };
        let raw = WireMessage::new(content);
        match ids {
            Some(MessageIds::Raw(message_id)) => message_id(&message.topic, &raw, Some(message)),
            _ => default_id(self.validation_mode, &message.topic, &raw),
        }
    }
}

impl ConfigBuilder {
    /// The function that makes message ids. All nodes of a network must use the same one. Its argument is a copy of the
    /// received message.
    ///
    /// Two messages must have the same id only if they may stand for each other: otherwise anyone can suppress one by sending
    /// the other before it. With [`Permissive`](ValidationMode::Permissive) and [`None`](ValidationMode::None) anyone may
    /// have written the source and the sequence number, so that the id must depend on the content. The function does not learn
    /// whether a source has signed the message.
    pub fn message_id_fn(&mut self, id: impl Fn(&Message) -> MessageId + Send + Sync + 'static) -> &mut Self {
        self.config.message_id = Some(MessageIds::Decoded(Arc::new(id)));
        self
    }

    /// The function that makes message ids, in place of [`message_id_fn`](Self::message_id_fn), from the topic, the message
    /// as it was received, and the message after the [transform](super::DataTransform), `None` if that fails. Such a message
    /// is invalid (P4): give it an id that no message has which can be decoded.
    /// [`ethereum_message_id`](super::ethereum_message_id) is such a function.
    pub fn raw_message_id_fn(
        &mut self,
        id: impl Fn(&TopicHash, &WireMessage, Option<&Message>) -> MessageId + Send + Sync + 'static,
    ) -> &mut Self {
        self.config.message_id = Some(MessageIds::Raw(Arc::new(id)));
        self
    }

    /// The function that makes the ids of the messages of one topic, or of all topics that match a pattern, in place of that of
    /// [`message_id_fn`](Self::message_id_fn) or of the default, under the same rules. Of several that match, the one that was
    /// set first.
    pub fn topic_message_id_fn(
        &mut self,
        topics: impl Into<TopicPattern>,
        id: impl Fn(&Message) -> MessageId + Send + Sync + 'static,
    ) -> &mut Self {
        self.config.topic_message_ids.push((topics.into(), MessageIds::Decoded(Arc::new(id))));
        self
    }
}

//! The JSON of publications and of the stream's events.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::Identifier;

/// The answer to a publication.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The id of the message.
    pub message_id: Identifier,
    /// The number of peers for which the message is queued. The transport has not sent it yet.
    pub peers: usize,
}

/// A message that the engine has delivered: the data of an event `message` of the stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamedMessage {
    /// The time at which it was delivered.
    #[schema(format = DateTime)]
    pub time: String,
    /// Its topic.
    pub topic: Identifier,
    /// Its id.
    pub id: Identifier,
    /// The peer that published it; null if that is not known.
    pub from: Option<Identifier>,
    /// The content, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Any other content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

impl StreamedMessage {
    pub(in crate::http) fn new(
        time: String,
        topic: Identifier,
        id: Identifier,
        from: Option<Identifier>,
        content: &[u8],
    ) -> Self {
        let (data, base64) = match std::str::from_utf8(content) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(content))),
        };
        Self { time, topic, id, from, data, base64 }
    }
}

/// What the engine reports besides decisions: the data of an event `engine` of the stream.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineNotice {
    /// `heartbeat`, `heartbeat_skipped`, `subscription_limit`, `input_refused`, `slow_peer`, `protocol_violation`,
    /// `low_score`, `published_to_no_peers`, `topic_restarted`, `topic_given_up` or `other`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The number of the heartbeat.
    pub tick: Option<u64>,
    /// The peer concerned.
    pub peer: Option<Identifier>,
    /// The topic concerned.
    pub topic: Option<Identifier>,
    /// The score of the peer.
    pub score: Option<f64>,
    /// The reason of a refusal.
    pub reason: Option<&'static str>,
}

/// A gap: the data of an event `missed` of the stream. The reader was too slow for these.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// The number of messages that are missing here.
    pub messages: u64,
    /// The number of engine events that are missing here.
    pub events: u64,
}

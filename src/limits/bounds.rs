//! Bounds of memory and time, for protection against remote peers and slow consumers. A file has them in `[bounds]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of memory and time. The specification and the reference implementation do not have them as parameters.
///
/// All are above 0 unless the field says otherwise. Sizes are in bytes, as
/// [`Network::message_size`](crate::Network::message_size) and
/// [`Network::message_id_size`](crate::Network::message_id_size) return them. A tick is one heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Bounds {
    /// Number of inputs that are queued, of all peers together. Further inputs are refused. At most 2^22.
    pub max_input_items: usize,
    /// Size of the queued inputs, and of the messages that the engine keeps until they have a verdict and both streams are
    /// read. Further inputs are refused. Publications have a limit of their own: as much, and at most 7/8 of
    /// `max_output_bytes`. At most 2^38.
    pub max_input_bytes: usize,
    /// Number of parked messages (of unknown validity, tried again at each heartbeat). Further ones are dropped.
    pub max_parked_messages: usize,
    /// Size of the parked messages, and at most half of `max_input_bytes`. Further ones are dropped.
    pub max_parked_bytes: usize,
    /// Number of co-senders that are stored with a message before its validation ends, besides the first sender. The
    /// scores of further senders do not change. May be 0.
    pub max_co_senders: usize,
    /// Size of the message caches of all topics, with their entries. A topic with more than its share removes its oldest
    /// messages early. A share is the second half of the limit, divided by the number of topics that have messages; the first
    /// half is for any topic. So with all limits of this kind.
    pub max_history_bytes: usize,
    /// Size of the seen caches of all topics. A topic with more than its share removes ids early, as with
    /// `max_seen_per_topic`.
    pub max_seen_bytes: usize,
    /// Size of the caches of invalid messages of all topics. Of further messages the id is stored, if there is room. May be 0.
    pub max_invalid_bytes: usize,
    /// Size of the backoffs of all topics. A topic with more than its share removes those that end first. Topics that are not
    /// joined have a quarter of this more. May be 0.
    pub max_backoff_bytes: usize,
    /// Size of the ids that are stored for all connected peers: those of their IDONTWANTs, and those of messages that they were
    /// not sent. Of a peer with more than its share further IDONTWANTs are ignored, and its oldest missed ids removed. May be 0.
    pub max_peer_id_bytes: usize,
    /// Size of the names of the topics that peers are subscribed to, summed over all peers. Further subscriptions of a peer
    /// with more than its share to topics that have no mesh actor here are ignored.
    pub max_topic_name_bytes: usize,
    /// Number of messages in the message cache of one topic. The oldest are removed early.
    pub max_history_per_topic: usize,
    /// Size of the message cache of one topic. The oldest messages are removed early.
    pub max_history_bytes_per_topic: usize,
    /// Number of message ids in the seen cache of one topic. The oldest ids of a peer that was the first to deliver more than
    /// its fair share of them are removed early.
    pub max_seen_per_topic: usize,
    /// Number of messages in the cache of invalid messages of one topic
    /// ([`invalid_memory_ticks`](super::Extensions::invalid_memory_ticks)). Further ones are not stored. May be 0.
    pub max_invalid_per_topic: usize,
    /// Size of the cache of invalid messages of one topic. Further ones are not stored. May be 0.
    pub max_invalid_bytes_per_topic: usize,
    /// Number of IWANT promises of one topic
    /// ([`iwant_followup_time`](super::Extensions::iwant_followup_time)). Further ones are not tracked. May be 0.
    pub max_promises_per_topic: usize,
    /// Number of unreachable points with a reconnection delay. Further ones are dialled without delay. May be 0.
    pub max_unreachable: usize,
    /// Number of disconnected peers whose scores are retained. The highest scores are removed first. May be 0.
    pub max_retained_scores: usize,
    /// Number of backoffs of one topic. Those that end first are removed first. May be 0.
    pub max_backoffs_per_topic: usize,
    /// Duration of a backoff in a received PRUNE. A longer one is shortened to this.
    #[serde(with = "humantime_serde")]
    pub max_remote_backoff: Duration,
    /// Number of ticks between two rounds of dials to lost trusted peers and to
    /// [`persistent_points`](crate::Network::persistent_points). A round omits points whose delay is not over.
    pub reconnect_interval_ticks: u64,
    /// The first delay of an unreachable point, in ticks. Each failure doubles the delay.
    pub first_reconnect_ticks: u64,
    /// The longest delay of an unreachable point, in ticks. At least `first_reconnect_ticks`.
    pub max_reconnect_ticks: u64,
    /// Number of ticks between two resets. A reset removes all unreachable points with their delays.
    pub unreachable_reset_ticks: u64,
    /// Number of topics, neither joined nor published to, that are stored for the backoffs of refused GRAFTs. Backoffs of
    /// further topics are not stored. May be 0.
    pub max_idle_topics: usize,
    /// Number of peers whose IWANTs for one message are counted. The requests of further peers are ignored.
    pub max_iwant_peers_per_message: usize,
    /// Number of unconnected peers whose IHAVEs are counted within one heartbeat. The IHAVEs of further ones are
    /// ignored. May be 0.
    pub max_unconnected_peers: usize,
    /// Number of messages in a batch. A full batch is validated at once. Further messages are dropped while another
    /// batch is being validated.
    pub max_batch_items: usize,
    /// Number of asynchronous validations of one topic. Further messages are dropped. Above half of it, also those of a peer
    /// that already has more than its share: this number by the number of peers with such messages and one.
    pub max_validating_per_topic: usize,
    /// Number of asynchronous validations of all topics. Further messages are dropped. It is shared as
    /// `max_validating_per_topic` is.
    pub max_validating: usize,
    /// Size of the messages of one topic under asynchronous validation. Further messages are dropped, but one is always
    /// validated. It is shared as `max_validating_per_topic` is.
    pub max_validating_bytes_per_topic: usize,
    /// Size of the messages of all topics under asynchronous validation. Further messages are dropped, but one is always
    /// validated. It is shared as `max_validating_per_topic` is. These messages count for `max_input_bytes` too, so a part of
    /// that lets the engine go on while validations are slow.
    pub max_validating_bytes: usize,
    /// Duration of an asynchronous validation. The message is dropped if it takes longer.
    #[serde(with = "humantime_serde")]
    pub validation_timeout: Duration,
    /// Number of recommended peers that are read from one PRUNE. Further ones are ignored. May be 0.
    pub max_px_per_prune: usize,
    /// Number of decisions about peers that are stored for
    /// [`Worker::decisions_about`](crate::Worker::decisions_about). The oldest are removed first. May be 0.
    pub max_decisions: usize,
    /// Number of stored decisions about one peer. The oldest are removed first. May be 0.
    pub max_decisions_per_peer: usize,
    /// Number of items in an output stream. Above it, gossip is dropped first, and control messages only if their connection
    /// is closed; of the application's stream nothing is dropped, and messages of peers are refused. The announcement of all
    /// topics to a peer, or of one topic to all peers, is one item until it is read.
    pub max_output_items: usize,
    /// Size of the items in an output stream, with the same consequences. Half of `max_input_bytes` lets the engine go on
    /// while one stream is not read.
    pub max_output_bytes: usize,
    /// Number of unread messages of all topics to which the application [subscribed](crate::Worker::subscribe). Above half of
    /// it, a subscription that has more than its share (this number by the number of subscriptions with unread messages and one)
    /// takes one more, which counts for `max_input_bytes`, and is full.
    pub max_subscribed_items: usize,
    /// Size of these messages. It does not count for `max_input_bytes`. Shared as the number is.
    pub max_subscribed_bytes: usize,
    /// Number of unread events of all [subscribers](crate::Worker::subscribe_events). Further events are missed. It is shared as
    /// `max_subscribed_items` is, so that one subscriber has at most half of it and one.
    pub max_unread_events: usize,
    /// Number of publications by [`Worker::publish_when_room`](crate::Worker::publish_when_room) that are not yet sent to all
    /// peers for which they were queued. Further publishers wait. Keep it below what the transport queues for a peer.
    pub max_unsent_publications: usize,
    /// Size of these publications. A larger one waits until there is no other. Below 2^32.
    pub max_unsent_publication_bytes: usize,
    /// How long such a publication counts at most, so that a peer that does not read can't stop publishers.
    #[serde(with = "humantime_serde")]
    pub unsent_publication_timeout: Duration,
    /// Interval between two events of the same kind. Further ones are not reported. May be 0: all are reported.
    #[serde(with = "humantime_serde")]
    pub event_interval: Duration,
    /// Duration of a shutdown. If it takes longer, peers may miss the last messages.
    #[serde(with = "humantime_serde")]
    pub shutdown_deadline: Duration,
}

impl Bounds {
    /// Applies `change` and returns the result: `Bounds::default().with(|b| b.max_co_senders = 8)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_input_items: 8192,
            max_input_bytes: 64 * 1024 * 1024,
            max_parked_messages: 10_000,
            max_parked_bytes: 16 * 1024 * 1024,
            max_co_senders: 32,
            max_history_bytes: 256 * 1024 * 1024,
            max_seen_bytes: 64 * 1024 * 1024,
            max_invalid_bytes: 16 * 1024 * 1024,
            max_backoff_bytes: 16 * 1024 * 1024,
            max_peer_id_bytes: 32 * 1024 * 1024,
            max_topic_name_bytes: 32 * 1024 * 1024,
            max_history_per_topic: 16_384,
            max_history_bytes_per_topic: 64 * 1024 * 1024,
            max_seen_per_topic: 262_144,
            max_invalid_per_topic: 1024,
            max_invalid_bytes_per_topic: 1024 * 1024,
            max_promises_per_topic: 1024,
            max_unreachable: 10_000,
            max_retained_scores: 10_000,
            max_backoffs_per_topic: 10_000,
            max_remote_backoff: Duration::from_secs(3600),
            reconnect_interval_ticks: 15,
            first_reconnect_ticks: 5,
            max_reconnect_ticks: 300,
            unreachable_reset_ticks: 21_600,
            max_idle_topics: 10_000,
            max_iwant_peers_per_message: 4096,
            max_unconnected_peers: 1024,
            max_batch_items: 8192,
            max_validating_per_topic: 1024,
            max_validating: 8192,
            max_validating_bytes_per_topic: 16 * 1024 * 1024,
            max_validating_bytes: 32 * 1024 * 1024,
            validation_timeout: Duration::from_secs(10),
            max_px_per_prune: 64,
            max_decisions: 4096,
            max_decisions_per_peer: 32,
            max_output_items: 65_536,
            max_output_bytes: 32 * 1024 * 1024,
            max_subscribed_items: 65_536,
            max_subscribed_bytes: 64 * 1024 * 1024,
            max_unread_events: 16_384,
            max_unsent_publications: 256,
            max_unsent_publication_bytes: 1024 * 1024,
            unsent_publication_timeout: Duration::from_secs(10),
            event_interval: Duration::from_secs(60),
            shutdown_deadline: Duration::from_secs(5),
        }
    }
}

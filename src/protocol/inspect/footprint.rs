//! The number of entries in each map of the engine, and the upper bound of each.

use std::ops::{AddAssign, SubAssign};

use serde::Serialize;

use crate::{
    admission::totals::FLOOR,
    limits::{Extensions, Limits},
    protocol::inspect::memory::REQUESTS_PART,
};

/// The bytes that the name of a topic of the application has at most.
pub(super) const OWN_TOPIC_NAME: usize = 128;

/// The number of entries in each map that can grow, summed over topics. Fields that end in `_bytes` are in bytes.
///
/// # The budget
///
/// The maximum number of entries in each map, independent of the behaviour of peers. [`Footprint::at_most`] computes
/// the last column. The columns use these symbols:
///
/// * *P* is the number of connected peers. The p2p layer bounds it, because it admits connections.
/// * *T* is the number of topics of the application: those that it joined, and those that it left or published to and
///   that are still stored, for as long as a backoff, `fanout_ttl` or `seen_history_length` heartbeats. In `subscriptions` it is
///   all topics that it joined while the peer was connected: a peer keeps its subscription when a topic is left.
/// * *R* = *T* + `max_idle_topics` is the number of stored topics. A topic that only peers are subscribed to is not stored: it
///   is in the `subscriptions`.
///
/// | map | per peer | per topic | in total |
/// |---|---|---|---|
/// | `connections` | 1 | | *P* |
/// | `subscriptions` | *T* + `max_topics_per_peer` | *P* | *P* × that |
/// | `subscriptions_bytes` | | | `max_topic_name_bytes`, and *T* × *P* names of topics of the application, of at most 128 bytes |
/// | `scores` | 1 | | *P* + `max_retained_scores` |
/// | `trusted` | 1 | | all peers that the p2p layer ever marked as trusted: its configuration; and the peers of which the application decided whether they are direct |
/// | `unreachable` | 1 | | `max_unreachable` |
/// | `joined` | | 1 | *T* |
/// | `parked` | | | `max_parked_messages`, and `max_parked_bytes`, at most half of `max_input_bytes` |
/// | `batched` | | | `max_batch_items` in the pending batch, and the same number under validation |
/// | `topics` | | 1 | *R* |
/// | `subscribers` | *T* | *P* | *T* × *P* |
/// | `mesh` | *T* | *P*; inbound peers: `degree_high` + `opportunistic_graft_peers` | *T* × *P* |
/// | `fanout` | *T* | `degree_optimal` | *T* × min(`degree_optimal`, *P*) |
/// | `backoffs` | *R* | `max_backoffs_per_topic` | *R* × that, and `max_backoff_bytes`; a quarter of that more for topics that are not joined |
/// | `history` | | `max_history_per_topic`, and `max_history_bytes_per_topic` | *T* × that, and `max_history_bytes` |
/// | `seen` | | `max_seen_per_topic` | *T* × that, and `max_seen_bytes` |
/// | `validating` | | `max_validating_per_topic` | min(*T* × that, `max_validating`); 2 × `max_batch_items` with batches |
/// | `invalid` | | `max_invalid_per_topic`, and `max_invalid_bytes_per_topic` | *T* × that, and `max_invalid_bytes` |
/// | `promises` | *T* | `max_promises_per_topic` | *T* × that |
/// | `requested` | | a quarter of `max_promises_per_topic` | *T* × that |
/// | `sent_idontwant` | | `max_idontwant_per_heartbeat` | *T* × that |
/// | `peer_idontwant` | `max_idontwant_per_heartbeat` × `idontwant_ticks` | | *P* × that |
/// | `missed` | `max_missed_ids_per_peer` | | *P* × that |
/// | `peer_ids_bytes` | | | `max_peer_id_bytes`, of the two maps above together |
/// | `heartbeat_quotas` | 1 | | *P* + `max_unconnected_peers` |
/// | `peers_by_connection` | 1 | | *P* |
/// | `publish_reports` | | | the tickets of publications that are not complete, which the application holds |
/// | `subscribed` | | | `max_subscribed_items`, and `max_subscribed_bytes` |
/// | `unread_events` | | | `max_unread_events` |
/// | `topic_by_message_id` | | as `history`; 0 if message ids contain the topic | *T* × `max_history_per_topic` |
///
/// A topic may have 16 KiB of its history, seen ids, invalid messages and backoffs each, whatever other topics have: so
/// totals in bytes may be exceeded by that for each topic.
///
/// `subscribers` also counts connections that ended a moment ago, until the topics process the disconnection.
///
/// The size of an entry is bounded too. A score has counters for at most *T* topics. A message in the history has
/// counters for at most `max_iwant_peers_per_message` peers. A message under validation lists at most `max_co_senders`
/// peers in addition to the first sender. A seen id does too, except for peers whose copies came in the batch of the
/// first copy.
///
/// The size in bytes depends on the types of the network. An entry costs its key and value, and about the same again
/// for the map. A subscription costs at most 100 bytes and the topic's name. A topic of the application without entries costs
/// about 1 KiB, and one with only backoffs about 100 bytes. Other bounds apply to queued items (`max_input_items`,
/// `max_input_bytes` and `max_output_items`) and to stored decisions (`max_decisions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// Connected peers.
    pub connections: usize,
    /// Subscriptions of connected peers, as stored on the peers' side.
    pub subscriptions: usize,
    /// Size of the names of the topics in `subscriptions`, in bytes.
    pub subscriptions_bytes: usize,
    /// Scores of connected peers, and retained scores of disconnected peers.
    pub scores: usize,
    /// Trusted peers, which are dialled again when their connection is lost.
    pub trusted: usize,
    /// Unreachable points with a reconnection delay.
    pub unreachable: usize,
    /// Joined topics.
    pub joined: usize,
    /// Parked messages (of unknown validity).
    pub parked: usize,
    /// Size of the parked messages, in bytes.
    pub parked_bytes: usize,
    /// Messages that wait for the validation of their batch.
    pub batched: usize,
    /// Topics with stored state: those of the application, and those with backoffs.
    pub topics: usize,
    /// Subscriptions to topics of the application, as stored in the topics. They include connections whose disconnection is not processed yet.
    pub subscribers: usize,
    /// Mesh memberships, one for each peer and topic.
    pub mesh: usize,
    /// Fanout memberships, one for each peer and topic.
    pub fanout: usize,
    /// Backoffs, one for each peer and topic.
    pub backoffs: usize,
    /// Size of the backoffs, in bytes, with their entries.
    pub backoffs_bytes: usize,
    /// Messages in the history.
    pub history: usize,
    /// Size of the messages in the history, in bytes.
    pub history_bytes: usize,
    /// Message ids in the seen cache.
    pub seen: usize,
    /// Size of the seen cache, in bytes, with its entries.
    pub seen_bytes: usize,
    /// Messages under asynchronous validation or in a batch, as stored in the topics.
    pub validating: usize,
    /// Ids of rejected messages, with or without their content.
    pub invalid: usize,
    /// Size of the messages in the cache of invalid messages, in bytes.
    pub invalid_bytes: usize,
    /// Tracked IWANT promises.
    pub promises: usize,
    /// Messages that were requested by IWANT and have not come.
    pub requested: usize,
    /// Message ids that topics sent by IDONTWANT in this heartbeat.
    pub sent_idontwant: usize,
    /// Message ids received by IDONTWANT, counted per peer.
    pub peer_idontwant: usize,
    /// Ids of messages that connected peers were not sent because a queue was full, counted per peer.
    pub missed: usize,
    /// Size of the ids received by IDONTWANT and of those of missed messages, in bytes, with their entries.
    pub peer_ids_bytes: usize,
    /// Peers with IHAVE and IWANT counts of this heartbeat.
    pub heartbeat_quotas: usize,
    /// Connected peers by connection id.
    pub peers_by_connection: usize,
    /// Incomplete reports of publications that have a ticket.
    pub publish_reports: usize,
    /// Unread messages of topics to which the application subscribed, without those that count for `max_input_items` and
    /// `max_input_bytes` because there was no room.
    pub subscribed: usize,
    /// Size of these messages, in bytes.
    pub subscribed_bytes: usize,
    /// Unread events of those who subscribed to events.
    pub unread_events: usize,
    /// Topics by message id, for ids from which the topic can't be derived.
    pub topic_by_message_id: usize,
}

impl Footprint {
    /// The maximum of each map under `limits`, for `peers` connected peers and `topics` topics of the application:
    /// *P* and *T* of [the budget](Self#the-budget). `trusted` and `publish_reports` are `usize::MAX`, because
    /// limits do not bound them.
    ///
    /// ```
    /// use actix_gossipsub::{Limits, LimitsConfig, protocol::Footprint};
    ///
    /// let limits = Limits::<String>::try_from(LimitsConfig::default())?;
    /// let most = Footprint::at_most(&limits, 50, 10);
    /// assert_eq!(most.subscriptions, 50 * (10 + limits.max_topics_per_peer));
    /// assert_eq!(most.topics, 10 + limits.bounds.max_idle_topics);
    /// # Ok::<(), actix_gossipsub::InvalidLimits>(())
    /// ```
    pub fn at_most<T>(limits: &Limits<T>, peers: usize, topics: usize) -> Self {
        let bounds = &limits.bounds;
        let kept = if limits.extensions.keep_joined_subscriptions { topics } else { 0 };
        let subscriptions = peers.saturating_mul(limits.max_topics_per_peer.saturating_add(kept));
        let remembered = topics.saturating_add(bounds.max_idle_topics);
        let Extensions { max_idontwant_per_heartbeat, idontwant_ticks, .. } = limits.extensions;
        let per_peer = max_idontwant_per_heartbeat.saturating_mul(idontwant_ticks);
        let of_each = |bound: usize| topics.saturating_mul(bound);
        let total = |max: usize, topics: usize| max.saturating_add(topics.saturating_mul(FLOOR));
        Self {
            connections: peers,
            subscriptions,
            subscriptions_bytes: bounds
                .max_topic_name_bytes
                .saturating_add(of_each(peers).saturating_mul(OWN_TOPIC_NAME)),
            scores: peers.saturating_add(bounds.max_retained_scores),
            trusted: usize::MAX,
            unreachable: bounds.max_unreachable,
            joined: topics,
            parked: bounds.max_parked_messages,
            parked_bytes: bounds.max_parked_bytes.min(bounds.max_input_bytes / 2),
            batched: bounds.max_batch_items.saturating_mul(2),
            topics: remembered,
            subscribers: of_each(peers),
            mesh: of_each(peers),
            fanout: of_each(limits.degree_optimal.min(peers)),
            backoffs: remembered.saturating_mul(bounds.max_backoffs_per_topic),
            history: of_each(bounds.max_history_per_topic),
            backoffs_bytes: total(bounds.max_backoff_bytes, topics)
                .saturating_add(bounds.max_backoff_bytes / 4),
            history_bytes: of_each(bounds.max_history_bytes_per_topic)
                .min(total(bounds.max_history_bytes, topics)),
            seen: of_each(bounds.max_seen_per_topic),
            seen_bytes: total(bounds.max_seen_bytes, topics),
            validating: of_each(bounds.max_validating_per_topic)
                .min(bounds.max_validating)
                .max(bounds.max_batch_items.saturating_mul(2)),
            invalid: of_each(bounds.max_invalid_per_topic),
            invalid_bytes: of_each(bounds.max_invalid_bytes_per_topic)
                .min(total(bounds.max_invalid_bytes, topics)),
            promises: of_each(bounds.max_promises_per_topic),
            requested: of_each(bounds.max_promises_per_topic / REQUESTS_PART),
            sent_idontwant: of_each(limits.extensions.max_idontwant_per_heartbeat),
            peer_idontwant: peers.saturating_mul(per_peer),
            missed: peers.saturating_mul(limits.extensions.max_missed_ids_per_peer),
            peer_ids_bytes: bounds.max_peer_id_bytes,
            heartbeat_quotas: peers.saturating_add(bounds.max_unconnected_peers),
            peers_by_connection: peers,
            publish_reports: usize::MAX,
            subscribed: bounds.max_subscribed_items,
            subscribed_bytes: bounds.max_subscribed_bytes,
            unread_events: bounds.max_unread_events,
            topic_by_message_id: of_each(bounds.max_history_per_topic),
        }
    }
}

/// Implements everything that iterates over the fields.
macro_rules! maps {
    ($($map:ident)*) => {
        impl Footprint {
            /// The name and the number of entries of each map.
            pub fn maps(&self) -> impl Iterator<Item = (&'static str, usize)> {
                [$((stringify!($map), self.$map)),*].into_iter()
            }
        }

        impl AddAssign for Footprint {
            fn add_assign(&mut self, other: Self) {
                $(self.$map += other.$map;)*
            }
        }

        impl SubAssign for Footprint {
            fn sub_assign(&mut self, other: Self) {
                $(self.$map = self.$map.saturating_sub(other.$map);)*
            }
        }
    };
}

maps! {
    connections subscriptions subscriptions_bytes scores trusted unreachable joined parked parked_bytes batched topics subscribers mesh fanout backoffs backoffs_bytes history history_bytes seen seen_bytes validating invalid invalid_bytes promises requested sent_idontwant peer_idontwant missed peer_ids_bytes heartbeat_quotas peers_by_connection publish_reports subscribed subscribed_bytes unread_events topic_by_message_id
}

//! How much each map of the engine holds. Counts; never trims.

use std::ops::{AddAssign, SubAssign};

use serde::Serialize;

use crate::limits::{Extensions, Limits};

/// The number of entries of every map that can grow, summed over topics.
///
/// # The budget
///
/// What each map holds at most, whatever peers do: [`Footprint::at_most`] is the last column. In it
///
/// * *P* is the number of connected peers, which whoever admits connections bounds.
/// * *T* is the number of the application's topics: those it joined, and those it left or published to
///   that are remembered: as long as a backoff, `fanout_ttl` or `seen_history_length` heartbeats.
/// * *R* = *T* + *P* × `max_topics_per_peer` + `max_idle_topics`: the topics remembered.
///
/// | map | per peer | per topic | in total |
/// |---|---|---|---|
/// | `connections` | 1 | | *P* |
/// | `subscriptions` | `max_topics_per_peer` | *P* | *P* × `max_topics_per_peer` |
/// | `scores` | 1 | | *P* + `max_retained_scores` |
/// | `trusted` | 1 | | those that the p2p layer ever called trusted: its configuration |
/// | `unreachable` | 1 | | `max_unreachable` |
/// | `joined` | | 1 | *T* |
/// | `parked` | | | `max_parked_messages`, and `max_parked_bytes` |
/// | `batched` | | | `max_batch_items` that wait, and as many that are being judged |
/// | `topics` | | 1 | *R* |
/// | `subscribers` | `max_topics_per_peer` | *P* | *P* × `max_topics_per_peer` |
/// | `mesh` | *T* | *P*, of whom inbound: `degree_high` + `opportunistic_graft_peers` | *T* × *P* |
/// | `fanout` | *T* | `degree_optimal` | *T* × min(`degree_optimal`, *P*) |
/// | `backoffs` | *R* | `max_backoffs_per_topic` | *R* × that |
/// | `history` | | `max_history_per_topic`, and `max_history_bytes_per_topic` | *T* × that |
/// | `seen` | | `max_seen_per_topic` | *T* × that |
/// | `validating` | | `max_validating_per_topic` | min(*T* × that, `max_validating`) |
/// | `invalid` | | `max_invalid_per_topic`, and `max_invalid_bytes_per_topic` | *T* × that |
/// | `promises` | *T* | `max_promises_per_topic` | *T* × that |
/// | `sent_idontwant` | | `max_idontwant_per_heartbeat` | *T* × that |
/// | `peer_idontwant` | `max_idontwant_per_heartbeat` × `idontwant_ticks` | | *P* × that |
/// | `heartbeat_quotas` | 1 | | *P* + `max_unconnected_peers` |
/// | `peers_by_connection` | 1 | | *P* |
/// | `topic_by_message_id` | | as many as `history`, or none if ids name their topic | *T* × `max_history_per_topic` |
///
/// `subscribers` has besides, of connections that ended a moment ago, what topics have not been told of yet.
///
/// Inside an entry: a score has counters for *T* topics at most; a message of the history, for
/// `max_iwant_peers_per_message` peers; a message that waits for its verdict names `max_co_senders` peers beside the
/// first, and so does a seen id but for those whose copies came in the batch of the first.
///
/// Bytes depend on the network's types: an entry costs its key and value, and about as much again for the
/// map around them; a topic without entries about 1 KiB. What waits in queues is bounded apart, by
/// `max_input_items`, `max_input_bytes` and `max_output_items`; decisions that are remembered to be explained,
/// by `max_decisions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// Connected peers.
    pub connections: usize,
    /// Subscriptions of connected peers, as the peers' side knows them.
    pub subscriptions: usize,
    /// Scores of connected and remembered peers.
    pub scores: usize,
    /// Peers to stay connected to.
    pub trusted: usize,
    /// Points left alone for a while.
    pub unreachable: usize,
    /// Joined topics.
    pub joined: usize,
    /// Messages of unknown validity.
    pub parked: usize,
    /// The bytes that they hold.
    pub parked_bytes: usize,
    /// Messages that wait for their batch's verdict.
    pub batched: usize,
    /// Topics that anything is remembered of.
    pub topics: usize,
    /// Subscriptions of connected peers, and of those whose end is on its way, as the topics know them.
    pub subscribers: usize,
    /// Places in meshes.
    pub mesh: usize,
    /// Places in fanouts.
    pub fanout: usize,
    /// Backoffs.
    pub backoffs: usize,
    /// Messages in the history.
    pub history: usize,
    /// The bytes that they hold.
    pub history_bytes: usize,
    /// Ids in the seen window.
    pub seen: usize,
    /// Messages that wait for a verdict that comes later.
    pub validating: usize,
    /// Invalid messages that are remembered.
    pub invalid: usize,
    /// The bytes that they hold.
    pub invalid_bytes: usize,
    /// Requests that are watched.
    pub promises: usize,
    /// Message ids that topics sent by IDONTWANT in this heartbeat.
    pub sent_idontwant: usize,
    /// Message ids received by IDONTWANT, counted per peer.
    pub peer_idontwant: usize,
    /// Peers with IHAVE and IWANT counts of this heartbeat.
    pub heartbeat_quotas: usize,
    /// Connected peers by connection id.
    pub peers_by_connection: usize,
    /// Topics by message id, for ids from which the topic can't be derived.
    pub topic_by_message_id: usize,
}

impl Footprint {
    /// The most that each map can hold under `limits`, for so many connected peers and so many topics of the
    /// application's: *P* and *T* of [the budget](Self#the-budget). `usize::MAX` for the one that limits don't
    /// bound.
    ///
    /// ```
    /// use actix_gossipsub::{Limits, LimitsConfig, protocol::Footprint};
    ///
    /// let limits = Limits::<String>::try_from(LimitsConfig::default())?;
    /// let most = Footprint::at_most(&limits, 50, 10);
    /// assert_eq!(most.subscriptions, 50 * limits.max_topics_per_peer);
    /// assert_eq!(most.topics, 10 + most.subscriptions + limits.bounds.max_idle_topics);
    /// # Ok::<(), actix_gossipsub::InvalidLimits>(())
    /// ```
    pub fn at_most<T>(limits: &Limits<T>, peers: usize, topics: usize) -> Self {
        let bounds = &limits.bounds;
        let subscriptions = peers.saturating_mul(limits.max_topics_per_peer);
        let remembered = topics.saturating_add(subscriptions).saturating_add(bounds.max_idle_topics);
        let Extensions { max_idontwant_per_heartbeat, idontwant_ticks, .. } = limits.extensions;
        let per_peer = max_idontwant_per_heartbeat.saturating_mul(idontwant_ticks);
        let of_each = |bound: usize| topics.saturating_mul(bound);
        Self {
            connections: peers,
            subscriptions,
            scores: peers.saturating_add(bounds.max_retained_scores),
            trusted: usize::MAX,
            unreachable: bounds.max_unreachable,
            joined: topics,
            parked: bounds.max_parked_messages,
            parked_bytes: bounds.max_parked_bytes,
            batched: bounds.max_batch_items.saturating_mul(2),
            topics: remembered,
            subscribers: subscriptions,
            mesh: of_each(peers),
            fanout: of_each(limits.degree_optimal.min(peers)),
            backoffs: remembered.saturating_mul(bounds.max_backoffs_per_topic),
            history: of_each(bounds.max_history_per_topic),
            history_bytes: of_each(bounds.max_history_bytes_per_topic),
            seen: of_each(bounds.max_seen_per_topic),
            validating: of_each(bounds.max_validating_per_topic).min(bounds.max_validating),
            invalid: of_each(bounds.max_invalid_per_topic),
            invalid_bytes: of_each(bounds.max_invalid_bytes_per_topic),
            promises: of_each(bounds.max_promises_per_topic),
            sent_idontwant: of_each(limits.extensions.max_idontwant_per_heartbeat),
            peer_idontwant: peers.saturating_mul(per_peer),
            heartbeat_quotas: peers.saturating_add(bounds.max_unconnected_peers),
            peers_by_connection: peers,
            topic_by_message_id: of_each(bounds.max_history_per_topic),
        }
    }
}

/// The fields, once for all that goes over them.
macro_rules! maps {
    ($($map:ident)*) => {
        impl Footprint {
            /// Each map's name with what it holds.
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
    connections subscriptions scores trusted unreachable joined parked parked_bytes batched topics subscribers mesh fanout backoffs history history_bytes seen validating invalid invalid_bytes promises sent_idontwant peer_idontwant heartbeat_quotas peers_by_connection topic_by_message_id
}

//! The most memory that an engine uses, in bytes: what its limits in bytes allow, and the entries of its other maps.

use super::footprint::Footprint;
use crate::{
    admission::totals::FLOOR,
    limits::Limits,
    network::Network,
    protocol::{connection::ConnectionId, event::Event, outcome::decision::EventRecord},
};

/// The most bytes of heap memory that an engine uses, by part. Made by [`Footprint::bytes_at_most`].
///
/// | part | formula |
/// |---|---|
/// | `inputs` | `max_input_bytes`: queued inputs, messages without a verdict, parked ones, and those in the streams |
/// | `publications` | 7/8 of `max_output_bytes`, or `max_input_bytes` if that is less |
/// | `outputs` | `max_output_bytes`: answers to IWANT, gossip and control messages in the p2p stream |
/// | `streams` | `max_subscribed_bytes`, and the queues of `max_subscribed_items` and of `max_unread_events` |
/// | `history`, `seen`, `invalid` | `max_history_bytes`, `max_seen_bytes`, `max_invalid_bytes`, and 16 KiB for each topic |
/// | `backoffs` | 5/4 of `max_backoff_bytes`, and 16 KiB for each topic |
/// | `peer_ids` | `max_peer_id_bytes` |
/// | `connections` | 2 KiB for each connection |
/// | `subscriptions` | `max_topic_name_bytes`, for each connection 128 bytes of name a topic of the application, and twice the size of a topic and of an index for each subscription |
/// | `scores` | 1 KiB for each score, and 160 bytes for each of its topics |
/// | `topics` | 4 KiB for each topic, and the entries of its mesh (or of the peers that speak floodsub, which are in no mesh), fanout, promises, requests, answered GRAFTs and sent IDONTWANTs |
/// | `fixed` | 4 MiB, the queues of `max_input_items`, the ids of messages that await a verdict, `max_decisions`, and unreachable points |
///
/// Not included are the memory of the application, of the transport, and of what the application decides on: trusted peers and
/// publish tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryBound {
    /// Queued inputs and messages that the engine keeps until they are delivered, forwarded or dropped.
    pub inputs: usize,
    /// The same for publications of the application.
    pub publications: usize,
    /// Outputs in the p2p stream that are neither.
    pub outputs: usize,
    /// Unread messages of topics to which the application subscribed, and unread events.
    pub streams: usize,
    /// Messages that peers can request.
    pub history: usize,
    /// Ids of handled messages.
    pub seen: usize,
    /// Rejected messages.
    pub invalid: usize,
    /// Backoffs of peers.
    pub backoffs: usize,
    /// Ids of IDONTWANTs and of missed messages.
    pub peer_ids: usize,
    /// Connections, without their subscriptions.
    pub connections: usize,
    /// Subscriptions of peers.
    pub subscriptions: usize,
    /// Scores of connected and disconnected peers.
    pub scores: usize,
    /// The state of topics, without the parts above.
    pub topics: usize,
    /// The part that depends on neither connections nor topics.
    pub fixed: usize,
}

const CONNECTION: usize = 2048;
const SCORE: usize = 1024;
/// The counters of a peer in a topic, with the peer's key.
pub(in crate::protocol) const TOPIC_COUNTERS: usize = 80;
const TOPIC: usize = 4096;
/// The number of connections whose GRAFTs a topic answers by a PRUNE in one heartbeat, and of those whose SUBSCRIBEs it
/// answers by a GRAFT. It is larger than usual numbers of connections, so it matters only if peers reconnect all the time.
pub(in crate::protocol) const MAX_ANSWERED: usize = 4096;
/// The number of own messages of a topic that are offered to later subscribers, because they were sent to few.
pub(in crate::protocol) const MAX_UNSERVED: usize = 64;
/// A topic tracks `max_promises_per_topic` divided by this number of requested messages: an entry may have several peers.
pub(in crate::protocol) const REQUESTS_PART: usize = 4;
/// The further offerers that are remembered of a message that is requested from one peer.
pub(in crate::protocol) const MAX_OFFERERS: usize = 4;
const FIXED: usize = 4 * 1024 * 1024;
/// An entry of a queue of inputs or outputs.
const QUEUED: usize = 128;

impl MemoryBound {
    /// The sum of all parts.
    pub fn total(&self) -> usize {
        let parts = [
            self.inputs,
            self.publications,
            self.outputs,
            self.streams,
            self.history,
            self.seen,
            self.invalid,
            self.backoffs,
            self.peer_ids,
            self.connections,
            self.subscriptions,
            self.scores,
            self.topics,
            self.fixed,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }
}

impl Footprint {
    /// The most heap memory that an engine for the network `N` uses under `limits`, for `connections` connected peers and
    /// `topics` topics of the application.
    ///
    /// ```
    /// use actix_gossipsub::{Limits, LimitsConfig, plain::PlainNetwork, protocol::Footprint};
    ///
    /// let limits = Limits::<String>::try_from(LimitsConfig::default())?;
    /// let most = Footprint::bytes_at_most::<PlainNetwork>(&limits, 1024, 100);
    /// assert!(most.total() <= 1024 * 1024 * 1024);
    /// # Ok::<(), actix_gossipsub::InvalidLimits>(())
    /// ```
    pub fn bytes_at_most<N: Network>(
        limits: &Limits<N::Topic>,
        connections: usize,
        topics: usize,
    ) -> MemoryBound {
        let (bounds, most) = (&limits.bounds, Self::at_most(limits, connections, topics));
        let (peer, topic) = (size_of::<N::Peer>(), size_of::<N::Topic>());
        let (id, point) = (size_of::<N::MessageId>(), size_of::<N::Point>());
        // A map costs its keys and values, and about as much again for what is unused.
        let entries = |count: usize, bytes: usize| count.saturating_mul(bytes).saturating_mul(2);
        let event = size_of::<EventRecord<N>>().max(size_of::<Event<N>>()) + 16;
        let max_output = bounds.max_output_bytes;
        let member = peer + size_of::<ConnectionId>();
        let promise = 2 * (peer + id) + 64;
        let answered = topics.saturating_mul(3 * MAX_ANSWERED);
        let unserved_offers = limits.degree_optimal.saturating_mul(size_of::<ConnectionId>());
        let retained = most.scores.saturating_mul(topics);
        MemoryBound {
            inputs: bounds.max_input_bytes,
            publications: bounds.max_input_bytes.min(max_output - max_output / 8),
            outputs: max_output,
            streams: bounds
                .max_subscribed_bytes
                .saturating_add(entries(bounds.max_subscribed_items, QUEUED))
                // The events of a full queue are preceded by the number of those that are missed.
                .saturating_add(entries(bounds.max_unread_events, 2 * event)),
            history: bounds.max_history_bytes.saturating_add(topics.saturating_mul(FLOOR)),
            seen: most.seen_bytes,
            invalid: bounds.max_invalid_bytes.saturating_add(topics.saturating_mul(FLOOR)),
            backoffs: most.backoffs_bytes,
            peer_ids: most.peer_ids_bytes,
            connections: connections
                .saturating_mul(CONNECTION)
                .saturating_add(entries(most.heartbeat_quotas, peer + 16)),
            subscriptions: most
                .subscriptions_bytes
                .saturating_add(entries(most.subscriptions, topic + 8))
                .saturating_add(entries(most.subscribers, size_of::<ConnectionId>())),
            scores: most.scores.saturating_mul(SCORE).saturating_add(entries(retained, TOPIC_COUNTERS)),
            topics: topics
                .saturating_mul(TOPIC)
                .saturating_add(entries(bounds.max_idle_topics, topic + 48))
                .saturating_add(entries(most.mesh.saturating_add(most.fanout), member))
                .saturating_add(entries(most.promises, promise))
                .saturating_add(entries(most.requested, id + 64 + peer * (1 + MAX_OFFERERS)))
                .saturating_add(entries(answered, size_of::<ConnectionId>()))
                .saturating_add(entries(topics.saturating_mul(MAX_UNSERVED), id + 40 + unserved_offers))
                .saturating_add(entries(most.sent_idontwant, id)),
            fixed: FIXED
                .saturating_add(entries(bounds.max_input_items, QUEUED))
                .saturating_add(entries(most.parked.saturating_add(most.validating), id + 8))
                .saturating_add(entries(bounds.max_decisions, size_of::<EventRecord<N>>()))
                .saturating_add(entries(bounds.max_unreachable, 2 * point + 32)),
        }
    }
}

//! How much each map of the engine holds. Counts; never trims.

use std::ops::AddAssign;

use serde::Serialize;

use crate::limits::Limits;

/// The number of entries of every map that can grow, summed over topics.
///
/// # The budget
///
/// What each map holds at most, whatever peers do: [`Footprint::at_most`] is the last column. In it
///
/// * *P* is the number of peers that are connected, or left and are remembered: `retain_duration` for a
///   score; for a backoff, the longest of `prune_backoff`, `unsubscribe_backoff` and
///   `max_remote_backoff`, two heartbeats and `backoff_cleanup_ticks`. No limit bounds how many come and
///   go in that time: who admits connections does.
/// * *T* is the number of the application's topics: those it joined, and those it left or published to
///   that are remembered: as long as a backoff, `fanout_ttl` or `seen_history_length` heartbeats.
/// * *R* = *T* + *P* × `max_topics_per_peer` + `max_idle_topics`: the topics remembered.
///
/// | map | per peer | per topic | in total |
/// |---|---|---|---|
/// | `connections` | 1 | | *P* |
/// | `subscriptions` | `max_topics_per_peer` | *P* | *P* × `max_topics_per_peer` |
/// | `scores` | 1 | | *P* |
/// | `trusted` | 1 | | those that the p2p layer ever called trusted |
/// | `unreachable` | 1 | | the points reported as such within `unreachable_reset_ticks` |
/// | `joined` | | 1 | *T* |
/// | `parked` | | | `max_parked_messages` |
/// | `batched` | | | `max_batch_items`, if a batch is judged as soon as it is due |
/// | `topics` | | 1 | *R* |
/// | `subscribers` | `max_topics_per_peer` | *P* | *P* × `max_topics_per_peer` |
/// | `mesh` | *T* | *P*, of whom inbound: `degree_high` + `opportunistic_graft_peers` | *T* × *P* |
/// | `fanout` | *T* | `degree_optimal` | *T* × min(`degree_optimal`, *P*) |
/// | `backoffs` | *R* | *P* | *R* × *P* |
/// | `history` | | messages accepted or published in `history_length` heartbeats | their rate × time |
/// | `seen` | | messages accepted or published in `seen_history_length` heartbeats | their rate × time |
/// | `validating` | | `max_validating_per_topic` | min(*T* × that, `max_validating`) |
/// | `quotas` | 1 | | *P* + `max_strangers` |
/// | `homes` | | as many as `history`, or none if ids name their topic | as many as `history` |
///
/// Inside an entry: a score has counters for *T* topics at most; a message of the history, for
/// `max_requesters` peers; a parked one names `max_co_senders` peers, a batched, validated or seen one
/// those who delivered it before its verdict. Backoffs are the dear ones: a peer pays an input for each,
/// and it is gone soon after its end, so that their number is that of the refused grafts of that time.
///
/// Bytes depend on the network's types: an entry costs its key and value, and about as much again for the
/// map around them; a topic without entries about 1 KiB. What waits in queues is bounded apart, by
/// `max_input_items`, `max_input_bytes` and `max_output_items`.
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
    /// Messages that wait for their batch's verdict.
    pub batched: usize,
    /// Topics that anything is remembered of.
    pub topics: usize,
    /// Subscriptions of connected peers, as the topics know them.
    pub subscribers: usize,
    /// Places in meshes.
    pub mesh: usize,
    /// Places in fanouts.
    pub fanout: usize,
    /// Backoffs.
    pub backoffs: usize,
    /// Messages in the history.
    pub history: usize,
    /// Ids in the seen window.
    pub seen: usize,
    /// Messages that wait for a verdict that comes later.
    pub validating: usize,
    /// Peers whose IHAVEs were counted in this heartbeat.
    pub quotas: usize,
    /// Messages whose ids don't name their topic.
    pub homes: usize,
}

impl Footprint {
    /// The most that each map can hold under `limits`, for so many peers that are connected or
    /// remembered and so many topics of the application's: *P* and *T* of [the budget](Self#the-budget).
    /// `usize::MAX` for a map that limits alone don't bound.
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
        let validating = topics.saturating_mul(bounds.max_validating_per_topic);
        Self {
            connections: peers,
            subscriptions,
            scores: peers,
            trusted: usize::MAX,
            unreachable: usize::MAX,
            joined: topics,
            parked: bounds.max_parked_messages,
            batched: bounds.max_batch_items,
            topics: remembered,
            subscribers: subscriptions,
            mesh: topics.saturating_mul(peers),
            fanout: topics.saturating_mul(limits.degree_optimal.min(peers)),
            backoffs: remembered.saturating_mul(peers),
            history: usize::MAX,
            seen: usize::MAX,
            validating: validating.min(bounds.max_validating),
            quotas: peers.saturating_add(bounds.max_strangers),
            homes: usize::MAX,
        }
    }
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.subscriptions += other.subscriptions;
        self.scores += other.scores;
        self.trusted += other.trusted;
        self.unreachable += other.unreachable;
        self.joined += other.joined;
        self.parked += other.parked;
        self.batched += other.batched;
        self.topics += other.topics;
        self.subscribers += other.subscribers;
        self.mesh += other.mesh;
        self.fanout += other.fanout;
        self.backoffs += other.backoffs;
        self.history += other.history;
        self.seen += other.seen;
        self.validating += other.validating;
        self.quotas += other.quotas;
        self.homes += other.homes;
    }
}

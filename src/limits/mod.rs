//! The parameters of an engine. [`LimitsConfig`] is what a person writes; [`Limits`] is the same after validation, and
//! the only form that an engine accepts.
//!
//! Field names are those of the reference implementation (Octez). The documentation of each field gives the name in the
//! gossipsub specification. The files in `config/` have the same values as the presets, with the reason for each.

mod bounds;
pub(crate) mod check;
mod extensions;
mod pattern;
mod presets;
mod runtime;
mod score;
mod subnet;
mod topics;

use std::{fmt, ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

pub use bounds::Bounds;
pub use check::{InvalidLimits, Violation};
pub use extensions::Extensions;
pub use pattern::TopicPattern;
pub use runtime::RuntimeLimits;
pub(crate) use score::PatternIndex;
pub use score::{PatternScore, ScoreLimits, TopicFamily, TopicScoreLimits, TopicScores};
pub use subnet::Subnet;
pub use topics::{Degrees, PatternOverrides, TopicLimits, TopicOverrides, TopicParameters};

/// Validated parameters. They are immutable: to change one, call [`into_config`](Self::into_config), change the config
/// and validate it again. A running engine takes new values of some of them
/// ([`Worker::change_limits`](crate::Worker::change_limits)).
///
/// ```
/// use actix_gossipsub::limits::{Limits, LimitsConfig};
///
/// let config = LimitsConfig::<String>::default().with(|c| {
///     c.degree_optimal = 8;
///     c.degree_low = 6;
/// });
/// let limits = Limits::try_from(config)?;
/// assert_eq!(limits.degree_optimal, 8);
/// # Ok::<(), actix_gossipsub::limits::InvalidLimits>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits<T> {
    config: LimitsConfig<T>,
    /// Whether IDONTWANT is used on any topic. An IDONTWANT of a peer names no topic.
    uses_idontwant: bool,
}

impl<T> Limits<T> {
    /// Returns the parameters as a config that can be changed.
    pub fn into_config(self) -> LimitsConfig<T> {
        self.config
    }

    fn new(config: LimitsConfig<T>) -> Self {
        Self { uses_idontwant: config.uses_idontwant(), config }
    }

    /// Whether IDONTWANT is used on any topic.
    pub(crate) fn uses_idontwant(&self) -> bool {
        self.uses_idontwant
    }

    /// Whether a subscription counts for `max_topics_per_peer`. `joined`: we have joined its topic.
    pub(crate) fn counts_subscription(&self, joined: bool) -> bool {
        !(joined && self.extensions.keep_joined_subscriptions)
    }

    /// Whether a peer with this number of subscriptions that count may subscribe to one more topic. `joined`: we have joined
    /// that topic.
    pub(crate) fn is_below_topic_limit(&self, counted: usize, joined: bool) -> bool {
        counted < self.max_topics_per_peer || !self.counts_subscription(joined)
    }

    /// How long after its end a backoff is kept: this node does not graft the peer meanwhile.
    pub(crate) fn backoff_slack(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.extensions.backoff_slack_ticks)
    }

    /// Converts the topic names. See [`LimitsConfig::map_topics`].
    ///
    /// # Errors
    ///
    /// Returns the first error of `map`.
    pub fn map_topics<U: Ord, E>(self, map: impl FnMut(T) -> Result<U, E>) -> Result<Limits<U>, E> {
        // No rule depends on the name of a topic: valid parameters remain valid.
        self.config.map_topics(map).map(Limits::new)
    }
}

impl<T> Deref for Limits<T> {
    type Target = LimitsConfig<T>;

    fn deref(&self) -> &Self::Target {
        &self.config
    }
}

impl<T: fmt::Debug> TryFrom<LimitsConfig<T>> for Limits<T> {
    type Error = InvalidLimits;

    /// Validates the parameters.
    ///
    /// # Errors
    ///
    /// Returns all violations, not only the first.
    fn try_from(config: LimitsConfig<T>) -> Result<Self, Self::Error> {
        check::check(&config)?;
        Ok(Self::new(config))
    }
}

/// The parameters of an engine before validation.
///
/// In a file, a missing field has its value of [`LimitsConfig::default`], and an unknown field is an error. Durations
/// are written as `"700ms"`, `"1m"` or `"1h 30m"`. Counts are unsigned: a negative value, which the reference accepts
/// for some fields, is an error when the file is read. A tick is one heartbeat.
///
/// `T` is the topic type; only [`LimitsConfig::score`] and [`LimitsConfig::topics`] use it. Files contain strings, and
/// [`map_topics`](Self::map_topics) converts them.
///
/// Fields may be added in a minor version: start from a preset and change it with [`with`](Self::with).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct LimitsConfig<T = String> {
    // -- Mesh --
    /// D: the target number of peers in a mesh. Each node sends a message about D times.
    pub degree_optimal: usize,
    /// D_lo: if a mesh has fewer peers, the next heartbeat grafts up to D. At most D.
    pub degree_low: usize,
    /// D_hi: if a mesh has this number of peers ([`Extensions::prune_at_degree_high`]) or more, the next heartbeat prunes down to D.
    /// At least D.
    pub degree_high: usize,
    /// D_score: the number of peers with the highest scores that a prune down to D keeps. At most D
    /// ([`Extensions::degree_score_and_out_may_overlap`]).
    pub degree_score: usize,
    /// D_out: the minimum number of outbound peers (that we dialled) in a mesh. Below D_lo or 0, and at most D / 2.
    pub degree_out: usize,

    // -- Heartbeat --
    /// The interval between two heartbeats (ticks). Above 0.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// The number of ticks between two pings to all peers. Above 0.
    pub heartbeat_ping_interval: u64,
    /// The number of ticks between two removals of expired backoffs. Above 0.
    pub backoff_cleanup_ticks: u64,
    /// DecayInterval, in ticks: the interval at which score counters decay and expired scores are removed. Above 0.
    pub score_cleanup_ticks: u64,

    // -- Gossip --
    /// D_lazy: the minimum number of peers outside the mesh that each heartbeat sends an IHAVE to.
    pub degree_lazy: usize,
    /// GossipFactor: the fraction of the peers outside the mesh that each heartbeat sends an IHAVE to, if that is more
    /// than D_lazy. A negative value counts as 0.
    pub gossip_factor: f64,
    /// mcache_len: the number of ticks for which a message is answered to an IWANT. Above 0.
    pub history_length: usize,
    /// mcache_gossip: the number of ticks for which a message is announced by IHAVE. At least 1, at most mcache_len.
    pub history_gossip_length: usize,
    /// seen_ttl, in ticks: the time for which copies of a message are recognised. Above 0.
    pub seen_history_length: usize,
    /// MaxIHaveMessages: the number of IHAVEs that are accepted from one peer within one heartbeat. The rest is
    /// ignored.
    pub max_recv_ihave_per_heartbeat: u32,
    /// MaxIHaveLength: the number of ids that are requested from one peer within one heartbeat.
    pub max_sent_iwant_per_heartbeat: u32,
    /// GossipRetransmission: the number of times that one message is sent to one peer in response to IWANTs.
    pub max_gossip_retransmission: u32,

    // -- Fanout, backoff --
    /// fanout_ttl: the time after the last publication at which the peers of a fanout are dropped. A fanout belongs to
    /// a topic on which we publish without having joined it.
    #[serde(with = "humantime_serde")]
    pub fanout_ttl: Duration,
    /// PruneBackoff: the time after a PRUNE in which neither peer may graft the other.
    #[serde(with = "humantime_serde")]
    pub prune_backoff: Duration,
    /// UnsubscribeBackoff: the backoff of the PRUNEs that we send when we leave a topic.
    #[serde(with = "humantime_serde")]
    pub unsubscribe_backoff: Duration,
    /// GraftFloodThreshold: a GRAFT within this time after the PRUNE counts as two misbehaviours (P7). A later GRAFT
    /// within the backoff counts as one.
    #[serde(with = "humantime_serde")]
    pub graft_flood_threshold: Duration,

    // -- Peer exchange --
    /// DoPX: whether the PRUNEs that we send recommend other peers of the topic.
    pub do_px: bool,
    /// PrunePeers: the maximum number of peers that a PRUNE of ours recommends, and that we accept from a PRUNE.
    pub peers_to_px: usize,

    // -- Score thresholds --
    /// GossipThreshold: a peer with a lower score is sent no gossip, and its gossip (IHAVE, IWANT) is ignored.
    pub gossip_threshold: f64,
    /// PublishThreshold: a peer with a lower score is not sent the messages that we publish. Usually below
    /// GossipThreshold.
    pub publish_threshold: f64,
    /// AcceptPXThreshold: the recommendations of a peer with a lower score are ignored.
    pub accept_px_threshold: f64,
    /// RetainScore: the time for which the score of a disconnected peer is retained.
    #[serde(with = "humantime_serde")]
    pub retain_duration: Duration,

    // -- Opportunistic grafting --
    /// OpportunisticGraftTicks: the number of ticks between two checks of the median score in a mesh. Above 0.
    pub opportunistic_graft_ticks: u64,
    /// OpportunisticGraftPeers: the number of peers with a score above the median that are grafted if the median is
    /// low.
    pub opportunistic_graft_peers: usize,
    /// OpportunisticGraftThreshold: a median below this value is low.
    pub opportunistic_graft_threshold: f64,

    // -- Peers --
    /// The maximum number of topics that one peer can subscribe to. Further subscriptions are ignored. Topics that we have
    /// joined do not count ([`Extensions::keep_joined_subscriptions`]). Above 0.
    pub max_topics_per_peer: usize,

    /// The topics for which some of the parameters above and below differ.
    pub topics: TopicLimits<T>,
    /// The peer score (P1 to P7).
    pub score: ScoreLimits<T>,
    /// Behaviour that the reference implementation does not have.
    pub extensions: Extensions,
    /// Bounds of memory and time that the specification does not define.
    pub bounds: Bounds,
}

impl<T> LimitsConfig<T> {
    /// Applies `change` and returns the result: `LimitsConfig::default().with(|c| c.bounds.max_co_senders = 8)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Converts the topic names with `map`. If `map` returns the same value for two topics, the parameters and the
    /// weight of the greater name apply.
    ///
    /// # Errors
    ///
    /// Returns the first error of `map`.
    pub fn map_topics<U: Ord, E>(self, mut map: impl FnMut(T) -> Result<U, E>) -> Result<LimitsConfig<U>, E> {
        Ok(LimitsConfig {
            degree_optimal: self.degree_optimal,
            degree_low: self.degree_low,
            degree_high: self.degree_high,
            degree_score: self.degree_score,
            degree_out: self.degree_out,
            heartbeat_interval: self.heartbeat_interval,
            heartbeat_ping_interval: self.heartbeat_ping_interval,
            backoff_cleanup_ticks: self.backoff_cleanup_ticks,
            score_cleanup_ticks: self.score_cleanup_ticks,
            degree_lazy: self.degree_lazy,
            gossip_factor: self.gossip_factor,
            history_length: self.history_length,
            history_gossip_length: self.history_gossip_length,
            seen_history_length: self.seen_history_length,
            max_recv_ihave_per_heartbeat: self.max_recv_ihave_per_heartbeat,
            max_sent_iwant_per_heartbeat: self.max_sent_iwant_per_heartbeat,
            max_gossip_retransmission: self.max_gossip_retransmission,
            fanout_ttl: self.fanout_ttl,
            prune_backoff: self.prune_backoff,
            unsubscribe_backoff: self.unsubscribe_backoff,
            graft_flood_threshold: self.graft_flood_threshold,
            do_px: self.do_px,
            peers_to_px: self.peers_to_px,
            gossip_threshold: self.gossip_threshold,
            publish_threshold: self.publish_threshold,
            accept_px_threshold: self.accept_px_threshold,
            retain_duration: self.retain_duration,
            opportunistic_graft_ticks: self.opportunistic_graft_ticks,
            opportunistic_graft_peers: self.opportunistic_graft_peers,
            opportunistic_graft_threshold: self.opportunistic_graft_threshold,
            max_topics_per_peer: self.max_topics_per_peer,
            topics: self.topics.map_topics(&mut map)?,
            score: self.score.map_topics(&mut map)?,
            extensions: self.extensions,
            bounds: self.bounds,
        })
    }
}

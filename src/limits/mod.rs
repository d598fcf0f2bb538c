//! The parameters of an engine: [`LimitsConfig`] as a person writes it, [`Limits`] as the engine takes it.
//!
//! Nothing here reads a file, and nothing below this module ever sees a value that was not checked: a
//! [`Limits`] exists only if every rule of `check.rs` holds. Names are those of the reference (Octez); the
//! letters of the gossipsub specification are given once, here and in `score.rs`.

mod check;
mod extensions;
mod presets;
mod score;

use std::{fmt, ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

pub use check::{InvalidLimits, Violation};
pub use extensions::Extensions;
pub use score::{ScoreLimits, TopicFamily, TopicScoreLimits, TopicScores};

/// Validated parameters. Immutable: to change one, take the config out, change it, and validate again.
///
/// ```
/// use actix_gossipsub::limits::{Limits, LimitsConfig};
///
/// let config = LimitsConfig::<String> { degree_optimal: 8, degree_low: 6, ..LimitsConfig::default() };
/// let limits = Limits::try_from(config)?;
/// assert_eq!(limits.degree_optimal, 8);
/// # Ok::<(), actix_gossipsub::limits::InvalidLimits>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits<T>(LimitsConfig<T>);

impl<T> Limits<T> {
    /// The parameters, to be changed.
    pub fn into_config(self) -> LimitsConfig<T> {
        self.0
    }

    /// The same parameters for another type of topic. See [`LimitsConfig::map_topics`].
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_topics<U: Ord, E>(self, map: impl FnMut(T) -> Result<U, E>) -> Result<Limits<U>, E> {
        // No rule of validation is about a topic's name: what was valid stays so.
        self.0.map_topics(map).map(Limits)
    }
}

impl<T> Deref for Limits<T> {
    type Target = LimitsConfig<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: fmt::Debug> TryFrom<LimitsConfig<T>> for Limits<T> {
    type Error = InvalidLimits;

    /// # Errors
    /// Every rule that does not hold, at once.
    fn try_from(config: LimitsConfig<T>) -> Result<Self, Self::Error> {
        check::check(&config)?;
        Ok(Self(config))
    }
}

/// The parameters of an engine, not yet checked.
///
/// A field left out of a file has its value in [`LimitsConfig::default`]; a field that is not known is
/// refused. Spans are written as `"700ms"`, `"1m"`, `"1h 30m"`. Counts are unsigned, so a negative one, which
/// the reference takes for some fields, does not get this far: it is refused when the file is read.
///
/// `T` is the type of a topic, named in [`LimitsConfig::score`] only. Files have strings;
/// [`map_topics`](Self::map_topics) makes them topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, bound(deserialize = "T: Deserialize<'de> + Ord"))]
#[non_exhaustive]
pub struct LimitsConfig<T = String> {
    // -- Mesh --
    /// D: the number of peers a mesh is brought to. Each message is sent about so many times by each node.
    pub degree_optimal: usize,
    /// D_lo: a mesh with fewer peers grafts at the next heartbeat. At most D.
    pub degree_low: usize,
    /// D_hi: a mesh with more peers prunes to D at the next heartbeat. At least D.
    pub degree_high: usize,
    /// D_score: how many of the best scored peers are kept when pruning. D_score + D_out is at most D.
    pub degree_score: usize,
    /// D_out: how many peers that we dialled are kept in a mesh. At most D_lo and D / 2.
    pub degree_out: usize,

    // -- Heartbeat --
    /// The time between two heartbeats ("ticks"). Above 0.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// Every so many ticks, all peers are sent a ping. Above 0.
    pub heartbeat_ping_interval: u64,
    /// Every so many ticks, expired backoffs are forgotten. Above 0.
    pub backoff_cleanup_ticks: u64,
    /// Every so many ticks, scores decay (the spec's DecayInterval) and expired ones are forgotten. Above 0.
    pub score_cleanup_ticks: u64,

    // -- Gossip --
    /// D_lazy: at least so many peers outside the mesh are sent IHAVE at each heartbeat.
    pub degree_lazy: usize,
    /// GossipFactor: this part of the peers outside the mesh are, if that is more than D_lazy. Below 0 is
    /// as 0.
    pub gossip_factor: f64,
    /// mcache_len: for so many ticks a message can be had by IWANT. Above 0.
    pub history_length: usize,
    /// mcache_gossip: for so many ticks a message is announced by IHAVE. In 1..=mcache_len.
    pub history_gossip_length: usize,
    /// seen_ttl in ticks: for so long the copies of a message are recognised. Above 0.
    pub seen_history_length: usize,
    /// MaxIHaveMessages: further IHAVEs of a peer within one heartbeat are ignored.
    pub max_recv_ihave_per_heartbeat: u32,
    /// MaxIHaveLength: so many ids are requested from one peer within one heartbeat.
    pub max_sent_iwant_per_heartbeat: u32,
    /// GossipRetransmission: so many times one message is sent to one peer that asks for it.
    pub max_gossip_retransmission: u32,

    // -- Fanout, backoff --
    /// fanout_ttl: peers chosen for a topic that is published on but not joined are forgotten after this.
    #[serde(with = "humantime_serde")]
    pub fanout_ttl: Duration,
    /// PruneBackoff: after a PRUNE, no GRAFT between the two for this long.
    #[serde(with = "humantime_serde")]
    pub prune_backoff: Duration,
    /// UnsubscribeBackoff: the same, when the PRUNE is sent because we leave the topic.
    #[serde(with = "humantime_serde")]
    pub unsubscribe_backoff: Duration,
    /// GraftFloodThreshold: a GRAFT that comes during a backoff and this soon after the PRUNE is penalised
    /// (P7) twice.
    #[serde(with = "humantime_serde")]
    pub graft_flood_threshold: Duration,

    // -- Peer exchange --
    /// DoPX: whether a PRUNE names other peers of the topic.
    pub do_px: bool,
    /// PrunePeers: so many peers are named, and so many of those named to us are taken.
    pub peers_to_px: usize,

    // -- Thresholds of the score --
    /// GossipThreshold: a peer with a lower score neither gives nor gets gossip (IHAVE, IWANT).
    pub gossip_threshold: f64,
    /// PublishThreshold: a peer with a lower score is not sent what we publish. Usually below the gossip
    /// threshold.
    pub publish_threshold: f64,
    /// AcceptPXThreshold: peers named by a peer with a lower score are not connected to.
    pub accept_px_threshold: f64,
    /// RetainScore: a disconnected peer's score is kept for this long.
    #[serde(with = "humantime_serde")]
    pub retain_duration: Duration,

    // -- Opportunistic grafting --
    /// OpportunisticGraftTicks: every so many ticks, a mesh with a low median score is improved. Above 0.
    pub opportunistic_graft_ticks: u64,
    /// OpportunisticGraftPeers: by grafting so many peers with a score above the median.
    pub opportunistic_graft_peers: usize,
    /// OpportunisticGraftThreshold: a median below this is low.
    pub opportunistic_graft_threshold: f64,

    // -- Peers --
    /// A peer's subscriptions beyond so many topics are ignored. Above 0.
    pub max_topics_per_peer: usize,

    /// The peer score (P1 to P5, P7).
    pub score: ScoreLimits<T>,
    /// What this engine does beyond the reference.
    pub extensions: Extensions,
    /// Bounds of this engine, which the specification does not have.
    pub bounds: Bounds,
}

impl<T> LimitsConfig<T> {
    /// Returns these parameters with `change` applied: `LimitsConfig::default().with(|c| c.bounds.max_co_senders = 8)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same parameters, each topic named in them replaced by what `map` makes of it. If it makes the same
    /// of two topics, the parameters and the weight of the greater one hold.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_topics<U: Ord, E>(self, mut map: impl FnMut(T) -> Result<U, E>) -> Result<LimitsConfig<U>, E> {
        let ScoreLimits {
            topics,
            topic_score_cap,
            behaviour_penalty_weight,
            behaviour_penalty_threshold,
            behaviour_penalty_decay,
            app_specific_weight,
            decay_zero,
        } = self.score;
        let score = ScoreLimits {
            topics: topics.map_topics(&mut map)?,
            topic_score_cap,
            behaviour_penalty_weight,
            behaviour_penalty_threshold,
            behaviour_penalty_decay,
            app_specific_weight,
            decay_zero,
        };
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
            score,
            extensions: self.extensions,
            bounds: self.bounds,
        })
    }
}

/// Bounds that keep remote peers and slow consumers from taking memory or time without end. Ours: neither the
/// specification nor the reference has them as parameters. All are above 0 unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Bounds {
    /// Inputs waiting to be handled, of all peers together. More are refused at the door.
    pub max_input_items: usize,
    /// The bytes that those inputs hold together. More are refused at the door.
    pub max_input_bytes: usize,
    /// Messages whose validity is unknown, kept to be tried again. More are dropped.
    pub max_parked_messages: usize,
    /// The bytes that those messages hold together. More are dropped.
    pub max_parked_bytes: usize,
    /// Deliverers remembered with a message that waits for its verdict, beside the first. More are neither
    /// credited nor penalised for it. May be 0.
    pub max_co_senders: usize,
    /// Messages that one topic keeps for those who ask. Of more, the oldest go before their time.
    pub max_history_per_topic: usize,
    /// The bytes that those messages hold together. Of more, the oldest go before their time.
    pub max_history_bytes_per_topic: usize,
    /// Ids that one topic recognises when they come again. Of more, the oldest are forgotten before their time.
    pub max_seen_per_topic: usize,
    /// Invalid messages that one topic remembers
    /// ([`invalid_memory_ticks`](Extensions::invalid_memory_ticks)). More are not remembered. May be 0.
    pub max_invalid_per_topic: usize,
    /// The bytes that those messages hold together. More are not remembered. May be 0.
    pub max_invalid_bytes_per_topic: usize,
    /// Requests of one topic that are watched ([`iwant_followup_time`](Extensions::iwant_followup_time)). More
    /// are not. May be 0.
    pub max_promises_per_topic: usize,
    /// Points left alone for a while because they could not be reached. More are tried at any time. May be 0.
    pub max_unreachable: usize,
    /// Peers that left whose scores are remembered. Beyond it the best of them are forgotten. May be 0.
    pub max_retained_scores: usize,
    /// Backoffs of one topic. Beyond it those that end first are forgotten. May be 0.
    pub max_backoffs_per_topic: usize,
    /// A longer backoff in a remote PRUNE is taken as this.
    #[serde(with = "humantime_serde")]
    pub max_remote_backoff: Duration,
    /// Every so many ticks, unreachable points that are due are tried again.
    pub reconnect_interval_ticks: u64,
    /// The first delay of an unreachable point, in ticks; it doubles at each failure.
    pub first_reconnect_ticks: u64,
    /// The longest such delay, in ticks. At least the first.
    pub max_reconnect_ticks: u64,
    /// Every so many ticks, all unreachable points are forgotten: they start again with the first delay.
    pub unreachable_reset_ticks: u64,
    /// Topics remembered that we don't take part in and nobody subscribed to, for the backoffs of refused
    /// grafts. Beyond it a graft is refused all the same, and not remembered. May be 0.
    pub max_idle_topics: usize,
    /// Peers counted to have requested one message by IWANT. More are not sent it.
    pub max_iwant_peers_per_message: usize,
    /// Unconnected peers whose IHAVEs are counted within a heartbeat. May be 0.
    pub max_unconnected_peers: usize,
    /// Messages in a batch awaiting validation. More start the validation at once; while another batch is
    /// being judged, more are dropped.
    pub max_batch_items: usize,
    /// Messages of one topic that wait for a verdict that comes later. More are dropped.
    pub max_validating_per_topic: usize,
    /// Such messages of all topics together.
    pub max_validating: usize,
    /// A verdict that takes longer is not waited for: its message is dropped.
    #[serde(with = "humantime_serde")]
    pub validation_timeout: Duration,
    /// Peers looked at in a remote PRUNE. May be 0.
    pub max_px_per_prune: usize,
    /// Decisions about peers that are remembered, to be explained. Of more, the oldest are forgotten. May be 0.
    pub max_decisions: usize,
    /// Those of them about one peer. May be 0.
    pub max_decisions_per_peer: usize,
    /// Items waiting in an output stream. When full, gossip goes first and control last.
    pub max_output_items: usize,
    /// Events of one kind are reported at most once in this time. 0 reports all.
    #[serde(with = "humantime_serde")]
    pub event_interval: Duration,
    /// A shutdown that takes longer is cut off: peers may miss our last words.
    #[serde(with = "humantime_serde")]
    pub shutdown_deadline: Duration,
}

impl Bounds {
    /// Returns these bounds with `change` applied: `Bounds::default().with(|b| b.max_co_senders = 8)`.
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
            max_parked_bytes: 64 * 1024 * 1024,
            max_co_senders: 32,
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
            validation_timeout: Duration::from_secs(10),
            max_px_per_prune: 64,
            max_decisions: 4096,
            max_decisions_per_peer: 32,
            max_output_items: 65_536,
            event_interval: Duration::from_secs(60),
            shutdown_deadline: Duration::from_secs(5),
        }
    }
}

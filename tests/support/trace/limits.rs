//! The limits of the traces (FORMAT.md, 2), and their translation into ours. Checks nothing but signs:
//! the traces' integers and spans (milliseconds) are signed, ours are not.

use std::{collections::BTreeMap, time::Duration};

use actix_gossipsub::limits::{
    Bounds, Extensions, Limits, LimitsConfig, ScoreLimits, TopicScoreLimits, TopicScores,
};
use serde::Deserialize;

use super::network::Topic;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceLimits {
    max_recv_ihave_per_heartbeat: i64,
    max_sent_iwant_per_heartbeat: i64,
    max_gossip_retransmission: i64,
    degree_optimal: i64,
    publish_threshold: f64,
    gossip_threshold: f64,
    do_px: bool,
    accept_px_threshold: f64,
    peers_to_px: i64,
    unsubscribe_backoff: i64,
    graft_flood_threshold: i64,
    prune_backoff: i64,
    retain_duration: i64,
    fanout_ttl: i64,
    heartbeat_interval: i64,
    heartbeat_ping_interval: i64,
    backoff_cleanup_ticks: i64,
    score_cleanup_ticks: i64,
    degree_low: i64,
    degree_high: i64,
    degree_score: i64,
    degree_out: i64,
    degree_lazy: i64,
    gossip_factor: f64,
    history_length: i64,
    history_gossip_length: i64,
    opportunistic_graft_ticks: i64,
    opportunistic_graft_peers: i64,
    opportunistic_graft_threshold: f64,
    seen_history_length: i64,
    max_topics_per_peer: i64,
    score_limits: TraceScoreLimits,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceScoreLimits {
    topics: TraceTopicScores,
    topic_score_cap: Option<f64>,
    behaviour_penalty_weight: f64,
    behaviour_penalty_threshold: f64,
    behaviour_penalty_decay: f64,
    app_specific_weight: f64,
    decay_zero: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum TraceTopicScores {
    Single {
        parameters: TraceTopicScoreLimits,
    },
    Family {
        all_topics: Vec<Topic>,
        parameters: BTreeMap<Topic, TraceTopicScoreLimits>,
        weights: BTreeMap<Topic, f64>,
        default_parameters: TraceTopicScoreLimits,
        default_weight: f64,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceTopicScoreLimits {
    time_in_mesh_weight: f64,
    time_in_mesh_cap: f64,
    time_in_mesh_quantum: i64,
    first_message_deliveries_weight: f64,
    first_message_deliveries_cap: i64,
    first_message_deliveries_decay: f64,
    mesh_message_deliveries_weight: f64,
    mesh_message_deliveries_window: i64,
    mesh_message_deliveries_activation: i64,
    mesh_message_deliveries_cap: i64,
    mesh_message_deliveries_threshold: i64,
    mesh_message_deliveries_decay: f64,
    mesh_failure_penalty_weight: f64,
    mesh_failure_penalty_decay: f64,
    invalid_message_deliveries_weight: f64,
    invalid_message_deliveries_decay: f64,
}

impl TraceLimits {
    /// What an instance with these limits would run with, or why it is refused.
    pub fn accept(self) -> Result<Limits<Topic>, String> {
        Limits::try_from(self.translate()?).map_err(|error| error.to_string())
    }

    /// Milliseconds.
    pub fn heartbeat_interval(&self) -> i64 {
        self.heartbeat_interval
    }

    // Every field is named: a limit that is added to the crate must be given its value here.
    fn translate(self) -> Result<LimitsConfig<Topic>, String> {
        Ok(LimitsConfig {
            max_recv_ihave_per_heartbeat: at_most(
                "max_recv_ihave_per_heartbeat",
                self.max_recv_ihave_per_heartbeat,
            )?,
            max_sent_iwant_per_heartbeat: at_most(
                "max_sent_iwant_per_heartbeat",
                self.max_sent_iwant_per_heartbeat,
            )?,
            max_gossip_retransmission: at_most("max_gossip_retransmission", self.max_gossip_retransmission)?,
            degree_optimal: count("degree_optimal", self.degree_optimal)?,
            publish_threshold: self.publish_threshold,
            gossip_threshold: self.gossip_threshold,
            do_px: self.do_px,
            accept_px_threshold: self.accept_px_threshold,
            peers_to_px: at_most("peers_to_px", self.peers_to_px)?,
            unsubscribe_backoff: span("unsubscribe_backoff", self.unsubscribe_backoff)?,
            graft_flood_threshold: span("graft_flood_threshold", self.graft_flood_threshold)?,
            prune_backoff: span("prune_backoff", self.prune_backoff)?,
            retain_duration: span("retain_duration", self.retain_duration)?,
            fanout_ttl: span("fanout_ttl", self.fanout_ttl)?,
            heartbeat_interval: span("heartbeat_interval", self.heartbeat_interval)?,
            heartbeat_ping_interval: count("heartbeat_ping_interval", self.heartbeat_ping_interval)?,
            backoff_cleanup_ticks: count("backoff_cleanup_ticks", self.backoff_cleanup_ticks)?,
            score_cleanup_ticks: count("score_cleanup_ticks", self.score_cleanup_ticks)?,
            degree_low: count("degree_low", self.degree_low)?,
            degree_high: count("degree_high", self.degree_high)?,
            degree_score: count("degree_score", self.degree_score)?,
            degree_out: count("degree_out", self.degree_out)?,
            degree_lazy: count("degree_lazy", self.degree_lazy)?,
            gossip_factor: self.gossip_factor,
            history_length: count("history_length", self.history_length)?,
            history_gossip_length: count("history_gossip_length", self.history_gossip_length)?,
            opportunistic_graft_ticks: count("opportunistic_graft_ticks", self.opportunistic_graft_ticks)?,
            opportunistic_graft_peers: at_most("opportunistic_graft_peers", self.opportunistic_graft_peers)?,
            opportunistic_graft_threshold: self.opportunistic_graft_threshold,
            seen_history_length: count("seen_history_length", self.seen_history_length)?,
            max_topics_per_peer: at_most("max_topics_per_peer", self.max_topics_per_peer)?,
            extensions: Extensions::none(),
            score: self.score_limits.translate()?,
            bounds: Bounds::default(),
        })
    }
}

impl TraceScoreLimits {
    fn translate(self) -> Result<ScoreLimits<Topic>, String> {
        Ok(ScoreLimits {
            topics: self.topics.translate()?,
            topic_score_cap: self.topic_score_cap,
            behaviour_penalty_weight: self.behaviour_penalty_weight,
            behaviour_penalty_threshold: self.behaviour_penalty_threshold,
            behaviour_penalty_decay: self.behaviour_penalty_decay,
            app_specific_weight: self.app_specific_weight,
            decay_zero: self.decay_zero,
        })
    }
}

impl TraceTopicScores {
    fn translate(self) -> Result<TopicScores<Topic>, String> {
        Ok(match self {
            Self::Single { parameters } => TopicScores::Single { parameters: parameters.translate()? },
            Self::Family { all_topics, parameters, weights, default_parameters, default_weight } => {
                let translate = |(topic, own): (Topic, TraceTopicScoreLimits)| Ok((topic, own.translate()?));
                TopicScores::Family {
                    all_topics,
                    parameters: parameters.into_iter().map(translate).collect::<Result<_, String>>()?,
                    weights,
                    default_parameters: default_parameters.translate()?,
                    default_weight,
                }
            }
        })
    }
}

impl TraceTopicScoreLimits {
    fn translate(self) -> Result<TopicScoreLimits, String> {
        Ok(TopicScoreLimits {
            time_in_mesh_weight: self.time_in_mesh_weight,
            time_in_mesh_cap: self.time_in_mesh_cap,
            time_in_mesh_quantum: span("time_in_mesh_quantum", self.time_in_mesh_quantum)?,
            first_message_deliveries_weight: self.first_message_deliveries_weight,
            first_message_deliveries_cap: count(
                "first_message_deliveries_cap",
                self.first_message_deliveries_cap,
            )?,
            first_message_deliveries_decay: self.first_message_deliveries_decay,
            mesh_message_deliveries_weight: self.mesh_message_deliveries_weight,
            mesh_message_deliveries_window: span(
                "mesh_message_deliveries_window",
                self.mesh_message_deliveries_window,
            )?,
            mesh_message_deliveries_activation: span(
                "mesh_message_deliveries_activation",
                self.mesh_message_deliveries_activation,
            )?,
            mesh_message_deliveries_cap: count(
                "mesh_message_deliveries_cap",
                self.mesh_message_deliveries_cap,
            )?,
            mesh_message_deliveries_threshold: count(
                "mesh_message_deliveries_threshold",
                self.mesh_message_deliveries_threshold,
            )?,
            mesh_message_deliveries_decay: self.mesh_message_deliveries_decay,
            mesh_failure_penalty_weight: self.mesh_failure_penalty_weight,
            mesh_failure_penalty_decay: self.mesh_failure_penalty_decay,
            invalid_message_deliveries_weight: self.invalid_message_deliveries_weight,
            invalid_message_deliveries_decay: self.invalid_message_deliveries_decay,
        })
    }
}

fn count<T: TryFrom<i64>>(field: &str, value: i64) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{field} = {value}: out of range"))
}

/// How many there may be of something. The reference accepts a negative bound (`s_check_limits`, lines 48
/// and 49) and allows nothing then, as with zero.
fn at_most<T: TryFrom<i64>>(field: &str, value: i64) -> Result<T, String> {
    count(field, value.max(0))
}

fn span(field: &str, ms: i64) -> Result<Duration, String> {
    count(field, ms).map(Duration::from_millis)
}

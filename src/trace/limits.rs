//! Limits in a trace (FORMAT.md, 2), read and written. Checks nothing but signs: the traces' integers and spans
//! (milliseconds) are signed, ours are not.
//!
//! Beyond FORMAT.md: `extensions` and `bounds`, as parameter files have them. Without them a trace is the
//! reference's, which has neither.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    fields::{Fields, Mistake, to_span},
    view::span,
};
use crate::limits::{
    Bounds, Extensions, Limits, LimitsConfig, ScoreLimits, TopicFamily, TopicScoreLimits, TopicScores,
};

/// The limits of a trace, readable but not yet checked.
#[derive(Clone, Debug)]
pub struct TraceLimits<T> {
    config: LimitsConfig<T>,
    /// Values that no limit of ours can have.
    refused: Vec<String>,
}

impl<T: Ord + std::fmt::Debug + Serialize + DeserializeOwned> TraceLimits<T> {
    pub(super) fn read(fields: Fields) -> Result<Self, Mistake> {
        let mut refused = Vec::new();
        let config = read(Reader { fields, refused: &mut refused })?;
        Ok(Self { config, refused })
    }

    /// What an instance with these limits runs with.
    ///
    /// # Errors
    /// It would be refused, for this reason.
    pub fn accept(self) -> Result<Limits<T>, String> {
        match self.refused.first() {
            Some(refused) => Err(refused.clone()),
            None => Limits::try_from(self.config).map_err(|error| error.to_string()),
        }
    }

    /// Milliseconds.
    pub(super) fn heartbeat_interval(&self) -> i64 {
        i64::try_from(self.config.heartbeat_interval.as_millis()).unwrap_or(i64::MAX)
    }
}

/// An object of limits that is being read.
struct Reader<'a> {
    fields: Fields,
    refused: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn plain<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, Mistake> {
        self.fields.take(key)
    }

    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Mistake> {
        self.fields.optional(key)
    }

    fn count<T: TryFrom<i64> + Default>(&mut self, key: &str) -> Result<T, Mistake> {
        let value: i64 = self.fields.take(key)?;
        Ok(self.in_range(key, value))
    }

    /// How many there may be of something. The reference accepts a negative bound (`s_check_limits`, lines 48
    /// and 49) and allows nothing then, as with zero.
    fn at_most<T: TryFrom<i64> + Default>(&mut self, key: &str) -> Result<T, Mistake> {
        let value: i64 = self.fields.take(key)?;
        Ok(self.in_range(key, value.max(0)))
    }

    fn span(&mut self, key: &str) -> Result<Duration, Mistake> {
        let value: Value = self.fields.take(key)?;
        if value.as_f64().is_none() {
            return Err(self.fields.mistake(key, format!("{value} is no time in milliseconds")));
        }
        Ok(to_span(&value).unwrap_or_else(|| self.refuse(key, &value)))
    }

    fn in_range<T: TryFrom<i64> + Default>(&mut self, key: &str, value: i64) -> T {
        T::try_from(value).unwrap_or_else(|_| self.refuse(key, value))
    }

    fn refuse<T: Default>(&mut self, key: &str, value: impl std::fmt::Display) -> T {
        self.refused.push(format!("{key} = {value}: out of range"));
        T::default()
    }

    fn inner(&mut self, key: &str) -> Result<Reader<'_>, Mistake> {
        Ok(Reader { fields: self.fields.fields(key)?, refused: self.refused })
    }
}

// Every field is named: a limit that is added to the crate must be given its value here.
fn read<T: Ord + DeserializeOwned>(mut r: Reader<'_>) -> Result<LimitsConfig<T>, Mistake> {
    let config = LimitsConfig {
        max_recv_ihave_per_heartbeat: r.at_most("max_recv_ihave_per_heartbeat")?,
        max_sent_iwant_per_heartbeat: r.at_most("max_sent_iwant_per_heartbeat")?,
        max_gossip_retransmission: r.at_most("max_gossip_retransmission")?,
        degree_optimal: r.count("degree_optimal")?,
        publish_threshold: r.plain("publish_threshold")?,
        gossip_threshold: r.plain("gossip_threshold")?,
        do_px: r.plain("do_px")?,
        accept_px_threshold: r.plain("accept_px_threshold")?,
        peers_to_px: r.at_most("peers_to_px")?,
        unsubscribe_backoff: r.span("unsubscribe_backoff")?,
        graft_flood_threshold: r.span("graft_flood_threshold")?,
        prune_backoff: r.span("prune_backoff")?,
        retain_duration: r.span("retain_duration")?,
        fanout_ttl: r.span("fanout_ttl")?,
        heartbeat_interval: r.span("heartbeat_interval")?,
        heartbeat_ping_interval: r.count("heartbeat_ping_interval")?,
        backoff_cleanup_ticks: r.count("backoff_cleanup_ticks")?,
        score_cleanup_ticks: r.count("score_cleanup_ticks")?,
        degree_low: r.count("degree_low")?,
        degree_high: r.count("degree_high")?,
        degree_score: r.count("degree_score")?,
        degree_out: r.count("degree_out")?,
        degree_lazy: r.count("degree_lazy")?,
        gossip_factor: r.plain("gossip_factor")?,
        history_length: r.count("history_length")?,
        history_gossip_length: r.count("history_gossip_length")?,
        opportunistic_graft_ticks: r.count("opportunistic_graft_ticks")?,
        opportunistic_graft_peers: r.at_most("opportunistic_graft_peers")?,
        opportunistic_graft_threshold: r.plain("opportunistic_graft_threshold")?,
        seen_history_length: r.count("seen_history_length")?,
        max_topics_per_peer: r.at_most("max_topics_per_peer")?,
        extensions: r.optional("extensions")?.unwrap_or_else(Extensions::none),
        bounds: r.optional("bounds")?.unwrap_or_else(Bounds::default),
        score: read_score(r.inner("score_limits")?)?,
    };
    r.fields.end()?;
    Ok(config)
}

fn read_score<T: Ord + DeserializeOwned>(mut r: Reader<'_>) -> Result<ScoreLimits<T>, Mistake> {
    let score = ScoreLimits {
        topics: read_topics(r.inner("topics")?)?,
        topic_score_cap: r.optional("topic_score_cap")?,
        behaviour_penalty_weight: r.plain("behaviour_penalty_weight")?,
        behaviour_penalty_threshold: r.plain("behaviour_penalty_threshold")?,
        behaviour_penalty_decay: r.plain("behaviour_penalty_decay")?,
        app_specific_weight: r.plain("app_specific_weight")?,
        decay_zero: r.plain("decay_zero")?,
    };
    r.fields.end()?;
    Ok(score)
}

fn read_topics<T: Ord + DeserializeOwned>(mut r: Reader<'_>) -> Result<TopicScores<T>, Mistake> {
    let kind: String = r.plain("kind")?;
    let topics = match kind.as_str() {
        "single" => TopicScores::Single { parameters: read_topic(r.inner("parameters")?)? },
        "family" => TopicScores::Family(TopicFamily {
            all_topics: r.plain("all_topics")?,
            parameters: read_own(r.inner("parameters")?)?,
            weights: r.plain("weights")?,
            default_parameters: read_topic(r.inner("default_parameters")?)?,
            default_weight: r.plain("default_weight")?,
        }),
        other => return Err(r.fields.mistake("kind", format!("`{other}` is not known here"))),
    };
    r.fields.end()?;
    Ok(topics)
}

fn read_own<T: Ord + DeserializeOwned>(r: Reader<'_>) -> Result<BTreeMap<T, TopicScoreLimits>, Mistake> {
    let Reader { fields, refused } = r;
    let mut own = BTreeMap::new();
    for (name, fields) in fields.each() {
        let topic = serde_json::from_value(json!(name)).map_err(|error| Mistake::new(&name, error))?;
        own.insert(topic, read_topic(Reader { fields: fields?, refused })?);
    }
    Ok(own)
}

fn read_topic(mut r: Reader<'_>) -> Result<TopicScoreLimits, Mistake> {
    let limits = TopicScoreLimits {
        time_in_mesh_weight: r.plain("time_in_mesh_weight")?,
        time_in_mesh_cap: r.plain("time_in_mesh_cap")?,
        time_in_mesh_quantum: r.span("time_in_mesh_quantum")?,
        first_message_deliveries_weight: r.plain("first_message_deliveries_weight")?,
        first_message_deliveries_cap: r.count("first_message_deliveries_cap")?,
        first_message_deliveries_decay: r.plain("first_message_deliveries_decay")?,
        mesh_message_deliveries_weight: r.plain("mesh_message_deliveries_weight")?,
        mesh_message_deliveries_window: r.span("mesh_message_deliveries_window")?,
        mesh_message_deliveries_activation: r.span("mesh_message_deliveries_activation")?,
        mesh_message_deliveries_cap: r.count("mesh_message_deliveries_cap")?,
        mesh_message_deliveries_threshold: r.count("mesh_message_deliveries_threshold")?,
        mesh_message_deliveries_decay: r.plain("mesh_message_deliveries_decay")?,
        mesh_failure_penalty_weight: r.plain("mesh_failure_penalty_weight")?,
        mesh_failure_penalty_decay: r.plain("mesh_failure_penalty_decay")?,
        invalid_message_deliveries_weight: r.plain("invalid_message_deliveries_weight")?,
        invalid_message_deliveries_decay: r.plain("invalid_message_deliveries_decay")?,
    };
    r.fields.end()?;
    Ok(limits)
}

/// Limits as the first line of a trace has them.
pub(super) fn write<T: Serialize + Ord>(limits: &LimitsConfig<T>) -> Value {
    json!({
        "max_recv_ihave_per_heartbeat": limits.max_recv_ihave_per_heartbeat,
        "max_sent_iwant_per_heartbeat": limits.max_sent_iwant_per_heartbeat,
        "max_gossip_retransmission": limits.max_gossip_retransmission,
        "degree_optimal": limits.degree_optimal,
        "publish_threshold": limits.publish_threshold,
        "gossip_threshold": limits.gossip_threshold,
        "do_px": limits.do_px,
        "accept_px_threshold": limits.accept_px_threshold,
        "peers_to_px": limits.peers_to_px,
        "unsubscribe_backoff": span(limits.unsubscribe_backoff),
        "graft_flood_threshold": span(limits.graft_flood_threshold),
        "prune_backoff": span(limits.prune_backoff),
        "retain_duration": span(limits.retain_duration),
        "fanout_ttl": span(limits.fanout_ttl),
        "heartbeat_interval": span(limits.heartbeat_interval),
        "heartbeat_ping_interval": limits.heartbeat_ping_interval,
        "backoff_cleanup_ticks": limits.backoff_cleanup_ticks,
        "score_cleanup_ticks": limits.score_cleanup_ticks,
        "degree_low": limits.degree_low,
        "degree_high": limits.degree_high,
        "degree_score": limits.degree_score,
        "degree_out": limits.degree_out,
        "degree_lazy": limits.degree_lazy,
        "gossip_factor": limits.gossip_factor,
        "history_length": limits.history_length,
        "history_gossip_length": limits.history_gossip_length,
        "opportunistic_graft_ticks": limits.opportunistic_graft_ticks,
        "opportunistic_graft_peers": limits.opportunistic_graft_peers,
        "opportunistic_graft_threshold": limits.opportunistic_graft_threshold,
        "seen_history_length": limits.seen_history_length,
        "max_topics_per_peer": limits.max_topics_per_peer,
        "score_limits": write_score(&limits.score),
        "extensions": limits.extensions,
        "bounds": limits.bounds,
    })
}

fn write_score<T: Serialize + Ord>(score: &ScoreLimits<T>) -> Value {
    json!({
        "topics": match &score.topics {
            TopicScores::Single { parameters } => {
                json!({ "kind": "single", "parameters": write_topic(parameters) })
            }
            TopicScores::Family(family) => {
                let TopicFamily { all_topics, parameters, weights, default_parameters, default_weight } = family;
                let own: BTreeMap<&T, Value> = parameters.iter().map(|(t, own)| (t, write_topic(own))).collect();
                json!({
                    "kind": "family",
                    "all_topics": all_topics,
                    "parameters": own,
                    "weights": weights,
                    "default_parameters": write_topic(default_parameters),
                    "default_weight": default_weight,
                })
            }
        },
        "topic_score_cap": score.topic_score_cap,
        "behaviour_penalty_weight": score.behaviour_penalty_weight,
        "behaviour_penalty_threshold": score.behaviour_penalty_threshold,
        "behaviour_penalty_decay": score.behaviour_penalty_decay,
        "app_specific_weight": score.app_specific_weight,
        "decay_zero": score.decay_zero,
    })
}

fn write_topic(limits: &TopicScoreLimits) -> Value {
    json!({
        "time_in_mesh_weight": limits.time_in_mesh_weight,
        "time_in_mesh_cap": limits.time_in_mesh_cap,
        "time_in_mesh_quantum": span(limits.time_in_mesh_quantum),
        "first_message_deliveries_weight": limits.first_message_deliveries_weight,
        "first_message_deliveries_cap": limits.first_message_deliveries_cap,
        "first_message_deliveries_decay": limits.first_message_deliveries_decay,
        "mesh_message_deliveries_weight": limits.mesh_message_deliveries_weight,
        "mesh_message_deliveries_window": span(limits.mesh_message_deliveries_window),
        "mesh_message_deliveries_activation": span(limits.mesh_message_deliveries_activation),
        "mesh_message_deliveries_cap": limits.mesh_message_deliveries_cap,
        "mesh_message_deliveries_threshold": limits.mesh_message_deliveries_threshold,
        "mesh_message_deliveries_decay": limits.mesh_message_deliveries_decay,
        "mesh_failure_penalty_weight": limits.mesh_failure_penalty_weight,
        "mesh_failure_penalty_decay": limits.mesh_failure_penalty_decay,
        "invalid_message_deliveries_weight": limits.invalid_message_deliveries_weight,
        "invalid_message_deliveries_decay": limits.invalid_message_deliveries_decay,
    })
}

//! The rules that parameters must obey. Collects every violation; never changes or mends a value.
//!
//! For the reference's fields the rules are the reference's, no stricter: what the recorded `check_limits`
//! accept is accepted. Added to them: numbers are finite, and a topic's weight is not negative.

use std::{fmt, time::Duration};

use super::{Bounds, LimitsConfig, ScoreLimits, TopicScoreLimits, TopicScores};

const MIN_ACTIVATION: Duration = Duration::from_secs(1);

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, as in a file: `score.topics.parameters.time_in_mesh_quantum`.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: must {}", self.field, self.value, self.rule)
    }
}

/// All that is wrong with some parameters, in the order of the fields; never empty. Displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid limits:{}", lines(.0))]
pub struct InvalidLimits(pub Vec<Violation>);

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

pub(super) fn check<T: fmt::Debug>(config: &LimitsConfig<T>) -> Result<(), InvalidLimits> {
    let mut found = Found::default();
    check_mesh(config, &mut found);
    check_heartbeat_and_gossip(config, &mut found);
    check_peers(config, &mut found);
    found.within("score", |found| check_score(&config.score, found));
    found.within("extensions", |found| {
        found.reward("slow_peer_penalty", config.extensions.slow_peer_penalty);
    });
    found.within("bounds", |found| check_bounds(&config.bounds, found));
    if found.violations.is_empty() { Ok(()) } else { Err(InvalidLimits(found.violations)) }
}

fn check_mesh<T>(config: &LimitsConfig<T>, found: &mut Found) {
    let LimitsConfig { degree_optimal, degree_low, degree_high, degree_score, degree_out, .. } = *config;
    found.require("degree_low", degree_low, degree_low <= degree_optimal, || {
        format!("be at most degree_optimal ({degree_optimal})")
    });
    found.require("degree_high", degree_high, degree_high >= degree_optimal, || {
        format!("be at least degree_optimal ({degree_optimal})")
    });
    let kept = degree_score.saturating_add(degree_out);
    found.require("degree_score", degree_score, kept <= degree_optimal, || {
        format!("be, with degree_out ({degree_out}) added, at most degree_optimal ({degree_optimal})")
    });
    found.require("degree_out", degree_out, degree_out <= degree_low, || {
        format!("be at most degree_low ({degree_low})")
    });
    found.require("degree_out", degree_out, degree_out <= degree_optimal / 2, || {
        format!("be at most half of degree_optimal ({degree_optimal})")
    });
}

fn check_heartbeat_and_gossip<T>(config: &LimitsConfig<T>, found: &mut Found) {
    found.positive("heartbeat_interval", config.heartbeat_interval);
    found.positive("heartbeat_ping_interval", config.heartbeat_ping_interval);
    found.positive("backoff_cleanup_ticks", config.backoff_cleanup_ticks);
    found.positive("score_cleanup_ticks", config.score_cleanup_ticks);
    found.finite("gossip_factor", config.gossip_factor);
    found.positive("history_length", config.history_length);
    let (gossiped, history) = (config.history_gossip_length, config.history_length);
    found.positive("history_gossip_length", gossiped);
    found.require("history_gossip_length", gossiped, gossiped <= history, || {
        format!("be at most history_length ({history})")
    });
    found.positive("seen_history_length", config.seen_history_length);
}

fn check_peers<T>(config: &LimitsConfig<T>, found: &mut Found) {
    found.finite("gossip_threshold", config.gossip_threshold);
    found.finite("publish_threshold", config.publish_threshold);
    found.finite("accept_px_threshold", config.accept_px_threshold);
    found.positive("opportunistic_graft_ticks", config.opportunistic_graft_ticks);
    found.finite("opportunistic_graft_threshold", config.opportunistic_graft_threshold);
    found.positive("max_topics_per_peer", config.max_topics_per_peer);
}

fn check_score<T: fmt::Debug>(score: &ScoreLimits<T>, found: &mut Found) {
    found.within("topics", |found| check_topics(&score.topics, found));
    if let Some(cap) = score.topic_score_cap {
        found.reward("topic_score_cap", cap);
    }
    found.penalty("behaviour_penalty_weight", score.behaviour_penalty_weight);
    found.reward("behaviour_penalty_threshold", score.behaviour_penalty_threshold);
    found.decay("behaviour_penalty_decay", score.behaviour_penalty_decay);
    found.finite("app_specific_weight", score.app_specific_weight);
    found.reward("decay_zero", score.decay_zero);
}

fn check_topics<T: fmt::Debug>(topics: &TopicScores<T>, found: &mut Found) {
    match topics {
        TopicScores::Single { parameters } => {
            found.within("parameters", |found| check_topic(parameters, found))
        }
        TopicScores::Family { all_topics: _, parameters, weights, default_parameters, default_weight } => {
            for (topic, parameters) in parameters {
                found.within(&format!("parameters.{topic:?}"), |found| check_topic(parameters, found));
            }
            for (topic, weight) in weights {
                found.reward(&format!("weights.{topic:?}"), *weight);
            }
            found.within("default_parameters", |found| check_topic(default_parameters, found));
            found.reward("default_weight", *default_weight);
        }
    }
}

fn check_topic(topic: &TopicScoreLimits, found: &mut Found) {
    found.reward("time_in_mesh_weight", topic.time_in_mesh_weight);
    found.reward("time_in_mesh_cap", topic.time_in_mesh_cap);
    found.positive("time_in_mesh_quantum", topic.time_in_mesh_quantum);
    found.reward("first_message_deliveries_weight", topic.first_message_deliveries_weight);
    found.decay("first_message_deliveries_decay", topic.first_message_deliveries_decay);
    found.penalty("mesh_message_deliveries_weight", topic.mesh_message_deliveries_weight);
    let activation = topic.mesh_message_deliveries_activation;
    found.require("mesh_message_deliveries_activation", activation, activation >= MIN_ACTIVATION, || {
        format!("be at least {MIN_ACTIVATION:?}")
    });
    found.positive("mesh_message_deliveries_threshold", topic.mesh_message_deliveries_threshold);
    found.decay("mesh_message_deliveries_decay", topic.mesh_message_deliveries_decay);
    found.penalty("mesh_failure_penalty_weight", topic.mesh_failure_penalty_weight);
    found.decay("mesh_failure_penalty_decay", topic.mesh_failure_penalty_decay);
    found.penalty("invalid_message_deliveries_weight", topic.invalid_message_deliveries_weight);
    found.decay("invalid_message_deliveries_decay", topic.invalid_message_deliveries_decay);
}

fn check_bounds(bounds: &Bounds, found: &mut Found) {
    found.positive("max_input_items", bounds.max_input_items);
    found.positive("max_input_bytes", bounds.max_input_bytes);
    found.require("max_input_items", bounds.max_input_items, bounds.max_input_items <= 1 << 22, || {
        format!("be at most {}", 1 << 22)
    });
    let max_bytes = 1_usize << 38;
    found.require("max_input_bytes", bounds.max_input_bytes, bounds.max_input_bytes <= max_bytes, || {
        format!("be at most {max_bytes}")
    });
    found.positive("max_parked_messages", bounds.max_parked_messages);
    found.positive("max_parked_bytes", bounds.max_parked_bytes);
    found.positive("max_history_per_topic", bounds.max_history_per_topic);
    found.positive("max_history_bytes_per_topic", bounds.max_history_bytes_per_topic);
    found.positive("max_seen_per_topic", bounds.max_seen_per_topic);
    found.positive("max_remote_backoff", bounds.max_remote_backoff);
    found.positive("reconnect_interval_ticks", bounds.reconnect_interval_ticks);
    found.positive("first_reconnect_ticks", bounds.first_reconnect_ticks);
    let (first, max) = (bounds.first_reconnect_ticks, bounds.max_reconnect_ticks);
    found.require("max_reconnect_ticks", max, max >= first, || {
        format!("be at least first_reconnect_ticks ({first})")
    });
    found.positive("unreachable_reset_ticks", bounds.unreachable_reset_ticks);
    found.positive("max_requesters", bounds.max_requesters);
    found.positive("max_batch_items", bounds.max_batch_items);
    found.positive("max_validating_per_topic", bounds.max_validating_per_topic);
    found.positive("max_validating", bounds.max_validating);
    found.positive("validation_timeout", bounds.validation_timeout);
    found.positive("max_output_items", bounds.max_output_items);
    found.positive("shutdown_deadline", bounds.shutdown_deadline);
}

/// The violations so far, and where in the structure the check is.
#[derive(Default)]
struct Found {
    path: String,
    violations: Vec<Violation>,
}

impl Found {
    /// Runs `check` with the names of its fields below `name`.
    fn within(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push_str(name);
        self.path.push('.');
        check(self);
        self.path.truncate(outer);
    }

    fn require(&mut self, field: &str, value: impl fmt::Debug, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            let field = format!("{}{field}", self.path);
            self.violations.push(Violation { field, value: format!("{value:?}"), rule: rule() });
        }
    }

    fn positive<V: Copy + fmt::Debug + Default + PartialOrd>(&mut self, field: &str, value: V) {
        self.require(field, value, value > V::default(), || "be greater than 0".into());
    }

    fn finite(&mut self, field: &str, value: f64) {
        self.require(field, value, value.is_finite(), || "be a finite number".into());
    }

    fn reward(&mut self, field: &str, value: f64) {
        let holds = value.is_finite() && value >= 0.0;
        self.require(field, value, holds, || "be a finite number, at least 0".into());
    }

    fn penalty(&mut self, field: &str, value: f64) {
        let holds = value.is_finite() && value <= 0.0;
        self.require(field, value, holds, || "be a finite number, at most 0".into());
    }

    fn decay(&mut self, field: &str, value: f64) {
        self.require(field, value, (0.0..=1.0).contains(&value), || "be between 0 and 1".into());
    }
}

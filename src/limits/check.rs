//! Validation of the parameters. It collects all violations, so that a file can be repaired in one step.
//!
//! The rules for the fields of the reference implementation accept everything that its recorded `check_limits` accept,
//! except numbers that are not finite and negative topic weights.

use std::{fmt, time::Duration};

use super::{
    Bounds, Degrees, LimitsConfig, ScoreLimits, TopicFamily, TopicOverrides, TopicScoreLimits, TopicScores,
};

/// The minimum of `mesh_message_deliveries_activation`, as in the reference implementation.
const MIN_ACTIVATION: Duration = Duration::from_secs(1);

/// A field that violates a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The path of the field, as in a file: `score.topics.parameters.time_in_mesh_quantum`.
    pub field: String,
    /// The value of the field.
    pub value: String,
    /// The rule, as the end of a sentence that begins with "must".
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: must {}", self.field, self.value, self.rule)
    }
}

/// All violations of a config, at least one, in the order of the fields. `Display` writes one line for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid limits:{}", lines(.0))]
pub struct InvalidLimits(pub Vec<Violation>);

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

pub(super) fn check<T: fmt::Debug>(config: &LimitsConfig<T>) -> Result<(), InvalidLimits> {
    let mut violations = Violations::default();
    let may_overlap = config.extensions.degree_score_and_out_may_overlap;
    check_mesh(config.degrees(&TopicOverrides::default()), may_overlap, &mut violations);
    check_heartbeat_and_gossip(config, &mut violations);
    check_peers(config, &mut violations);
    for (path, overrides) in config.topics.entries() {
        violations.within(&format!("topics.{path}"), |violations| {
            check_mesh(config.degrees(overrides), may_overlap, violations)
        });
    }
    violations.within("score", |violations| check_score(&config.score, violations));
    violations.within("extensions", |violations| check_extensions(config, violations));
    violations.within("bounds", |violations| check_bounds(&config.bounds, violations));
    violations.into_result()
}

fn check_mesh(degrees: Degrees, may_overlap: bool, violations: &mut Violations) {
    let Degrees { degree_optimal, degree_low, degree_high, degree_score, degree_out } = degrees;
    violations.require("degree_low", degree_low, degree_low <= degree_optimal, || {
        format!("be at most degree_optimal ({degree_optimal})")
    });
    violations.require("degree_high", degree_high, degree_high >= degree_optimal, || {
        format!("be at least degree_optimal ({degree_optimal})")
    });
    if may_overlap {
        violations.require("degree_score", degree_score, degree_score <= degree_optimal, || {
            format!("be at most degree_optimal ({degree_optimal})")
        });
        violations.require("degree_out", degree_out, degree_out == 0 || degree_out < degree_low, || {
            format!("be below degree_low ({degree_low})")
        });
    } else {
        let kept = degree_score.saturating_add(degree_out);
        violations.require("degree_score", degree_score, kept <= degree_optimal, || {
            format!("be, with degree_out ({degree_out}) added, at most degree_optimal ({degree_optimal})")
        });
        violations.require("degree_out", degree_out, degree_out <= degree_low, || {
            format!("be at most degree_low ({degree_low})")
        });
    }
    violations.require("degree_out", degree_out, degree_out <= degree_optimal / 2, || {
        format!("be at most half of degree_optimal ({degree_optimal})")
    });
}

fn check_heartbeat_and_gossip<T>(config: &LimitsConfig<T>, violations: &mut Violations) {
    violations.positive("heartbeat_interval", config.heartbeat_interval);
    violations.positive("heartbeat_ping_interval", config.heartbeat_ping_interval);
    violations.positive("backoff_cleanup_ticks", config.backoff_cleanup_ticks);
    violations.positive("score_cleanup_ticks", config.score_cleanup_ticks);
    violations.finite("gossip_factor", config.gossip_factor);
    violations.positive("history_length", config.history_length);
    let (gossiped, history) = (config.history_gossip_length, config.history_length);
    violations.positive("history_gossip_length", gossiped);
    violations.require("history_gossip_length", gossiped, gossiped <= history, || {
        format!("be at most history_length ({history})")
    });
    let (seen, authors) = (config.seen_history_length, config.extensions.replay_check_authors);
    violations.positive("seen_history_length", seen);
    // Peers answer requests for that time. A copy that arrives after the number of its author has been evicted is a replay.
    violations.require("seen_history_length", seen, authors == 0 || seen >= history, || {
        format!("be at least history_length ({history}) with extensions.replay_check_authors ({authors})")
    });
}

fn check_peers<T>(config: &LimitsConfig<T>, violations: &mut Violations) {
    violations.finite("gossip_threshold", config.gossip_threshold);
    violations.finite("publish_threshold", config.publish_threshold);
    violations.finite("accept_px_threshold", config.accept_px_threshold);
    violations.positive("opportunistic_graft_ticks", config.opportunistic_graft_ticks);
    violations.finite("opportunistic_graft_threshold", config.opportunistic_graft_threshold);
    violations.positive("max_topics_per_peer", config.max_topics_per_peer);
}

fn check_extensions<T>(config: &LimitsConfig<T>, violations: &mut Violations) {
    let extensions = &config.extensions;
    violations.non_negative("slow_peer_penalty", extensions.slow_peer_penalty);
    violations.non_negative("protocol_violation_penalty", extensions.protocol_violation_penalty);
    let thresholds = [
        ("graylist_threshold", extensions.graylist_threshold),
        ("disconnect_threshold", extensions.disconnect_threshold),
    ];
    for (field, threshold) in thresholds {
        if let Some(threshold) = threshold {
            check_low_threshold(field, threshold, config, violations);
        }
    }
}

/// A threshold below which a peer loses more than below `gossip_threshold` and `publish_threshold`.
fn check_low_threshold<T>(
    field: &str,
    threshold: f64,
    config: &LimitsConfig<T>,
    violations: &mut Violations,
) {
    violations.non_positive(field, threshold);
    let higher =
        [("gossip_threshold", config.gossip_threshold), ("publish_threshold", config.publish_threshold)];
    for (name, higher) in higher {
        let comparable = threshold.is_finite() && threshold <= 0.0 && higher.is_finite();
        violations.require(field, threshold, !comparable || threshold <= higher, || {
            format!("be at most {name} ({higher})")
        });
    }
}

fn check_score<T: fmt::Debug>(score: &ScoreLimits<T>, violations: &mut Violations) {
    violations.within("topics", |violations| check_topics(&score.topics, violations));
    if let Some(cap) = score.topic_score_cap {
        violations.non_negative("topic_score_cap", cap);
    }
    violations.non_positive("behaviour_penalty_weight", score.behaviour_penalty_weight);
    violations.non_negative("behaviour_penalty_threshold", score.behaviour_penalty_threshold);
    violations.decay("behaviour_penalty_decay", score.behaviour_penalty_decay);
    violations.finite("app_specific_weight", score.app_specific_weight);
    violations.non_negative("decay_zero", score.decay_zero);
    violations.non_positive("ip_colocation_weight", score.ip_colocation_weight);
    let threshold = score.ip_colocation_threshold;
    violations.require(
        "ip_colocation_threshold",
        threshold,
        threshold.is_finite() && threshold >= 1.0,
        || "be a finite number, at least 1".into(),
    );
}

fn check_topics<T: fmt::Debug>(topics: &TopicScores<T>, violations: &mut Violations) {
    match topics {
        TopicScores::Single { parameters } => {
            violations.within("parameters", |violations| check_topic(parameters, violations))
        }
        TopicScores::Family(family) => {
            let TopicFamily {
                all_topics: _,
                parameters,
                weights,
                patterns,
                default_parameters,
                default_weight,
            } = family;
            for (topic, parameters) in parameters {
                violations.within(&format!("parameters.{topic:?}"), |violations| {
                    check_topic(parameters, violations)
                });
            }
            for (topic, weight) in weights {
                violations.non_negative(&format!("weights.{topic:?}"), *weight);
            }
            for entry in patterns {
                violations.within(&format!("patterns.{:?}", entry.pattern), |violations| {
                    violations.non_negative("weight", entry.weight);
                    violations.within("parameters", |violations| check_topic(&entry.parameters, violations));
                });
            }
            violations.within("default_parameters", |violations| check_topic(default_parameters, violations));
            violations.non_negative("default_weight", *default_weight);
        }
    }
}

fn check_topic(topic: &TopicScoreLimits, violations: &mut Violations) {
    violations.non_negative("time_in_mesh_weight", topic.time_in_mesh_weight);
    violations.non_negative("time_in_mesh_cap", topic.time_in_mesh_cap);
    violations.positive("time_in_mesh_quantum", topic.time_in_mesh_quantum);
    violations.non_negative("first_message_deliveries_weight", topic.first_message_deliveries_weight);
    violations.non_negative("first_message_deliveries_cap", topic.first_message_deliveries_cap);
    violations.decay("first_message_deliveries_decay", topic.first_message_deliveries_decay);
    violations.non_positive("mesh_message_deliveries_weight", topic.mesh_message_deliveries_weight);
    let activation = topic.mesh_message_deliveries_activation;
    violations.require(
        "mesh_message_deliveries_activation",
        activation,
        activation >= MIN_ACTIVATION,
        || format!("be at least {MIN_ACTIVATION:?}"),
    );
    violations.non_negative("mesh_message_deliveries_cap", topic.mesh_message_deliveries_cap);
    let threshold = topic.mesh_message_deliveries_threshold;
    violations.require(
        "mesh_message_deliveries_threshold",
        threshold,
        threshold.is_finite() && threshold > 0.0,
        || "be a finite number, greater than 0".into(),
    );
    violations.decay("mesh_message_deliveries_decay", topic.mesh_message_deliveries_decay);
    violations.non_positive("mesh_failure_penalty_weight", topic.mesh_failure_penalty_weight);
    violations.decay("mesh_failure_penalty_decay", topic.mesh_failure_penalty_decay);
    violations.non_positive("invalid_message_deliveries_weight", topic.invalid_message_deliveries_weight);
    violations.decay("invalid_message_deliveries_decay", topic.invalid_message_deliveries_decay);
}

fn check_bounds(bounds: &Bounds, violations: &mut Violations) {
    violations.positive("max_input_items", bounds.max_input_items);
    violations.positive("max_input_bytes", bounds.max_input_bytes);
    violations.require("max_input_items", bounds.max_input_items, bounds.max_input_items <= 1 << 22, || {
        format!("be at most {}", 1 << 22)
    });
    let max_bytes = 1_usize << 38;
    violations.require(
        "max_input_bytes",
        bounds.max_input_bytes,
        bounds.max_input_bytes <= max_bytes,
        || format!("be at most {max_bytes}"),
    );
    violations.positive("max_parked_messages", bounds.max_parked_messages);
    violations.positive("max_parked_bytes", bounds.max_parked_bytes);
    violations.positive("max_history_per_topic", bounds.max_history_per_topic);
    violations.positive("max_history_bytes_per_topic", bounds.max_history_bytes_per_topic);
    violations.positive("max_seen_per_topic", bounds.max_seen_per_topic);
    violations.positive("max_remote_backoff", bounds.max_remote_backoff);
    violations.positive("reconnect_interval_ticks", bounds.reconnect_interval_ticks);
    violations.positive("first_reconnect_ticks", bounds.first_reconnect_ticks);
    let (first, max) = (bounds.first_reconnect_ticks, bounds.max_reconnect_ticks);
    violations.require("max_reconnect_ticks", max, max >= first, || {
        format!("be at least first_reconnect_ticks ({first})")
    });
    violations.positive("unreachable_reset_ticks", bounds.unreachable_reset_ticks);
    violations.positive("max_iwant_peers_per_message", bounds.max_iwant_peers_per_message);
    violations.positive("max_batch_items", bounds.max_batch_items);
    violations.positive("max_validating_per_topic", bounds.max_validating_per_topic);
    violations.positive("max_validating", bounds.max_validating);
    violations.positive("max_validating_bytes_per_topic", bounds.max_validating_bytes_per_topic);
    violations.positive("max_validating_bytes", bounds.max_validating_bytes);
    violations.positive("validation_timeout", bounds.validation_timeout);
    violations.positive("max_history_bytes", bounds.max_history_bytes);
    violations.positive("max_seen_bytes", bounds.max_seen_bytes);
    violations.positive("max_topic_name_bytes", bounds.max_topic_name_bytes);
    violations.positive("max_output_items", bounds.max_output_items);
    violations.positive("max_output_bytes", bounds.max_output_bytes);
    violations.positive("max_subscribed_items", bounds.max_subscribed_items);
    violations.positive("max_subscribed_bytes", bounds.max_subscribed_bytes);
    violations.positive("max_unread_events", bounds.max_unread_events);
    violations.positive("max_unsent_publications", bounds.max_unsent_publications);
    violations.positive("max_unsent_publication_bytes", bounds.max_unsent_publication_bytes);
    let (unsent, max_unsent) = (bounds.max_unsent_publication_bytes, u32::MAX as usize);
    violations.require("max_unsent_publication_bytes", unsent, unsent <= max_unsent, || {
        format!("be at most {max_unsent}")
    });
    violations.positive("unsent_publication_timeout", bounds.unsent_publication_timeout);
    violations.positive("shutdown_deadline", bounds.shutdown_deadline);
}

/// The violations found so far, and the path of the structure that is being checked.
#[derive(Default)]
pub(crate) struct Violations {
    /// With a dot at the end, unless it is empty.
    path: String,
    list: Vec<Violation>,
}

impl Violations {
    pub(crate) fn into_result(self) -> Result<(), InvalidLimits> {
        if self.list.is_empty() { Ok(()) } else { Err(InvalidLimits(self.list)) }
    }

    /// Runs `check` for the fields of the structure `name`.
    pub(crate) fn within(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push_str(name);
        self.path.push('.');
        check(self);
        self.path.truncate(outer);
    }

    pub(crate) fn require(
        &mut self,
        field: &str,
        value: impl fmt::Debug,
        valid: bool,
        rule: impl FnOnce() -> String,
    ) {
        if !valid {
            let field = format!("{}{field}", self.path);
            self.list.push(Violation { field, value: format!("{value:?}"), rule: rule() });
        }
    }

    pub(crate) fn positive<V: Copy + fmt::Debug + Default + PartialOrd>(&mut self, field: &str, value: V) {
        self.require(field, value, value > V::default(), || "be greater than 0".into());
    }

    fn finite(&mut self, field: &str, value: f64) {
        self.require(field, value, value.is_finite(), || "be a finite number".into());
    }

    fn non_negative(&mut self, field: &str, value: f64) {
        let valid = value.is_finite() && value >= 0.0;
        self.require(field, value, valid, || "be a finite number, at least 0".into());
    }

    fn non_positive(&mut self, field: &str, value: f64) {
        let valid = value.is_finite() && value <= 0.0;
        self.require(field, value, valid, || "be a finite number, at most 0".into());
    }

    fn decay(&mut self, field: &str, value: f64) {
        self.require(field, value, (0.0..=1.0).contains(&value), || "be between 0 and 1".into());
    }
}

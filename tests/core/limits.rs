//! These tests check which limits are accepted, against the recordings of the reference (`tests/traces`) and the
//! additional rules of this crate.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use actix_gossipsub::limits::{
    Extensions, InvalidLimits, Limits, LimitsConfig, TopicFamily, TopicScoreLimits, TopicScores,
};
use flate2::read::GzDecoder;
use serde_json::Value;
use testkit::model::limits::for_each_bound;

/// The durations, which recordings contain in milliseconds.
const SPANS: [&str; 9] = [
    "unsubscribe_backoff",
    "graft_flood_threshold",
    "prune_backoff",
    "retain_duration",
    "fanout_ttl",
    "heartbeat_interval",
    "time_in_mesh_quantum",
    "mesh_message_deliveries_window",
    "mesh_message_deliveries_activation",
];

/// Counts that the reference does not check. One recording has negative values, which the reference treats as 0; here
/// they are replaced by 0.
const UNCHECKED_COUNTS: [&str; 2] = ["max_recv_ihave_per_heartbeat", "opportunistic_graft_peers"];

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

fn read_trace(trace: &Path) -> impl Iterator<Item = Value> + use<> {
    let text = BufReader::new(GzDecoder::new(File::open(trace).unwrap()));
    text.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Rewrites recorded limits to the format of a file.
fn to_file_format(recorded: &mut Value) {
    let Value::Object(fields) = recorded else { return };
    for (name, value) in fields.iter_mut() {
        match value.as_i64() {
            Some(span) if SPANS.contains(&name.as_str()) => *value = format!("{span}ms").into(),
            Some(count) if count < 0 && UNCHECKED_COUNTS.contains(&name.as_str()) => *value = 0.into(),
            _ => to_file_format(value),
        }
    }
    if let Some(score) = fields.remove("score_limits") {
        fields.insert("score".into(), score);
    }
}

/// Whether limits are accepted. Negative counts and durations are rejected by deserialization, other values by
/// validation.
fn accepted(limits: &Value) -> Result<(), String> {
    let mut limits = limits.clone();
    to_file_format(&mut limits);
    let mut config: LimitsConfig = serde_json::from_value(limits).map_err(|error| error.to_string())?;
    config.extensions = Extensions::none();
    Limits::try_from(config).map(drop).map_err(|error| error.to_string())
}

fn check_recorded(name: &str) {
    let mut checked = 0;
    for line in read_trace(&traces().join("automaton").join(name)) {
        let Some(limits) = line["op"].get("limits") else { continue };
        let expected = match line["expect"]["out"].as_str() {
            Some("ok") => true,
            Some("assert_failure") => false,
            other => panic!("unknown outcome {other:?}"),
        };
        let outcome = accepted(limits);
        assert_eq!(outcome.is_ok(), expected, "{name}, line {checked}: {outcome:?} {limits}");
        checked += 1;
    }
    assert!(checked > 10, "only {checked} lines in {name}");
}

#[test]
fn limits_are_accepted_as_by_the_reference() {
    check_recorded("s_check_limits.jsonl.gz");
    check_recorded("s_check_limits_positive.jsonl.gz");
}

#[test]
fn accepts_the_limits_of_every_recording() {
    let directories =
        ["automaton", "worker"].map(|directory| fs::read_dir(traces().join(directory)).unwrap());
    let mut checked = 0;
    for entry in directories.into_iter().flatten() {
        let path = entry.unwrap().path();
        let make = read_trace(&path).next().unwrap();
        assert_eq!(make["op"]["op"], "make", "{}", path.display());
        accepted(&make["op"]["limits"]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        checked += 1;
    }
    assert!(checked > 200, "only {checked} recordings");
}

fn violations(config: LimitsConfig) -> Vec<String> {
    let InvalidLimits(violations) = Limits::try_from(config).expect_err("the limits are rejected");
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn lists_all_violations_in_the_order_of_the_fields() {
    let mut config =
        LimitsConfig::default().with(|c| (c.degree_low, c.degree_score, c.degree_out) = (7, 7, 4));
    config.heartbeat_interval = Duration::ZERO;
    config.history_gossip_length = 6;
    config.score.topics = TopicScores::Single {
        parameters: TopicScoreLimits::default().with(|t| {
            t.time_in_mesh_quantum = Duration::ZERO;
            t.first_message_deliveries_decay = 1.5;
            t.mesh_message_deliveries_activation = Duration::from_millis(999);
        }),
    };
    config.score.behaviour_penalty_weight = 1.0;
    config.bounds.max_reconnect_ticks = 4;
    let expected = [
        "degree_low = 7: must be at most degree_optimal (6)",
        "degree_score = 7: must be at most degree_optimal (6)",
        "degree_out = 4: must be at most half of degree_optimal (6)",
        "heartbeat_interval = 0ns: must be greater than 0",
        "history_gossip_length = 6: must be at most history_length (5)",
        "score.topics.parameters.time_in_mesh_quantum = 0ns: must be greater than 0",
        "score.topics.parameters.first_message_deliveries_decay = 1.5: must be between 0 and 1",
        "score.topics.parameters.mesh_message_deliveries_activation = 999ms: must be at least 1s",
        "score.behaviour_penalty_weight = 1.0: must be a finite number, at most 0",
        "bounds.max_reconnect_ticks = 4: must be at least first_reconnect_ticks (5)",
    ];
    assert_eq!(violations(config.clone()), expected);
    let report = Limits::try_from(config).unwrap_err().to_string();
    assert_eq!(report, format!("invalid limits:\n  {}", expected.join("\n  ")));
}

/// All topics with a change of their score parameters.
fn topic(change: impl FnOnce(&mut TopicScoreLimits)) -> TopicScores {
    TopicScores::Single { parameters: TopicScoreLimits::default().with(change) }
}

/// Degrees that overlap are those of Lotus: 6 best and 3 outbound peers of 8.
#[test]
fn the_best_and_the_outbound_peers_of_a_mesh_may_be_the_same_as_in_the_specification() {
    let mut limits = LimitsConfig::<String>::default();
    (limits.degree_optimal, limits.degree_low, limits.degree_score, limits.degree_out) = (8, 6, 6, 3);
    Limits::try_from(limits.clone()).expect("the degrees of Lotus are valid");
    limits.extensions.degree_score_and_out_may_overlap = false;
    let rule = "degree_score = 6: must be, with degree_out (3) added, at most degree_optimal (8)";
    assert_eq!(violations(limits.clone()), [rule]);
    // A bootstrap node has no mesh.
    limits.extensions.degree_score_and_out_may_overlap = true;
    (limits.degree_optimal, limits.degree_low, limits.degree_score, limits.degree_out) = (0, 0, 0, 0);
    Limits::try_from(limits).expect("no mesh is valid");
}

/// Rules that no recording violates alone, each with the field that the error must name.
#[test]
fn violations_of_one_rule_are_rejected() {
    type Violate = fn(&mut LimitsConfig);
    let violating: [(&str, Violate); 32] = [
        ("degree_out", |limits| limits.degree_low = 1),
        ("degree_out", |limits| limits.degree_low = 2),
        ("degree_score", |limits| limits.degree_score = 7),
        ("degree_score", |limits| {
            // The rule of the reference.
            (limits.degree_score, limits.extensions.degree_score_and_out_may_overlap) = (5, false);
        }),
        ("seen_history_length", |limits| {
            (limits.seen_history_length, limits.extensions.replay_check_authors) =
                (limits.history_length - 1, 1);
        }),
        ("score.ip_colocation_weight", |limits| limits.score.ip_colocation_weight = 0.5),
        ("score.ip_colocation_threshold", |limits| limits.score.ip_colocation_threshold = 0.5),
        ("score.topics.parameters.first_message_deliveries_cap", |limits| {
            limits.score.topics = topic(|topic| topic.first_message_deliveries_cap = -0.5);
        }),
        ("score.topics.parameters.mesh_message_deliveries_cap", |limits| {
            limits.score.topics = topic(|topic| topic.mesh_message_deliveries_cap = -0.5);
        }),
        ("extensions.slow_peer_penalty", |limits| limits.extensions.slow_peer_penalty = -0.5),
        ("extensions.protocol_violation_penalty", |limits| {
            limits.extensions.protocol_violation_penalty = -0.5;
        }),
        ("extensions.graylist_threshold", |limits| limits.extensions.graylist_threshold = Some(0.5)),
        ("extensions.graylist_threshold", |limits| limits.extensions.graylist_threshold = Some(-199.0)),
        ("extensions.graylist_threshold", |limits| {
            (limits.gossip_threshold, limits.extensions.disconnect_threshold) = (-2501.0, None);
        }),
        ("extensions.disconnect_threshold", |limits| limits.extensions.disconnect_threshold = Some(0.5)),
        ("extensions.disconnect_threshold", |limits| limits.extensions.disconnect_threshold = Some(-199.0)),
        ("bounds.max_input_items", |limits| limits.bounds.max_input_items = 0),
        ("bounds.max_parked_messages", |limits| limits.bounds.max_parked_messages = 0),
        ("bounds.max_parked_bytes", |limits| limits.bounds.max_parked_bytes = 0),
        ("bounds.max_history_per_topic", |limits| limits.bounds.max_history_per_topic = 0),
        ("bounds.max_history_bytes_per_topic", |limits| limits.bounds.max_history_bytes_per_topic = 0),
        ("bounds.max_seen_per_topic", |limits| limits.bounds.max_seen_per_topic = 0),
        ("bounds.max_remote_backoff", |limits| limits.bounds.max_remote_backoff = Duration::ZERO),
        ("bounds.reconnect_interval_ticks", |limits| limits.bounds.reconnect_interval_ticks = 0),
        ("bounds.first_reconnect_ticks", |limits| limits.bounds.first_reconnect_ticks = 0),
        ("bounds.max_reconnect_ticks", |limits| limits.bounds.max_reconnect_ticks = 1),
        ("bounds.unreachable_reset_ticks", |limits| limits.bounds.unreachable_reset_ticks = 0),
        ("bounds.max_batch_items", |limits| limits.bounds.max_batch_items = 0),
        ("bounds.max_output_items", |limits| limits.bounds.max_output_items = 0),
        ("bounds.max_unsent_publications", |limits| limits.bounds.max_unsent_publications = 0),
        ("bounds.max_unsent_publication_bytes", |limits| limits.bounds.max_unsent_publication_bytes = 0),
        ("bounds.unsent_publication_timeout", |limits| {
            limits.bounds.unsent_publication_timeout = Duration::ZERO;
        }),
    ];
    for (field, violate) in violating {
        let mut limits = LimitsConfig::default();
        violate(&mut limits);
        let InvalidLimits(violations) = Limits::try_from(limits).expect_err(field);
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, [field]);
    }
}

#[test]
fn bounds_that_may_be_0_are_accepted_as_0() {
    let mut limits = LimitsConfig::<String>::default().with(|c| c.extensions = Extensions::none());
    for_each_bound(&mut limits.bounds, |least, bound| {
        if least == 0 {
            *bound = 0;
        }
    });
    limits.bounds.event_interval = Duration::ZERO;
    Limits::try_from(limits).expect("0 is a valid bound");
}

#[test]
fn checks_every_topic_of_a_family() {
    let bad = TopicScoreLimits::default().with(|t| t.mesh_message_deliveries_threshold = 0.0);
    let mut config = LimitsConfig::default();
    config.score.topics = TopicScores::Family(TopicFamily::default().with(|f| {
        f.all_topics = vec!["a".to_owned()];
        f.parameters = [("a".to_owned(), TopicScoreLimits::default()), ("b".to_owned(), bad.clone())].into();
        f.weights = [("c".to_owned(), -1.0)].into();
        f.default_parameters = bad;
        f.default_weight = f64::NAN;
    }));
    let expected = [
        "score.topics.parameters.\"b\".mesh_message_deliveries_threshold = 0.0: must be a finite number, greater than 0",
        "score.topics.weights.\"c\" = -1.0: must be a finite number, at least 0",
        "score.topics.default_parameters.mesh_message_deliveries_threshold = 0.0: must be a finite number, greater than 0",
        "score.topics.default_weight = NaN: must be a finite number, at least 0",
    ];
    assert_eq!(violations(config), expected);
}

/// Puts `value` in place of each float in turn.
fn with_each_float(config: &Value, value: &Value, visit: &mut impl FnMut(&str, Value)) {
    fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    pointers(field, &format!("{path}/{name}"), found);
                }
            }
            Value::Number(number) if number.is_f64() => found.push(path.to_owned()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    pointers(config, "", &mut found);
    for pointer in found {
        let mut changed = config.clone();
        *changed.pointer_mut(&pointer).unwrap() = value.clone();
        visit(&pointer, changed);
    }
}

/// JSON has no NaN and no infinity, so the values are written as toml.
#[test]
fn every_float_that_is_not_finite_is_rejected() {
    let config = serde_json::to_value(LimitsConfig::<String>::default()).unwrap();
    let mut floats = 0;
    for literal in ["nan", "inf", "-inf"] {
        with_each_float(&config, &Value::from("@"), &mut |pointer, changed| {
            let text = toml::to_string(&changed).unwrap().replace("\"@\"", literal);
            let config: LimitsConfig = toml::from_str(&text).unwrap();
            assert_eq!(violations(config).len(), 1, "{pointer} = {literal}");
            floats += 1;
        });
    }
    // Five outside the score, four of the extensions, eight of the whole peer, 13 of a topic.
    assert_eq!(floats, 3 * 30);
}

#[test]
fn topics_are_mapped_with_their_parameters() {
    let (blocks, others) = ("/fil/blocks".to_owned(), TopicScoreLimits::default());
    let parameters = others.clone().with(|topic| topic.first_message_deliveries_cap = 7.5);
    let mut config = LimitsConfig::filecoin();
    config.score.topics = TopicScores::Family(TopicFamily::default().with(|family| {
        family.parameters = [(blocks.clone(), parameters), ("/drand".to_owned(), others)].into();
        family.weights = [(blocks.clone(), 0.1)].into();
        family.default_weight = 0.0;
    }));
    let limits = Limits::try_from(config).unwrap();
    let length = |topic: String| Ok::<_, std::convert::Infallible>(topic.len());
    let mapped = limits.clone().map_topics(length).unwrap();
    let (name, blocks) = (blocks.clone(), blocks.len());
    assert_eq!(mapped.score.topics.weight(&blocks), 0.1);
    assert_eq!(mapped.score.topics.parameters(&blocks), limits.score.topics.parameters(&name));
    assert_eq!(mapped.score.topics.weight(&0), 0.0);
    assert_eq!(mapped.degree_lazy, limits.degree_lazy);
    let refused = limits.map_topics(|topic| if topic.starts_with("/fil") { Ok(topic) } else { Err(topic) });
    assert!(refused.unwrap_err().starts_with("/drand"));
}

//! These tests check parameters that differ by topic: degrees, sizes and score parameters, by name and by pattern.

use std::sync::Arc;

use actix_gossipsub::{
    ConnectionInfo, FullMessage,
    limits::{
        InvalidLimits, Limits, LimitsConfig, PatternOverrides, PatternScore, TopicFamily, TopicOverrides,
        TopicScoreLimits, TopicScores,
    },
    protocol::{PublishOutcome, ReceiveOutcome, ValidationMode},
};

use super::setup::{Fixture, Setup, full};

fn degrees(optimal: usize) -> TopicOverrides {
    TopicOverrides::default().with(|limits| {
        (limits.degree_low, limits.degree_optimal) = (Some(optimal), Some(optimal));
        limits.degree_high = Some(optimal + 1);
        (limits.degree_score, limits.degree_out) = (Some(1), Some(0));
    })
}

/// Topic 7 has the degree 2, topics 10 to 19 the degree 3, all others 6.
fn by_topic(limits: &mut LimitsConfig<u32>) {
    limits.topics.named = [(7, degrees(2))].into();
    limits.topics.patterns = vec![
        PatternOverrides { pattern: "1*".into(), limits: degrees(3) },
        PatternOverrides { pattern: "*".into(), limits: TopicOverrides::default() },
    ];
}

fn mesh_sizes(fixture: &Fixture, topics: [u32; 4]) -> [usize; 4] {
    topics.map(|topic| fixture.view().mesh[&topic].len())
}

#[test]
fn meshes_have_the_degrees_of_their_topics() {
    let topics = [7, 15, 8, 17];
    let mut fixture = Setup::new().limits(by_topic).start();
    for topic in topics {
        let now = fixture.now();
        fixture.node.join(&topic, now);
    }
    for peer in 0..20 {
        fixture.connect(peer, ConnectionInfo::inbound());
        for topic in topics {
            let now = fixture.now();
            fixture.node.subscribe(&peer, &topic, now);
        }
    }
    fixture.next_heartbeat();
    assert_eq!(mesh_sizes(&fixture, topics), [2, 3, 6, 3]);
    // New parameters of a pattern apply to all its topics, also to those that are active.
    fixture.change_limits(|limits| limits.topics.patterns[0].limits = degrees(5)).unwrap();
    fixture.next_heartbeat();
    assert_eq!(mesh_sizes(&fixture, topics), [2, 5, 6, 5]);
    // A full mesh is one of D_hi peers.
    for peer in 0..20 {
        for topic in topics {
            let now = fixture.now();
            fixture.node.graft(&peer, &topic, now);
        }
    }
    assert_eq!(mesh_sizes(&fixture, topics), [3, 6, 12, 6]);
}

#[test]
fn the_degrees_of_a_topic_obey_the_rules_of_all_degrees() {
    let config = LimitsConfig::<u32>::default().with(|limits| {
        limits.topics.named = [(7, TopicOverrides::default().with(|t| t.degree_low = Some(7)))].into();
        let limits_of_pattern = TopicOverrides::default().with(|t| t.degree_out = Some(4));
        limits.topics.patterns = vec![PatternOverrides { pattern: "1*".into(), limits: limits_of_pattern }];
    });
    let InvalidLimits(violations) = Limits::try_from(config).unwrap_err();
    let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(
        violations,
        [
            "topics.named.7.degree_low = 7: must be at most degree_optimal (6)",
            "topics.patterns.\"1*\".limits.degree_out = 4: must be at most half of degree_optimal (6)",
        ]
    );
}

/// Peer 0 sends a message of this size on a topic.
fn receive(fixture: &mut Fixture, topic: u32, id: u32, size: usize) -> ReceiveOutcome<super::setup::Plain> {
    fixture.set_message_size(size);
    let (message, now) = (Arc::new(FullMessage { topic, ..full(id) }), fixture.now());
    fixture.node.receive_message(&0, message, ValidationMode::Sequential, now)
}

#[test]
fn a_message_above_the_size_limit_of_its_topic_is_refused_and_penalised() {
    let mut fixture = Setup::new()
        .limits(|limits| {
            limits.extensions.max_message_size = 100;
            let larger = TopicOverrides::default().with(|t| t.max_message_size = Some(200));
            let unlimited = TopicOverrides::default().with(|t| t.max_message_size = Some(0));
            limits.topics.named = [(7, larger), (8, unlimited)].into();
        })
        .connected(0..2)
        .start();
    let now = fixture.now();
    [0, 7, 8].iter().for_each(|topic| drop(fixture.node.join(topic, now)));
    let routed = ReceiveOutcome::Route { to: vec![] };
    for (id, (topic, size, outcome)) in [
        (0, 100, routed.clone()),
        (0, 101, ReceiveOutcome::TooLarge),
        (7, 200, routed.clone()),
        (7, 201, ReceiveOutcome::TooLarge),
        (8, 1 << 30, routed),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(receive(&mut fixture, topic, id as u32, size), outcome, "{size} bytes on {topic}");
    }
    let score = &fixture.view().scores[&0];
    assert_eq!([0, 7].map(|topic| score.topics[&topic].invalid), [1.0, 1.0]);
    assert_eq!(fixture.node.drain().app.len(), 3);
    // It has no verdict, so that a smaller message of the same id is a new one.
    assert_eq!(receive(&mut fixture, 0, 1, 100), ReceiveOutcome::Route { to: vec![] });

    fixture.set_message_size(101);
    let now = fixture.now();
    assert_eq!(fixture.node.publish(full(50), now), PublishOutcome::TooLarge);
    fixture.set_message_size(100);
    assert_eq!(fixture.node.publish(full(50), now), PublishOutcome::Published { to: vec![] });
}

#[test]
fn idontwant_is_sent_by_the_threshold_of_the_topic() {
    for general in [0, 1000] {
        let mut fixture = Setup::new()
            .limits(|limits| {
                limits.extensions.idontwant_message_size = general;
                let small = TopicOverrides::default().with(|t| t.idontwant_message_size = Some(10));
                limits.topics.named = [(7, small)].into();
            })
            .connected(0..2)
            .start();
        let now = fixture.now();
        for topic in [0, 7] {
            fixture.node.join(&topic, now);
            for peer in 0..2 {
                fixture.node.subscribe(&peer, &topic, now);
            }
        }
        fixture.next_heartbeat();
        fixture.node.drain();
        let sent = |fixture: &mut Fixture, topic, id| {
            receive(fixture, topic, id, 10);
            let outputs = fixture.node.drain().p2p;
            outputs.iter().filter(|output| output.to_string().contains("idontwant")).count()
        };
        assert_eq!([sent(&mut fixture, 0, 1), sent(&mut fixture, 7, 2)], [0, 1]);
        // Those of peers are accepted if any topic uses them.
        assert_eq!(fixture.idontwant(1, 9..10).name(), "recorded");
        let now = fixture.now();
        let publish = |fixture: &mut Fixture, topic, id| {
            let message = FullMessage { topic, ..full(id) };
            drop(fixture.node.publish(message, now));
            fixture.node.drain().p2p.len()
        };
        assert_eq!(publish(&mut fixture, 7, 9), 1, "peer 1 declined it");
        assert_eq!(publish(&mut fixture, 7, 10), 2);
    }
}

// === Score parameters ===

fn weighing(weight: f64) -> TopicScoreLimits {
    TopicScoreLimits::default().with(|topic| {
        topic.first_message_deliveries_weight = weight;
        topic.time_in_mesh_weight = 0.0;
    })
}

/// The score parameters of topic 7 are named, those of 10 to 19 follow from a pattern.
fn scored() -> TopicScores<u32> {
    TopicScores::Family(TopicFamily::default().with(|family| {
        family.parameters = [(7, weighing(7.0))].into();
        family.weights = [(7, 1.0), (15, 0.5)].into();
        family.patterns = vec![
            PatternScore { pattern: "1*".into(), weight: 2.0, parameters: weighing(3.0) },
            PatternScore { pattern: "*9".into(), weight: 9.0, parameters: weighing(9.0) },
        ];
        (family.default_parameters, family.default_weight) = (weighing(100.0), 0.0);
    }))
}

#[test]
fn a_topic_is_scored_by_its_name_or_else_by_the_first_pattern_that_matches() {
    for (topic, score) in [(7, 7.0), (15, 1.5), (18, 6.0), (19, 6.0), (29, 81.0), (8, 0.0)] {
        let mut fixture =
            Setup::new().limits(|limits| limits.score.topics = scored()).connected(0..1).start();
        let now = fixture.now();
        fixture.node.join(&topic, now);
        assert_eq!(receive(&mut fixture, topic, 1, 1), ReceiveOutcome::Route { to: vec![] });
        assert_eq!(fixture.score(0), score, "topic {topic}");
        let parameters = fixture.node.limits().of_topic(&topic, || topic.to_string());
        assert_eq!(parameters.is_unscored, topic == 8);
    }
}

#[test]
fn the_score_parameters_of_one_topic_are_set_and_those_of_others_stay() {
    let mut fixture = Setup::new().topic_score(|topic| *topic = weighing(1.0)).connected(0..1).start();
    let now = fixture.now();
    for topic in [7, 8] {
        fixture.node.join(&topic, now);
        receive(&mut fixture, topic, topic, 1);
    }
    assert_eq!(fixture.score(0), 2.0);
    fixture.change_limits(|limits| limits.set_topic_score(7, weighing(10.0), 0.5)).unwrap();
    assert_eq!(fixture.score(0), 6.0);
    // Other topics have parameters still: the ones of all topics.
    assert!(!fixture.node.limits().of_topic(&8, || "8".to_owned()).is_unscored);
    let error = fixture.change_limits(|limits| limits.set_topic_score(8, weighing(-1.0), -2.0)).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    assert_eq!(fixture.score(0), 6.0);
}

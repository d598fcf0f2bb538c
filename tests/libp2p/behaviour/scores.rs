//! Scores whose parameters are those of the configuration's limits.

use actix_gossipsub::{
    libp2p::gossipsub::{ConfigBuilder, IdentTopic, PeerScoreParams, PeerScoreThresholds, TopicScoreParams},
    limits::{PatternScore, TopicFamily, TopicPattern, TopicScoreLimits, TopicScores},
};
use libp2p::identity::Keypair;

use super::{behaviour, config, ours_with, theirs, topic};

/// A score for the topics that match a pattern.
fn by_pattern() -> ConfigBuilder {
    let mut config = config();
    config.limits(|limits| {
        let pattern = TopicPattern::new("sport/*");
        let scored = PatternScore { pattern, weight: 1.0, parameters: TopicScoreLimits::default() };
        limits.score.topics = TopicScores::Family(TopicFamily::default().with(|family| {
            family.patterns = vec![scored];
            family.default_weight = 0.0;
        }));
        limits.score.app_specific_weight = 10.0;
    });
    config
}

fn weighted(topic_weight: f64) -> TopicScoreParams {
    TopicScoreParams { topic_weight, ..TopicScoreParams::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_score_of_the_limits_has_the_methods_of_the_score() {
    let (ours, theirs) = (ours_with(&by_pattern()).await, theirs().await);
    let them = theirs.peer;
    ours.dial(&theirs.address).await;
    ours.meshed_with(them).await;
    ours.until("the peer has the score of the application", move |swarm| {
        let gossipsub = &mut swarm.behaviour_mut().gossipsub;
        gossipsub.set_application_score(&them, 2.0) && gossipsub.peer_score(&them) == Some(20.0)
    })
    .await;
    // P1 counts the milliseconds in the mesh.
    ours.call(|it| it.gossipsub.set_topic_params(topic(), weighted(1.0))).await.unwrap();
    ours.until("the topic has a score", move |swarm| {
        swarm.behaviour().gossipsub.peer_score(&them).is_some_and(|score| score > 20.0)
    })
    .await;
    let weights = ours.call(|it| {
        let worker = it.gossipsub.worker().expect("the engine runs");
        ["news", "sport/tennis", "other"].map(|topic| worker.topic_score(&topic.into()).1)
    });
    assert_eq!(weights.await, [1.0, 1.0, 0.0], "the pattern is still there");
}

#[test]
fn parameters_of_a_topic_are_set_before_the_engine_runs() {
    let mut gossipsub = behaviour(&Keypair::generate_ed25519(), &by_pattern());
    let tennis = IdentTopic::new("sport/tennis");
    assert_eq!(gossipsub.get_topic_params(&tennis), None);
    gossipsub.set_topic_params(tennis.clone(), weighted(0.25)).unwrap();
    assert_eq!(gossipsub.get_topic_params(&tennis), Some(&weighted(0.25)));
    // It is not set by with_peer_score yet, which replaces all.
    gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default()).unwrap();
    assert_eq!(gossipsub.get_topic_params(&tennis), None);
}

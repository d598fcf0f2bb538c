//! This test records an engine whose settings change while it runs, and replays the recording on a `Node`: both must reach
//! the same state, to the last bit of each score, and emit as many outputs.

use std::{fs, sync::Arc, time::Duration};

use actix_gossipsub::{
    Clock, Limits, LimitsConfig, ManualClock, P2pInput, P2pMessage, Worker,
    limits::{PatternOverrides, PatternScore, TopicOverrides, TopicScoreLimits},
    plain::PlainNetwork,
    protocol::RemainingBackoff,
    recording::FileRecorder,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::json;

use super::replay::{Live, connect_all, random_input, replayed, run, temporary, text_of};

async fn random_setting(live: &mut Live, rng: &mut ChaCha8Rng) {
    let peer = rng.random_range(0..42);
    let worker = live.worker();
    match rng.random_range(0..9) {
        0..4 => worker.set_direct(&peer, rng.random()).unwrap(),
        4 => worker.block(&peer, Duration::from_millis(rng.random_range(0..1000))).unwrap(),
        5 => worker.unblock(&peer).unwrap(),
        6 => {
            let parameters = TopicScoreLimits::default().with(|topic| {
                topic.first_message_deliveries_weight = rng.random_range(0.0..3.0);
                topic.invalid_message_deliveries_weight = -rng.random_range(0.0..3.0);
                topic.first_message_deliveries_decay = rng.random_range(0.5..1.0);
            });
            worker.set_topic_score("b".to_owned(), parameters, rng.random_range(0.0..2.0)).unwrap();
        }
        _ => {
            let degree = rng.random_range(1..9);
            let low = rng.random_range(-60.0..-1.0);
            worker
                .change_limits(|limits| {
                    (limits.degree_low, limits.degree_optimal) = (degree, degree);
                    (limits.degree_high, limits.degree_score) = (degree + 2, degree / 2);
                    limits.degree_out = 0;
                    (limits.gossip_threshold, limits.publish_threshold) = (low, low);
                    (limits.graylist_threshold, limits.disconnect_threshold) = (Some(low - 9.0), None);
                    limits.max_message_size = [0, 0, 0, 6][rng.random_range(0..4)];
                    limits.score.behaviour_penalty_weight = -rng.random_range(0.0..5.0);
                    let more = TopicOverrides::default().with(|t| t.degree_high = Some(degree + 5));
                    limits.topics.patterns = vec![PatternOverrides { pattern: "a*".into(), limits: more }];
                    if let actix_gossipsub::limits::TopicScores::Family(family) = &mut limits.score.topics {
                        let parameters = TopicScoreLimits::default();
                        let weight = rng.random_range(0.0..2.0);
                        family.patterns.insert(0, PatternScore { pattern: "c*".into(), weight, parameters });
                        family.patterns.truncate(3);
                    }
                })
                .unwrap();
        }
    }
    live.settle().await;
}

#[test]
fn an_engine_whose_settings_change_is_replayed_to_the_same_state_and_outputs() {
    let file = temporary("random_settings.jsonl");
    let (state, emitted) = run(async {
        let mut live = Live::start(FileRecorder::create(&file).unwrap());
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        live.settle().await;
        connect_all(&mut live).await;
        for step in 0..1500 {
            random_input(&mut live, &mut rng, step).await;
            if step.is_multiple_of(3) {
                random_setting(&mut live, &mut rng).await;
            }
        }
        let state = text_of(live.worker().state().await.unwrap());
        assert_eq!(live.recorder.finish().unwrap().lost, 0);
        live.worker().shutdown().await;
        (state, live.emitted)
    });
    let result = replayed(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(result.state, state);
    assert_eq!(result.lines.iter().map(|line| line.p2p.len()).sum::<usize>(), emitted);
    // The settings had effects.
    let has = |outcome: &str| result.lines.iter().any(|line| line.outcome["outcome"] == outcome);
    assert!(["direct_peer", "too_large"].into_iter().all(has));
    let outputs = || result.lines.iter().flat_map(|line| &line.p2p);
    for kind in ["kick", "unblock"] {
        assert!(outputs().any(|output| output["type"] == kind), "no {kind}");
    }
    assert!(outputs().any(|output| output["origin"] == json!("direct")));
}

/// The backoffs that an engine starts with are recorded: the replay has the same, and takes the same time to graft.
#[test]
fn an_engine_that_takes_over_backoffs_is_replayed_to_the_same_state() {
    let file = temporary("restored_backoffs.jsonl");
    let state = run(async {
        let recorder = FileRecorder::create(&file).unwrap();
        let limits = Limits::try_from(LimitsConfig::default()).unwrap();
        let clock = Arc::new(ManualClock::new());
        let backoffs = (0..5).map(|peer| RemainingBackoff {
            topic: "a".to_owned(),
            peer,
            remaining: Duration::from_millis(1_500 * peer + 1),
        });
        let builder =
            Worker::builder(PlainNetwork::new(), limits).manual().seed(3).initial_backoffs(backoffs);
        let recorded = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>).input_recorder(recorder.clone());
        let worker = recorded.start(["a".to_owned()]).unwrap().worker;
        for peer in 0..5 {
            worker.p2p_input(P2pInput::connected(peer)).unwrap();
            worker.p2p_input(P2pInput::message(peer, P2pMessage::subscribe("a".to_owned()))).unwrap();
            worker.settle().await;
        }
        for _ in 0..5 {
            clock.advance(Duration::from_secs(1));
            worker.tick().await;
        }
        let view = worker.state().await.unwrap();
        assert_eq!(view.mesh["a"].len(), 3, "{:?}", view.backoff);
        assert_eq!(recorder.finish().unwrap().lost, 0);
        worker.shutdown_for_restart().await;
        text_of(view)
    });
    assert_eq!(replayed(&fs::read_to_string(&file).unwrap()).unwrap().state, state);
}

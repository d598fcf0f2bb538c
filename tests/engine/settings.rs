//! These tests check what the application changes while an engine runs: limits, direct peers and blocked peers.

use std::{sync::Arc, thread, time::Duration};

use actix_gossipsub::{
    AppInput, ChangeRefused, EngineStopped, P2pInput, P2pMessage, P2pOutput, Refused, RouteResult, Worker,
    limits::{TopicFamily, TopicScoreLimits, TopicScores},
    plain::PlainNetwork,
    protocol::{EventKind, LeaveReason, PeerDecision, ScoreAction},
};

use crate::{recording::Recording, support::*};

type Engine = Worker<PlainNetwork>;

fn accept(worker: &Engine, input: P2pInput<PlainNetwork>) {
    worker.p2p_input(input).expect("the input is accepted");
}

/// Peers 1 to 3 are in the meshes of both topics.
async fn with_meshes(worker: &Engine) {
    for peer in 1..=3 {
        accept(worker, connect(peer));
        ["a", "b"].iter().for_each(|topic| accept(worker, graft(peer, topic)));
    }
    worker.settle().await;
}

async fn mesh(worker: &Engine, topic: &str) -> Vec<u64> {
    worker.mesh_of(&topic.to_owned()).await.expect("the engine runs").expect("the topic is joined")
}

fn score(worker: &Engine, peer: u64, score: f64) {
    worker.app_input(AppInput::SetApplicationScore { peer, score }).expect("the input is accepted");
}

fn decisions(worker: &Engine, peer: u64) -> Vec<PeerDecision> {
    let decision = |kind| if let EventKind::Decided(decision) = kind { Some(decision) } else { None };
    worker.decisions_about(&peer).into_iter().filter_map(|record| decision(record.kind)).collect()
}

// === Direct peers ===

#[test]
fn a_peer_becomes_direct_in_all_its_topics_and_regular_again() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a", "b"]);
        let worker = &engine.worker;
        with_meshes(worker).await;
        while engine.p2p.try_recv().is_some() {}
        worker.set_direct(&1, true).expect("the engine runs");
        worker.settle().await;
        let mut outputs = std::iter::from_fn(|| engine.p2p.try_recv()).collect::<Vec<_>>();
        for topic in ["a", "b"] {
            assert_eq!(mesh(worker, topic).await, [2, 3]);
            assert_eq!(sent_to(&outputs, 1, topic), ["prune"]);
        }
        assert_eq!(outputs.len(), 2);
        assert!(worker.connection_of(&1).await.expect("the engine runs").expect("it is connected").direct);
        assert_eq!(worker.direct_peers(), [1]);
        let pruned =
            decisions(worker, 1).into_iter().filter(|it| *it == PeerDecision::Pruned(LeaveReason::Direct));
        assert_eq!(pruned.count(), 2);

        // It gets every message, and no GRAFT of it is accepted.
        accept(worker, graft(1, "a"));
        worker.app_input(publish("a", 1)).expect("the input is accepted");
        worker.settle().await;
        outputs = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert_eq!(sent_to(&outputs, 1, "a"), ["prune", "message"]);
        assert_eq!(mesh(worker, "a").await, [2, 3]);

        worker.set_direct(&1, false).expect("the engine runs");
        worker.app_input(publish("a", 2)).expect("the input is accepted");
        worker.settle().await;
        worker.app_input(publish("a", 3)).expect("the input is accepted");
        worker.settle().await;
        outputs = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert!(sent_to(&outputs, 1, "a").len() <= 1, "only a message that overtook the change");
        assert!(worker.direct_peers().is_empty());
        worker.shutdown().await;
    });
}

#[test]
fn a_graylisted_peer_is_handled_while_it_is_direct() {
    run(async {
        let limits = changed(|limits| {
            limits.score.app_specific_weight = 1.0;
            limits.extensions.graylist_threshold = Some(-1000.0);
        });
        let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let worker = &engine.worker;
        accept(worker, connect(1));
        score(worker, 1, -2000.0);
        worker.settle().await;
        assert_eq!(worker.p2p_input(subscribe(1, "a")), Err(Refused::Graylisted));
        worker.set_direct(&1, true).expect("the engine runs");
        worker.settle().await;
        accept(worker, subscribe(1, "a"));
        worker.set_direct(&1, false).expect("the engine runs");
        worker.settle().await;
        assert_eq!(worker.p2p_input(subscribe(1, "a")), Err(Refused::Graylisted));
        let actions = decisions(worker, 1).into_iter();
        let actions = actions.filter(|it| matches!(it, PeerDecision::ActedOnScore(_))).collect::<Vec<_>>();
        let [graylist, leave] = [ScoreAction::Graylist, ScoreAction::LeaveGraylist];
        assert_eq!(actions, [graylist, leave, graylist].map(PeerDecision::ActedOnScore));

        // A new threshold decides anew about all peers.
        worker.change_limits(|limits| limits.graylist_threshold = Some(-3000.0)).expect("valid limits");
        worker.settle().await;
        accept(worker, subscribe(1, "a"));
        worker.change_limits(|limits| limits.graylist_threshold = Some(-1500.0)).expect("valid limits");
        worker.settle().await;
        assert_eq!(worker.p2p_input(subscribe(1, "a")), Err(Refused::Graylisted));
        worker.shutdown().await;
    });
}

/// A SUBSCRIBE may be handled before the change, and reported to the supervisor after it.
#[test]
fn a_peer_that_subscribes_while_it_becomes_direct_is_direct_in_every_topic() {
    run(async {
        let topics: Vec<_> = (0..40).map(|number| format!("topic {number}")).collect();
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        let engine = start(manual(PlainNetwork::new(), limits()), &names);
        for round in 0..50 {
            let peer = 100 + round;
            accept(&engine.worker, connect(peer));
            let (worker, names) = (engine.worker.clone(), topics.clone());
            let subscribing = thread::spawn(move || {
                names.iter().for_each(|topic| accept(&worker, graft(peer, topic)));
            });
            let direct = round % 2 == 0;
            engine.worker.set_direct(&peer, !direct).expect("the engine runs");
            engine.worker.set_direct(&peer, direct).expect("the engine runs");
            subscribing.join().expect("all inputs are accepted");
            // A refused GRAFT is no subscription.
            topics.iter().for_each(|topic| accept(&engine.worker, subscribe(peer, topic)));
            engine.worker.settle().await;
        }
        let view = engine.worker.state().await.expect("the engine runs");
        for (peer, connection) in &view.connections {
            assert_eq!(connection.direct, peer % 2 == 0);
            assert_eq!(connection.topics.len(), topics.len());
        }
        for topic in &topics {
            let direct = view.mesh[topic].iter().filter(|peer| *peer % 2 == 0).count();
            assert_eq!(direct, 0, "{topic} has direct peers in its mesh");
            // All direct peers are sent the message, and of the others those of the mesh.
            let ticket = engine.worker.publish(PlainNetwork::message(topic, 1, "content")).expect("room");
            assert_eq!(ticket.routed().await.queued, 25 + view.mesh[topic].len(), "{topic}");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn blocks_and_dials_are_outputs_in_their_order() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = &engine.worker;
        worker.block(&1, Duration::from_secs(60)).expect("the engine runs");
        worker.unblock(&1).expect("the engine runs");
        worker.set_direct(&2, true).expect("the engine runs");
        worker.settle().await;
        let outputs =
            std::iter::from_fn(|| engine.p2p.try_recv()).map(|output: P2pOutput<_>| output.to_string());
        assert_eq!(outputs.collect::<Vec<_>>(), ["kick 1 for 60s", "unblock 1", "connect to 2 (direct)"]);
        worker.shutdown().await;
        assert_eq!(worker.block(&1, Duration::MAX), Err(EngineStopped));
        assert_eq!(worker.unblock(&1), Err(EngineStopped));
        assert_eq!(worker.set_direct(&1, true), Err(EngineStopped));
    });
}

// === Limits ===

#[test]
fn concurrent_changes_of_the_limits_are_all_made() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let worker = engine.worker.clone();
                thread::spawn(move || {
                    for change in 0..20 {
                        let parameters = TopicScoreLimits::default()
                            .with(|topic| topic.time_in_mesh_weight = f64::from(change));
                        worker
                            .set_topic_score(
                                format!("topic {number} {change}"),
                                parameters,
                                f64::from(number),
                            )
                            .expect("valid limits");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("all changes are made"));
        for number in 0..8 {
            for change in 0..20 {
                let (parameters, weight) = engine.worker.topic_score(&format!("topic {number} {change}"));
                let expected = (f64::from(change), f64::from(number));
                assert_eq!((parameters.time_in_mesh_weight, weight), expected);
            }
        }
        engine.worker.shutdown().await;
        let refused = engine.worker.change_limits(|limits| limits.degree_lazy = 1);
        assert_eq!(refused, Err(ChangeRefused::Stopped(EngineStopped)));
    });
}

#[test]
fn new_weights_apply_to_the_counters_that_peers_have() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a", "b"]);
        let worker = &engine.worker;
        with_meshes(worker).await;
        (0..3).for_each(|number| accept(worker, message(1, "a", number)));
        worker.settle().await;
        let before = worker.state().await.expect("the engine runs").scores;
        let weigh = |weight| TopicScoreLimits::default().with(|t| t.first_message_deliveries_weight = weight);
        worker.set_topic_score("a".to_owned(), weigh(10.0), 2.0).expect("valid limits");
        worker.settle().await;
        let after = worker.state().await.expect("the engine runs").scores;
        assert_eq!((before[&1].topics["a"].first, after[&1].topics["a"].first), (3.0, 3.0));
        assert_eq!(worker.score(&1), Some(after[&1].score));
        assert_eq!(after[&1].score - after[&2].score, 60.0);

        let refused = worker.set_topic_score("a".to_owned(), weigh(-1.0), 1.0);
        let Err(ChangeRefused::Invalid(invalid)) = refused else { panic!("{refused:?}") };
        let [violation] = &invalid.0[..] else { panic!("{invalid}") };
        assert_eq!(violation.field, "score.topics.parameters.\"a\".first_message_deliveries_weight");
        assert_eq!(worker.topic_score(&"a".to_owned()), (weigh(10.0), 2.0));
        worker.shutdown().await;
    });
}

#[test]
fn new_degrees_reach_the_topics_and_the_metrics() {
    run(async {
        let limits = changed(|limits| {
            (limits.degree_low, limits.degree_optimal, limits.degree_high) = (4, 6, 12);
            (limits.degree_score, limits.degree_out) = (3, 0);
        });
        let (recording, engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in 1..=20 {
            accept(worker, connect(peer));
            accept(worker, subscribe(peer, "a"));
        }
        worker.settle().await;
        worker.tick().await;
        assert_eq!(mesh(worker, "a").await.len(), 6);
        worker
            .change_limits(|limits| {
                (limits.degree_low, limits.degree_optimal, limits.degree_high) = (9, 9, 10);
            })
            .expect("valid limits");
        worker.settle().await;
        worker.tick().await;
        assert_eq!(mesh(worker, "a").await.len(), 9);
        assert_eq!(recording.gauge("gossipsub_mesh_degree{bound=optimal}"), 9.0);
        worker.shutdown().await;
    });
}

#[test]
fn a_joined_topic_without_score_parameters_is_reported_while_others_have_some() {
    run(async {
        let scored = TopicFamily::default().with(|family| family.weights = [("a".to_owned(), 1.0)].into());
        let limits = changed(|limits| limits.score.topics = TopicScores::Family(scored));
        let engine = start(manual(PlainNetwork::new(), limits), &["a", "b", "c"]);
        let worker = &engine.worker;
        worker.settle().await;
        worker.tick().await;
        assert_eq!(worker.last_heartbeat().topics_without_scores, 2);
        assert!(worker.topic_parameters(&"b".to_owned()).is_unscored);
        worker.set_topic_score("b".to_owned(), TopicScoreLimits::default(), 1.0).expect("valid limits");
        worker.app_input(leave("c")).expect("the input is accepted");
        worker.settle().await;
        worker.tick().await;
        assert_eq!(worker.last_heartbeat().topics_without_scores, 0);
        worker.shutdown().await;
    });
}

#[test]
fn a_publication_above_the_size_limit_is_reported_as_too_large() {
    run(async {
        let limits = changed(|limits| limits.extensions.max_message_size = 7);
        let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        let worker = &engine.worker;
        for (content, routed) in [("content", RouteResult::NoPeers), ("contents", RouteResult::TooLarge)] {
            let ticket =
                worker.publish(PlainNetwork::message("a", 1, content)).expect("the input is accepted");
            assert_eq!(ticket.completed().await.routed, Some(routed));
        }
        accept(worker, connect(1));
        let large = Arc::new(PlainNetwork::message("a", 2, "contents"));
        accept(worker, P2pInput::message(1, P2pMessage::FullMessage(large)));
        worker.settle().await;
        let view = worker.state().await.expect("the engine runs");
        assert_eq!(view.scores[&1].topics["a"].invalid, 1.0);
        worker.shutdown().await;
    });
}

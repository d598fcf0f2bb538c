//! These tests check how the engine reports peers that the transport finds too slow, and how their score changes with
//! and without the slow-peer extension.

use actix_gossipsub::{LimitsConfig, limits::Extensions, plain::PlainNetwork, protocol::Event};

use crate::{recording::Recording, support::*};

/// Reports peer 1 three times and peer 3, which is not connected, once. Returns P7 and the score of the peers 1 and 2.
async fn scores_after_reports(change: impl FnOnce(&mut LimitsConfig)) -> [(f64, f64); 2] {
    let (events, observer) = recorder();
    let limits = changed(change);
    let builder = manual(PlainNetwork::new(), limits).observer(observer);
    let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
    for peer in 1..=2 {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
    }
    for peer in [1, 1, 3, 1] {
        engine.worker.report_slow_peer(&peer);
    }
    engine.worker.settle().await;
    let slow = |peer| Event::SlowPeer { peer };
    assert_eq!(*events.lock().expect("the lock is not poisoned"), [slow(1), slow(1), slow(3), slow(1)]);
    assert_eq!(recording.count("gossipsub_slow_peer_reports_total"), 4);
    let view = engine.worker.state().await.expect("the engine runs");
    assert!(view.scores.keys().eq(&[1, 2]), "a report creates no score");
    // A peer with a negative score leaves the mesh at the next heartbeat.
    engine.worker.tick().await;
    let mesh = engine.worker.state().await.expect("the engine runs").mesh["a"].clone();
    assert_eq!(mesh.contains(&1), view.scores[&1].score >= 0.0);
    assert!(mesh.contains(&2));
    engine.worker.shutdown().await;
    [1, 2].map(|peer| (view.scores[&peer].behaviour_penalty, view.scores[&peer].score))
}

#[test]
fn a_slow_peer_report_raises_p7_by_the_configured_penalty() {
    run(async {
        let p7 = LimitsConfig::<String>::tezos_dal().score.behaviour_penalty_weight;
        let threshold = LimitsConfig::<String>::tezos_dal().score.behaviour_penalty_threshold;
        for penalty in [1.0, 0.5] {
            let [slow, other] =
                scores_after_reports(|limits| limits.extensions.slow_peer_penalty = penalty).await;
            let faults = 3.0 * penalty;
            assert_eq!(slow, (faults, p7 * (faults - threshold).powi(2)));
            assert_eq!(other, (0.0, 0.0));
        }
    });
}

#[test]
fn without_the_extension_a_slow_peer_report_is_counted_only() {
    run(async {
        let [slow, other] = scores_after_reports(|limits| limits.extensions = Extensions::none()).await;
        assert_eq!((slow, other), ((0.0, 0.0), (0.0, 0.0)));
    });
}

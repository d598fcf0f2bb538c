//! These tests check how the engine reports peers that the transport finds too slow, and how their score changes with
//! and without the slow-peer extension.

use actix_gossipsub::{LimitsConfig, limits::Extensions, plain::PlainNetwork, protocol::Event};

use crate::{recording::Recording, support::*};

/// Reports peer 1 three times, peer 3, who is not there, once; answers P7 and the score of peer 1 and 2.
async fn reported(change: impl FnOnce(&mut LimitsConfig)) -> [(f64, f64); 2] {
    let (events, observer) = recorder();
    let limits = changed(change);
    let builder = manual(PlainNetwork::new(), limits).observer(observer);
    let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
    for peer in 1..=2 {
        engine.worker.p2p_input(connect(peer)).expect("taken");
        engine.worker.p2p_input(graft(peer, "a")).expect("taken");
    }
    for peer in [1, 1, 3, 1] {
        engine.worker.report_slow_peer(&peer);
    }
    engine.worker.settle().await;
    let slow = |peer| Event::SlowPeer { peer };
    assert_eq!(*events.lock().expect("not poisoned"), [slow(1), slow(1), slow(3), slow(1)]);
    assert_eq!(recording.count("gossipsub_slow_peer_reports_total"), 4);
    let view = engine.worker.state().await.expect("it runs");
    assert!(view.scores.keys().eq(&[1, 2]), "nobody gets a score by being reported");
    // Who has a negative score is grafted no more, and leaves the mesh at the next heartbeat.
    engine.worker.tick().await;
    let mesh = engine.worker.state().await.expect("it runs").mesh["a"].clone();
    assert_eq!(mesh.contains(&1), view.scores[&1].score >= 0.0);
    assert!(mesh.contains(&2));
    engine.worker.shutdown().await;
    [1, 2].map(|peer| (view.scores[&peer].behaviour_penalty, view.scores[&peer].score))
}

#[test]
fn a_slow_peer_is_told_of_and_costs_it_what_the_extension_says() {
    run(async {
        let p7 = LimitsConfig::<String>::tezos_dal().score.behaviour_penalty_weight;
        let free = LimitsConfig::<String>::tezos_dal().score.behaviour_penalty_threshold;
        for penalty in [1.0, 0.5] {
            let [slow, other] = reported(|limits| limits.extensions.slow_peer_penalty = penalty).await;
            let faults = 3.0 * penalty;
            assert_eq!(slow, (faults, p7 * (faults - free).powi(2)));
            assert_eq!(other, (0.0, 0.0));
        }
    });
}

#[test]
fn without_the_extension_a_slow_peer_is_told_of_and_nothing_more() {
    run(async {
        let [slow, other] = reported(|limits| limits.extensions = Extensions::none()).await;
        assert_eq!((slow, other), ((0.0, 0.0), (0.0, 0.0)));
    });
}

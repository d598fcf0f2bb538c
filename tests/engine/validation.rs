//! These tests check asynchronous validation, where the verdict on a message arrives later.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    Validity,
    plain::PlainNetwork,
    protocol::{Node, NodeOptions, Timestamp},
};
use tokio::sync::{Semaphore, oneshot};

use crate::support::*;

/// Verdicts that a test gives when it wants to, by the messages' numbers.
#[derive(Clone, Default)]
struct Judge(Arc<Mutex<Vec<(u64, oneshot::Sender<Validity>)>>>);

impl Judge {
    fn network(&self) -> PlainNetwork {
        let waiting = Arc::clone(&self.0);
        PlainNetwork::with_async_validator(move |delivery| {
            let (sender, verdict) = oneshot::channel();
            let number = delivery.message.message_id.number;
            waiting.lock().expect("not poisoned").push((number, sender));
            async { verdict.await.expect("the test judges") }
        })
    }

    fn asked(&self) -> Vec<u64> {
        self.0.lock().expect("not poisoned").iter().map(|(number, _)| *number).collect()
    }

    fn judge(&self, number: u64, verdict: Validity) {
        let mut waiting = self.0.lock().expect("not poisoned");
        let place = waiting.iter().position(|(asked, sender)| *asked == number && !sender.is_closed());
        let place = place.expect("it was asked, and is waited for");
        waiting.swap_remove(place).1.send(verdict).expect("it is waited for");
    }
}

/// Waits until as many messages wait for a verdict.
async fn validating(engine: &actix_gossipsub::Worker<PlainNetwork>, count: usize) {
    while engine.footprint().await.expect("it runs").validating != count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn forwards_go_by_verdict_and_the_topic_goes_on_meanwhile() {
    run(async {
        let judge = Judge::default();
        let mut engine = start(manual(judge.network(), limits()), &["a"]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(graft(peer, "a")).expect("taken");
        }
        for number in 1..=3 {
            engine.worker.p2p_input(message(1, "a", number)).expect("taken");
        }
        validating(&engine.worker, 3).await;
        assert_eq!(judge.asked(), [1, 2, 3]);
        engine.worker.app_input(publish("a", 100)).expect("taken");
        judge.judge(3, Validity::Valid);
        assert_eq!(engine.app.recv().await.expect("delivered").message_id.number, 3);
        judge.judge(1, Validity::Invalid);
        judge.judge(2, Validity::Valid);
        assert_eq!(engine.app.recv().await.expect("delivered").message_id.number, 2);
        engine.worker.settle().await;
        assert!(engine.app.try_recv().is_none());
        let view = engine.worker.state().await.expect("it runs");
        assert!((view.scores[&1].topics["a"].invalid, view.scores[&1].topics["a"].first) == (1.0, 2.0));
        engine.worker.shutdown().await;
    });
}

#[test]
fn everyone_who_delivers_before_the_verdict_shares_it() {
    run(async {
        let judge = Judge::default();
        let mut engine = start(manual(judge.network(), limits()), &["a"]);
        for peer in 1..=4 {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(graft(peer, "a")).expect("taken");
        }
        engine.worker.settle().await;
        while engine.p2p.try_recv().is_some() {}
        for peer in 1..=3 {
            engine.worker.p2p_input(message(peer, "a", 1)).expect("taken");
            engine.worker.p2p_input(message(peer, "a", 2)).expect("taken");
        }
        validating(&engine.worker, 2).await;
        assert_eq!(judge.asked(), [1, 2], "each message is judged once");
        judge.judge(1, Validity::Valid);
        judge.judge(2, Validity::Invalid);
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let told: Vec<_> = (1..=4).map(|peer| said_to(&outputs, peer, "a").len()).collect();
        assert_eq!(told, [0, 0, 0, 1], "only who did not deliver it");
        let view = engine.worker.state().await.expect("it runs");
        for peer in 1..=3 {
            assert_eq!(view.scores[&peer].topics["a"].invalid, 1.0);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn what_finds_no_place_is_dropped_and_may_come_again() {
    run(async {
        let judge = Judge::default();
        let limits = changed(|limits| {
            limits.bounds.max_validating_per_topic = 2;
            limits.bounds.max_validating = 3;
        });
        let mut engine = start(manual(judge.network(), limits), &["a", "b"]);
        for number in 1..=3 {
            engine.worker.p2p_input(message(1, "a", number)).expect("taken");
        }
        validating(&engine.worker, 2).await;
        for number in 4..=5 {
            engine.worker.p2p_input(message(1, "b", number)).expect("taken");
        }
        validating(&engine.worker, 3).await;
        for number in [1, 2, 4] {
            judge.judge(number, Validity::Valid);
        }
        validating(&engine.worker, 0).await;
        engine.worker.p2p_input(message(1, "a", 3)).expect("taken");
        validating(&engine.worker, 1).await;
        judge.judge(3, Validity::Valid);
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 4);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_verdict_that_takes_too_long_or_panics_is_none() {
    run(async {
        let network = PlainNetwork::with_async_validator(|delivery| {
            let number = delivery.message.message_id.number;
            async move {
                assert!(number != 13, "a fault that a test injects");
                std::future::pending().await
            }
        });
        let limits = changed(|limits| limits.bounds.validation_timeout = Duration::from_millis(20));
        let mut engine = start(manual(network, limits), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("taken");
        engine.worker.p2p_input(message(1, "a", 13)).expect("taken");
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("it runs");
        assert_eq!((footprint.validating, footprint.seen), (0, 0));
        assert!(engine.app.try_recv().is_none());
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_slow_validator_keeps_no_other_topic_waiting() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let open = Arc::clone(&gate);
        let network = PlainNetwork::with_async_validator(move |delivery| {
            let (slow, gate) = (delivery.message.topic == "slow", Arc::clone(&open));
            async move {
                if slow {
                    gate.acquire().await.expect("not closed").forget();
                }
                Validity::Valid
            }
        });
        // One arbiter: both topics share it.
        let mut engine = start(manual(network, limits()).arbiters(1), &["slow", "quick"]);
        for number in 0..500 {
            engine.worker.p2p_input(message(1, "slow", number)).expect("taken");
            engine.worker.p2p_input(message(1, "quick", number)).expect("taken");
        }
        for _ in 0..500 {
            assert_eq!(engine.app.recv().await.expect("delivered").topic, "quick");
        }
        engine.worker.app_input(join("other")).expect("taken");
        gate.add_permits(500);
        for _ in 0..500 {
            assert_eq!(engine.app.recv().await.expect("delivered").topic, "slow");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_node_without_actors_judges_at_once() {
    let network = Arc::new(PlainNetwork::with_async_validator(|_| std::future::pending()));
    let mut node = Node::new(network, limits(), NodeOptions::default());
    let now = Timestamp::ZERO;
    node.join(&"a".to_owned(), now);
    node.p2p_input(message(1, "a", 1), now);
    assert_eq!(node.drain().app.len(), 1);
    assert_eq!((node.footprint().validating, node.footprint().seen), (0, 1));
}

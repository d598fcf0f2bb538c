//! These tests check asynchronous validation, where the verdict on a message arrives later.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    ManualClock, P2pInput, P2pMessage, P2pOutput, Started, Validity,
    plain::{PlainId, PlainNetwork},
    protocol::{Node, NodeOptions, Timestamp},
};
use tokio::sync::{Semaphore, oneshot};

use crate::{recording::Recording, support::*};

/// Pending validations, by message number. The test gives the verdicts.
#[derive(Clone, Default)]
pub struct PendingVerdicts(Arc<Mutex<Vec<(u64, oneshot::Sender<Validity>)>>>);

impl PendingVerdicts {
    pub fn network(&self) -> PlainNetwork {
        let pending = Arc::clone(&self.0);
        PlainNetwork::with_async_validator(move |delivery| {
            let (sender, verdict) = oneshot::channel();
            let number = delivery.message.message_id.number;
            pending.lock().expect("the lock is not poisoned").push((number, sender));
            async { verdict.await.expect("the test gives a verdict") }
        })
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.lock().expect("the lock is not poisoned").iter().map(|(number, _)| *number).collect()
    }

    /// The number of validations that the engine awaits.
    pub fn open(&self) -> usize {
        let pending = self.0.lock().expect("the lock is not poisoned");
        pending.iter().filter(|(_, sender)| !sender.is_closed()).count()
    }

    pub fn resolve(&self, number: u64, verdict: Validity) {
        let mut pending = self.0.lock().expect("the lock is not poisoned");
        let index = pending.iter().position(|(pending, sender)| *pending == number && !sender.is_closed());
        let index = index.expect("a validation of the message is pending");
        pending.swap_remove(index).1.send(verdict).expect("the engine waits for the verdict");
    }
}

/// Waits until `count` messages wait for a verdict.
pub async fn wait_for_validating(engine: &actix_gossipsub::Worker<PlainNetwork>, count: usize) {
    while engine.footprint().await.expect("the engine runs").validating != count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn messages_are_forwarded_by_verdict_and_the_topic_handles_others_meanwhile() {
    run(async {
        let verdicts = PendingVerdicts::default();
        let mut engine = start(manual(verdicts.network(), limits()), &["a"]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        for number in 1..=3 {
            engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
        }
        wait_for_validating(&engine.worker, 3).await;
        assert_eq!(verdicts.numbers(), [1, 2, 3]);
        engine.worker.app_input(publish("a", 100)).expect("the input is accepted");
        verdicts.resolve(3, Validity::Valid);
        assert_eq!(engine.app.recv().await.expect("the message is delivered").message_id.number, 3);
        verdicts.resolve(1, Validity::Invalid);
        verdicts.resolve(2, Validity::Valid);
        assert_eq!(engine.app.recv().await.expect("the message is delivered").message_id.number, 2);
        engine.worker.settle().await;
        assert!(engine.app.try_recv().is_none());
        let view = engine.worker.state().await.expect("the engine runs");
        assert!((view.scores[&1].topics["a"].invalid, view.scores[&1].topics["a"].first) == (1.0, 2.0));
        engine.worker.shutdown().await;
    });
}

#[test]
fn all_peers_that_deliver_before_the_verdict_are_scored_by_it() {
    run(async {
        let verdicts = PendingVerdicts::default();
        let mut engine = start(manual(verdicts.network(), limits()), &["a"]);
        for peer in 1..=4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        while engine.p2p.try_recv().is_some() {}
        for peer in 1..=3 {
            engine.worker.p2p_input(message(peer, "a", 1)).expect("the input is accepted");
            engine.worker.p2p_input(message(peer, "a", 2)).expect("the input is accepted");
        }
        wait_for_validating(&engine.worker, 2).await;
        assert_eq!(verdicts.numbers(), [1, 2], "each message is validated once");
        verdicts.resolve(1, Validity::Valid);
        verdicts.resolve(2, Validity::Invalid);
        engine.worker.settle().await;
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let counts: Vec<_> = (1..=4).map(|peer| sent_to(&outputs, peer, "a").len()).collect();
        assert_eq!(counts, [0, 0, 0, 1], "only the peer that did not send the message receives it");
        let view = engine.worker.state().await.expect("the engine runs");
        for peer in 1..=3 {
            assert_eq!(view.scores[&peer].topics["a"].invalid, 1.0);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn messages_above_the_validation_limit_are_dropped_and_may_be_sent_again() {
    run(async {
        let verdicts = PendingVerdicts::default();
        let limits = changed(|limits| {
            limits.bounds.max_validating_per_topic = 2;
            limits.bounds.max_validating = 3;
        });
        let mut engine = start(manual(verdicts.network(), limits), &["a", "b"]);
        for number in 1..=3 {
            engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
        }
        wait_for_validating(&engine.worker, 2).await;
        // Of another peer: each has its share of all.
        for number in 4..=5 {
            engine.worker.p2p_input(message(2, "b", number)).expect("the input is accepted");
        }
        wait_for_validating(&engine.worker, 3).await;
        for number in [1, 2, 4] {
            verdicts.resolve(number, Validity::Valid);
        }
        wait_for_validating(&engine.worker, 0).await;
        engine.worker.p2p_input(message(1, "a", 3)).expect("the input is accepted");
        wait_for_validating(&engine.worker, 1).await;
        verdicts.resolve(3, Validity::Valid);
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 4);
        engine.worker.shutdown().await;
    });
}

fn ihave(peer: u64, number: u64) -> P2pInput<PlainNetwork> {
    let message_ids = vec![PlainId { topic: "a".to_owned(), number }];
    P2pInput::message(peer, P2pMessage::IHave { topic: "a".to_owned(), message_ids })
}

/// The number of IWANTs that were sent since the last call.
async fn sent_iwants(engine: &mut Started<PlainNetwork>) -> usize {
    let is_iwant =
        |output: &Output| matches!(output, P2pOutput::OutMessage { message: P2pMessage::IWant { .. }, .. });
    std::iter::from_fn(|| engine.p2p.try_recv()).filter(is_iwant).count()
}

#[test]
fn validations_are_throttled_by_bytes_in_a_topic_and_in_total() {
    run(async {
        let verdicts = PendingVerdicts::default();
        // One of these messages has about 10,000 bytes.
        let limits = changed(|limits| {
            limits.bounds.max_validating_bytes_per_topic = 25_000;
            limits.bounds.max_validating_bytes = 35_000;
        });
        let builder = manual(verdicts.network(), limits).arbiters(1);
        let (recording, engine) = Recording::of(builder, ["a", "b", "c"].map(str::to_owned));
        let throttled = || recording.count("gossipsub_validations_dropped_total{reason=throttled}");
        // Each topic has a peer, so that none has more than its share of all bytes.
        let send = async |topic: &str, number: u64| {
            let peer = topic.bytes().map(u64::from).sum();
            let full = PlainNetwork::message(topic, number, &"x".repeat(10_000));
            let message = P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(full)));
            engine.worker.p2p_input(message).expect("the input is accepted");
            // A query waits until the topic has handled the message.
            engine.worker.footprint().await.expect("the engine runs");
        };
        for number in 1..=3 {
            send("a", number).await;
        }
        assert_eq!((verdicts.open(), throttled()), (2, 1), "a third message exceeds the bytes of the topic");
        send("b", 4).await;
        assert_eq!((verdicts.open(), throttled()), (3, 1));
        send("c", 5).await;
        wait_for_validating(&engine.worker, 3).await;
        assert_eq!((verdicts.open(), throttled()), (3, 2), "a fourth one exceeds the bytes of all topics");
        for number in [1, 2, 4] {
            verdicts.resolve(number, Validity::Valid);
        }
        wait_for_validating(&engine.worker, 0).await;
        send("a", 3).await;
        wait_for_validating(&engine.worker, 1).await;
        assert_eq!((verdicts.open(), throttled()), (1, 2), "it may be sent again");
        verdicts.resolve(3, Validity::Valid);
        engine.worker.shutdown().await;
    });
}

/// Otherwise a topic with larger messages would deliver none.
#[test]
fn a_message_larger_than_the_bytes_for_validation_is_validated_alone() {
    run(async {
        let verdicts = PendingVerdicts::default();
        let limits = changed(|limits| {
            limits.bounds.max_validating_bytes_per_topic = 1;
            limits.bounds.max_validating_bytes = 1;
        });
        let mut engine = start(manual(verdicts.network(), limits), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        wait_for_validating(&engine.worker, 1).await;
        engine.worker.p2p_input(message(1, "a", 2)).expect("the input is accepted");
        verdicts.resolve(1, Validity::Valid);
        assert_eq!(engine.app.recv().await.expect("the message is delivered").message_id.number, 1);
        engine.worker.settle().await;
        assert_eq!(verdicts.open(), 0);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_message_under_validation_is_not_requested() {
    run(async {
        for skips in [true, false] {
            let verdicts = PendingVerdicts::default();
            let limits = changed(|limits| limits.extensions.iwant_skips_undecided = skips);
            let mut engine = start(manual(verdicts.network(), limits), &["a"]);
            for peer in 1..=2 {
                engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            }
            engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
            engine.worker.p2p_input(ihave(2, 1)).expect("the input is accepted");
            wait_for_validating(&engine.worker, 1).await;
            // The next query comes behind what the topic has sent.
            engine.worker.state().await.expect("the engine runs");
            verdicts.resolve(1, Validity::Valid);
            engine.worker.settle().await;
            assert_eq!(sent_iwants(&mut engine).await, usize::from(!skips));
            engine.worker.shutdown().await;
        }
    });
}

#[test]
fn a_copy_of_an_ignored_message_is_not_validated_asynchronously_again() {
    run(async {
        for (remembered, expected) in [(true, 1), (false, 5)] {
            let verdicts = PendingVerdicts::default();
            let limits = changed(|limits| limits.extensions.remember_ignored = remembered);
            let mut engine = start(manual(verdicts.network(), limits), &["a"]);
            let mut validations = 0;
            for peer in 1..=5 {
                engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
                engine.worker.p2p_input(message(peer, "a", 1)).expect("the input is accepted");
                engine.worker.footprint().await.expect("the engine runs");
                if engine.worker.footprint().await.expect("the engine runs").validating > 0 {
                    validations += 1;
                    verdicts.resolve(1, Validity::Outdated);
                }
                engine.worker.settle().await;
            }
            assert_eq!(validations, expected);
            assert!(engine.app.try_recv().is_none());
            engine.worker.shutdown().await;
        }
    });
}

/// Case 35 (jvm).
#[test]
fn a_requested_message_that_is_under_validation_at_the_deadline_breaks_no_promise() {
    const FOLLOWUP: Duration = Duration::from_secs(3);
    run(async {
        let (clock, verdicts) = (Arc::new(ManualClock::new()), PendingVerdicts::default());
        let limits = changed(|limits| {
            limits.extensions.iwant_followup_time = FOLLOWUP;
            limits.score.behaviour_penalty_decay = 1.0;
        });
        let builder = manual(verdicts.network(), limits).arbiters(1).clock(Arc::clone(&clock) as _);
        let mut engine = start(builder, &["a"]);
        for peer in 1..=2 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        engine.worker.p2p_input(ihave(1, 1)).expect("the input is accepted");
        engine.worker.p2p_input(ihave(1, 2)).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(sent_iwants(&mut engine).await, 2);
        engine.worker.p2p_input(message(2, "a", 1)).expect("the input is accepted");
        wait_for_validating(&engine.worker, 1).await;
        clock.advance(FOLLOWUP * 2);
        // It ends only after the verdict: until then the engine is not settled.
        let tick = actix::spawn({
            let worker = engine.worker.clone();
            async move { worker.tick().await }
        });
        let penalty = async || {
            let view = engine.worker.state().await.expect("the engine runs");
            view.scores[&1].behaviour_penalty
        };
        while penalty().await == 0.0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(penalty().await, 1.0, "of the two requested messages, one has not come");
        verdicts.resolve(1, Validity::Valid);
        tick.await.expect("the heartbeat ends");
        engine.worker.settle().await;
        assert_eq!(penalty().await, 1.0);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_validation_that_times_out_or_panics_gives_no_verdict() {
    run(async {
        let network = PlainNetwork::with_async_validator(|delivery| {
            let number = delivery.message.message_id.number;
            async move {
                assert!(number != 13, "a panic that a test injects");
                std::future::pending().await
            }
        });
        let limits = changed(|limits| limits.bounds.validation_timeout = Duration::from_millis(20));
        let mut engine = start(manual(network, limits), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        engine.worker.p2p_input(message(1, "a", 13)).expect("the input is accepted");
        engine.worker.settle().await;
        let footprint = engine.worker.footprint().await.expect("the engine runs");
        assert_eq!((footprint.validating, footprint.seen), (0, 0));
        assert!(engine.app.try_recv().is_none());
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_slow_validator_delays_no_other_topic() {
    run(async {
        let permits = Arc::new(Semaphore::new(0));
        let validator_permits = Arc::clone(&permits);
        let network = PlainNetwork::with_async_validator(move |delivery| {
            let (slow, permits) = (delivery.message.topic == "slow", Arc::clone(&validator_permits));
            async move {
                if slow {
                    permits.acquire().await.expect("the semaphore is open").forget();
                }
                Validity::Valid
            }
        });
        // One arbiter: both topics share it.
        let mut engine = start(manual(network, limits()).arbiters(1), &["slow", "quick"]);
        for number in 0..500 {
            engine.worker.p2p_input(message(1, "slow", number)).expect("the input is accepted");
            engine.worker.p2p_input(message(1, "quick", number)).expect("the input is accepted");
        }
        for _ in 0..500 {
            assert_eq!(engine.app.recv().await.expect("the message is delivered").topic, "quick");
        }
        engine.worker.app_input(join("other")).expect("the input is accepted");
        permits.add_permits(500);
        for _ in 0..500 {
            assert_eq!(engine.app.recv().await.expect("the message is delivered").topic, "slow");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_node_without_actors_validates_synchronously() {
    let network = Arc::new(PlainNetwork::with_async_validator(|_| std::future::pending()));
    let mut node = Node::new(network, limits(), NodeOptions::default());
    let now = Timestamp::ZERO;
    node.join(&"a".to_owned(), now);
    node.p2p_input(message(1, "a", 1), now);
    assert_eq!(node.drain().app.len(), 1);
    assert_eq!((node.footprint().validating, node.footprint().seen), (0, 1));
}

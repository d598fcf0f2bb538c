//! These tests check the validators of a [`Libp2pNetwork`] in an engine without a swarm: the test sends the messages of the
//! peers itself.

mod batches;
mod fairness;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use actix_gossipsub::{
    Delivery, Limits, LimitsConfig, P2pInput, P2pMessage, Started, Validity, Worker, WorkerBuilder,
    libp2p::{
        LateVerdict, Libp2pNetwork, Libp2pNetworkBuilder, Message, MessageId, SignaturePolicy, TopicName,
        Validator,
    },
};
use futures::StreamExt;
use libp2p::PeerId;

fn topic(name: &str) -> TopicName {
    name.into()
}

fn builder() -> Libp2pNetworkBuilder {
    Libp2pNetwork::builder(SignaturePolicy::StrictNoSign)
}

fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

/// An engine on one thread that has joined `topics`.
fn engine(network: &Libp2pNetwork, topics: &[&str]) -> Started<Libp2pNetwork> {
    start(network, topics, |builder| builder)
}

fn start(
    network: &Libp2pNetwork,
    topics: &[&str],
    change: impl FnOnce(WorkerBuilder<Libp2pNetwork>) -> WorkerBuilder<Libp2pNetwork>,
) -> Started<Libp2pNetwork> {
    let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
    let builder = change(Worker::builder(network.clone(), limits).arbiters(1).manual().seed(1));
    builder.start(topics.iter().map(|name| topic(name))).expect("an actix system runs")
}

/// Sends a message of a peer to the engine.
fn send(engine: &Started<Libp2pNetwork>, network: &Libp2pNetwork, from: PeerId, name: &str, data: &str) {
    let message = network.message(topic(name), data).expect("a short message");
    let input = P2pInput::message(from, P2pMessage::FullMessage(message.into()));
    engine.worker.p2p_input(input).expect("the input is accepted");
}

/// The contents that were delivered since the last call, sorted.
async fn delivered(engine: &mut Started<Libp2pNetwork>) -> Vec<String> {
    engine.worker.settle().await;
    let next = || engine.app.try_recv();
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).expect("text");
    let mut all: Vec<_> = std::iter::from_fn(next).map(|full| text(full.message.data())).collect();
    all.sort();
    all
}

async fn invalid_of(engine: &Started<Libp2pNetwork>, peer: PeerId, name: &str) -> f64 {
    let view = engine.worker.state().await.expect("the engine runs");
    view.scores[&peer].topics.get(&topic(name)).map_or(0.0, |counters| counters.invalid)
}

fn connected(engine: &Started<Libp2pNetwork>) -> PeerId {
    let peer = PeerId::random();
    engine.worker.p2p_input(P2pInput::connected(peer)).expect("the input is accepted");
    peer
}

/// The verdict that a content names.
fn verdict_of(data: &[u8]) -> Validity {
    match data {
        b"reject" => Validity::Invalid,
        b"ignore" => Validity::Outdated,
        _ => Validity::Valid,
    }
}

#[test]
fn each_kind_of_validator_has_the_topic_and_the_sender_and_gives_all_verdicts() {
    run(async {
        type Calls = Arc<Mutex<Vec<(TopicName, PeerId)>>>;
        let calls = Calls::default();
        let note = |calls: &Calls, topic: &TopicName, sender: PeerId| {
            calls.lock().expect("the lock is not poisoned").push((topic.clone(), sender));
        };
        let kinds: [(&str, Validator); 3] = [
            ("synchronous", {
                let calls = Arc::clone(&calls);
                Validator::new(move |delivery| {
                    note(&calls, &delivery.message.topic, delivery.sender);
                    verdict_of(delivery.message.message.data())
                })
            }),
            ("asynchronous", {
                let calls = Arc::clone(&calls);
                Validator::asynchronous(move |delivery| {
                    let calls = Arc::clone(&calls);
                    async move {
                        tokio::task::yield_now().await;
                        note(&calls, &delivery.message.topic, delivery.sender);
                        verdict_of(delivery.message.message.data())
                    }
                })
            }),
            ("blocking", {
                let calls = Arc::clone(&calls);
                Validator::blocking(2, 1, move |delivery| {
                    note(&calls, &delivery.message.topic, delivery.sender);
                    verdict_of(delivery.message.message.data())
                })
                .expect("threads start")
            }),
        ];
        for (name, validator) in kinds {
            for batched in [false, true] {
                let network = builder().topic_validator(topic("a"), validator.clone()).build();
                let mut engine = start(&network, &["a", "b"], |builder| match batched {
                    true => builder.batching(Duration::from_secs(3600)),
                    false => builder,
                });
                let peer = connected(&engine);
                for data in ["accept", "reject", "ignore"] {
                    send(&engine, &network, peer, "a", data);
                }
                send(&engine, &network, peer, "b", "not validated");
                engine.worker.settle().await;
                engine.worker.process_batch().await;
                assert_eq!(delivered(&mut engine).await, ["accept", "not validated"], "{name}");
                assert_eq!(invalid_of(&engine, peer, "a").await, 1.0, "{name}");
                // A copy of the ignored message.
                send(&engine, &network, connected(&engine), "a", "ignore");
                engine.worker.settle().await;
                engine.worker.process_batch().await;
                let calls = std::mem::take(&mut *calls.lock().expect("the lock is not poisoned"));
                assert_eq!(calls, vec![(topic("a"), peer); 3], "{name}, in batches: {batched}");
                engine.worker.shutdown().await;
            }
        }
    });
}

/// A check of 2 ms must not stall an arbiter.
#[test]
fn a_blocking_validator_delays_no_other_topic_and_loses_no_message_of_a_full_queue() {
    const MESSAGES: usize = 100;
    run(async {
        let (release, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let blocking = Validator::blocking(2, 4, move |_| {
            // Both threads wait here until the test has sent as many units.
            wait.lock().expect("the lock is not poisoned").recv().expect("the test runs");
            Validity::Valid
        });
        let network = builder().topic_validator(topic("slow"), blocking.expect("threads start")).build();
        let mut engine = engine(&network, &["slow", "quick"]);
        let peer = connected(&engine);
        for number in 0..MESSAGES {
            send(&engine, &network, peer, "slow", &format!("slow {number}"));
            send(&engine, &network, peer, "quick", &format!("quick {number}"));
        }
        for _ in 0..MESSAGES {
            assert_eq!(engine.app.recv().await.expect("delivered").topic, topic("quick"));
        }
        (0..MESSAGES).for_each(|_| release.send(()).expect("the validator runs"));
        assert_eq!(delivered(&mut engine).await.len(), MESSAGES);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_blocking_validator_that_panics_loses_only_its_message() {
    run(async {
        let blocking = builder().blocking_validator(1, 0, |delivery| {
            assert!(delivery.message.message.data() != b"panic", "a panic that a test injects");
            Validity::Valid
        });
        let network = blocking.expect("threads start").build();
        let mut engine = engine(&network, &["a"]);
        let peer = connected(&engine);
        for data in ["1", "panic", "2"] {
            send(&engine, &network, peer, "a", data);
        }
        assert_eq!(delivered(&mut engine).await, ["1", "2"]);
        assert_eq!(invalid_of(&engine, peer, "a").await, 0.0);
        engine.worker.shutdown().await;
    });
}

/// The thread has one message, and the others wait. When the engine has given them up, none is validated.
#[test]
fn messages_that_time_out_before_their_turn_are_not_validated() {
    run(async {
        let (started, first) = tokio::sync::oneshot::channel();
        let (release, wait) = mpsc::channel::<()>();
        let (calls, started, wait) =
            (Arc::new(AtomicUsize::new(0)), Mutex::new(Some(started)), Mutex::new(wait));
        let counted = Arc::clone(&calls);
        let blocking = builder().blocking_validator(1, 2, move |_| {
            counted.fetch_add(1, Ordering::AcqRel);
            if let Some(started) = started.lock().expect("the lock is not poisoned").take() {
                started.send(()).expect("the test waits");
            }
            // An error when the test ends.
            let _ = wait.lock().expect("the lock is not poisoned").recv();
            Validity::Valid
        });
        let network = blocking.expect("threads start").build();
        let mut engine = start(&network, &["a"], |builder| builder.arbiters(0));
        let timeout = LimitsConfig::<String>::default().bounds.validation_timeout;
        let peer = connected(&engine);
        (0..10).for_each(|number| send(&engine, &network, peer, "a", &number.to_string()));
        first.await.expect("the first message is validated");
        tokio::time::pause();
        tokio::time::advance(timeout).await;
        engine.worker.settle().await;
        assert!(delivered(&mut engine).await.is_empty());
        tokio::time::resume();
        release.send(()).expect("the validator runs");
        // The next message is validated after the ones before it in the queue.
        release.send(()).expect("the validator runs");
        send(&engine, &network, peer, "a", "late");
        assert_eq!(delivered(&mut engine).await, ["late"]);
        assert_eq!(calls.load(Ordering::Acquire), 2);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_validator_is_replaced_while_the_engine_runs() {
    run(async {
        let network = builder().validator(|_| Validity::Invalid).build();
        let mut engine = engine(&network, &["a", "b"]);
        let peer = connected(&engine);
        let next = async |engine: &mut Started<Libp2pNetwork>, data: &str| {
            for name in ["a", "b"] {
                send(engine, &network, peer, name, &format!("{name} {data}"));
            }
            delivered(engine).await
        };
        assert!(next(&mut engine, "1").await.is_empty());
        network.set_validator(None, Validator::new(|_| Validity::Valid));
        assert_eq!(next(&mut engine, "2").await, ["a 2", "b 2"]);
        network.set_validator(Some(topic("a")), Validator::asynchronous(async |_| Validity::Invalid));
        assert_eq!(next(&mut engine, "3").await, ["b 3"]);
        network.set_validator(None, Validator::new(|_| Validity::Invalid));
        network.set_validator(Some(topic("a")), Validator::new(|_| Validity::Valid));
        assert_eq!(next(&mut engine, "4").await, ["a 4"]);
        network.remove_topic_validator(&topic("a"));
        assert!(next(&mut engine, "5").await.is_empty());
        engine.worker.shutdown().await;
    });
}

#[test]
fn the_application_gives_verdicts_by_id_and_propagation_source() {
    run(async {
        let network = builder().manual_validation().build();
        let mut unvalidated = network.unvalidated().expect("nobody has taken it");
        assert!(network.clone().unvalidated().is_none(), "there is one reader of all clones");
        let mut engine = engine(&network, &["a"]);
        let (peer, other) = (connected(&engine), connected(&engine));
        let mut verdicts =
            [("accept", Validity::Valid), ("reject", Validity::Invalid), ("ignore", Validity::Outdated)]
                .into_iter();
        for (data, verdict) in &mut verdicts {
            send(&engine, &network, peer, "a", data);
            let received = unvalidated.next().await.expect("the network exists");
            assert_eq!(received.message.message.data(), data.as_bytes());
            assert_eq!(received.propagation_source, peer);
            let id = &received.message.message_id;
            let wrong = network.report_validation(id, &other, verdict);
            assert_eq!(wrong, Err(LateVerdict::UnknownMessage));
            network.report_validation(id, &peer, verdict).expect("the message waits");
            let again = network.report_validation(id, &peer, verdict);
            assert_eq!(again, Err(LateVerdict::AlreadyDecided));
        }
        assert_eq!(delivered(&mut engine).await, ["accept"]);
        assert_eq!(invalid_of(&engine, peer, "a").await, 1.0);
        assert_eq!(invalid_of(&engine, other, "a").await, 0.0);
        engine.worker.shutdown().await;
    });
}

/// A peer can send two contents with one id, alone or in a batch. The verdict on one must not land on the other.
#[test]
fn a_verdict_by_id_and_source_is_on_the_content_that_was_offered() {
    run(async {
        for (batched, [first, second]) in [false, true]
            .into_iter()
            .flat_map(|it| [["accept", "reject"], ["reject", "accept"]].map(|data| (it, data)))
        {
            let same_id = |_: &TopicName, _: &Message| MessageId::new(*b"same");
            let network = builder().manual_validation().message_id(same_id).build();
            let mut unvalidated = network.unvalidated().expect("nobody has taken it");
            let mut engine = start(&network, &["a"], |builder| match batched {
                true => builder.batching(Duration::from_secs(3600)),
                false => builder,
            });
            let peer = connected(&engine);
            [first, second].into_iter().for_each(|data| send(&engine, &network, peer, "a", data));
            while engine.worker.footprint().await.expect("the engine runs").validating < 2 {
                tokio::task::yield_now().await;
            }
            let worker = engine.worker.clone();
            let batch = actix::spawn(async move { worker.process_batch().await });
            for _ in 0..2 {
                let received = unvalidated.next().await.expect("the network exists");
                assert_eq!(unvalidated.try_recv(), None, "the other one is not offered meanwhile");
                let (id, verdict) =
                    (&received.message.message_id, verdict_of(received.message.message.data()));
                network.report_validation(id, &peer, verdict).expect("the message waits");
            }
            batch.await.expect("the batch is validated");
            assert_eq!(delivered(&mut engine).await, ["accept"], "in batches: {batched}");
            engine.worker.shutdown().await;
        }
    });
}

#[test]
fn a_validator_that_panics_on_a_message_of_a_batch_loses_only_that_message() {
    run(async {
        let validator = Validator::asynchronous(async |delivery: Delivery<Libp2pNetwork>| {
            assert!(delivery.message.message.data() != b"panic", "a panic that a test injects");
            Validity::Valid
        });
        let network = builder().topic_validator(topic("a"), validator).build();
        let mut engine = start(&network, &["a"], |builder| builder.batching(Duration::from_secs(3600)));
        let peer = connected(&engine);
        for data in ["1", "panic", "2"] {
            send(&engine, &network, peer, "a", data);
        }
        engine.worker.settle().await;
        engine.worker.process_batch().await;
        assert_eq!(delivered(&mut engine).await, ["1", "2"]);
        assert_eq!(invalid_of(&engine, peer, "a").await, 0.0);
        engine.worker.shutdown().await;
    });
}

/// In batches too: they must not be accepted unvalidated.
#[test]
fn a_batch_waits_for_the_verdicts_of_the_application() {
    run(async {
        let network = builder().manual_validation().build();
        let mut unvalidated = network.unvalidated().expect("nobody has taken it");
        let mut engine = start(&network, &["a"], |builder| builder.batching(Duration::from_secs(3600)));
        let peer = connected(&engine);
        for data in ["accept", "reject"] {
            send(&engine, &network, peer, "a", data);
        }
        engine.worker.settle().await;
        let worker = engine.worker.clone();
        let batch = actix::spawn(async move { worker.process_batch().await });
        for _ in 0..2 {
            let received = loop {
                assert!(!batch.is_finished(), "the batch is accepted without the verdicts");
                match unvalidated.try_recv() {
                    Some(received) => break received,
                    None => tokio::task::yield_now().await,
                }
            };
            let verdict = verdict_of(received.message.message.data());
            let reported = network.report_validation(&received.message.message_id, &peer, verdict);
            reported.expect("the message waits");
        }
        batch.await.expect("the batch is validated");
        assert_eq!(delivered(&mut engine).await, ["accept"]);
        engine.worker.shutdown().await;
    });
}

//! These tests check messages of unknown validity, which the engine parks and tries again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use actix_gossipsub::{
    Delivery, FullMessage, Limits, Network, P2pInput, P2pMessage, Started, Validity, Worker, plain::PlainId,
};

use crate::{
    recording::Recording,
    support::{changed, run},
};

/// A network whose messages are of unknown validity until the test decides them.
#[derive(Clone, Default)]
struct UnknownUntilDecided {
    ids: Arc<Mutex<BTreeSet<u64>>>,
    contents: Arc<Mutex<BTreeSet<u64>>>,
}

impl UnknownUntilDecided {
    /// The id and the content of this message are valid from now on.
    fn decide(&self, number: u64) {
        self.decide_id(number);
        self.contents.lock().expect("the lock is not poisoned").insert(number);
    }

    fn decide_id(&self, number: u64) {
        self.ids.lock().expect("the lock is not poisoned").insert(number);
    }
}

fn verdict(decided: &Mutex<BTreeSet<u64>>, id: &PlainId) -> Validity {
    let decided = decided.lock().expect("the lock is not poisoned").contains(&id.number);
    if decided { Validity::Valid } else { Validity::Unknown }
}

impl Network for UnknownUntilDecided {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &PlainId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn topic_size(&self, topic: &String) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_size(&self, message: &String) -> usize {
        message.len()
    }

    fn message_id_size(&self, id: &PlainId) -> usize {
        size_of_val(id)
    }

    fn validate_id(&self, id: &PlainId) -> Validity {
        verdict(&self.ids, id)
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        verdict(&self.contents, &delivery.message.message_id)
    }
}

const PARKED_TICKS: u64 = 5;

fn independent_topics() -> Limits<String> {
    changed(|limits| {
        limits.extensions.parked_topics_are_independent = true;
        limits.extensions.parked_ticks = PARKED_TICKS;
    })
}

fn message(topic: &str, number: u64) -> P2pInput<UnknownUntilDecided> {
    let message_id = PlainId { topic: topic.to_owned(), number };
    let full = FullMessage { topic: topic.to_owned(), message_id, message: "content".to_owned() };
    P2pInput::message(1, P2pMessage::FullMessage(full.into()))
}

/// Tries the parked messages again. Returns the numbers of the delivered ones.
async fn check(engine: &mut Started<UnknownUntilDecided>) -> Vec<u64> {
    engine.worker.check_parked().await;
    std::iter::from_fn(|| engine.app.try_recv()).map(|full| full.message_id.number).collect()
}

#[test]
fn a_parked_message_waits_for_those_of_its_own_topic_only() {
    run(async {
        let network = UnknownUntilDecided::default();
        let builder = Worker::builder(network.clone(), independent_topics()).manual().arbiters(2);
        let mut engine = builder.start(["a".to_owned(), "b".to_owned()]).expect("inside a system");
        for (topic, number) in [("a", 1), ("a", 3), ("b", 2), ("b", 4)] {
            engine.worker.p2p_input(message(topic, number)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        [2, 3, 4].iter().for_each(|number| network.decide(*number));
        assert_eq!(check(&mut engine).await, [2, 4], "3 waits for 1");
        network.decide(1);
        assert_eq!(check(&mut engine).await, [1, 3]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_message_that_stays_undecided_is_dropped_and_counted() {
    run(async {
        let network = UnknownUntilDecided::default();
        let builder = Worker::builder(network.clone(), independent_topics()).manual().arbiters(2);
        let (recording, mut engine) = Recording::of(builder, ["a".to_owned()]);
        // The id of one is never decided, the content of the other is not.
        network.decide_id(2);
        for number in [1, 2] {
            engine.worker.p2p_input(message("a", number)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let parked = async |engine: &Started<UnknownUntilDecided>| {
            engine.worker.footprint().await.expect("the engine runs").parked
        };
        for _ in 0..PARKED_TICKS {
            assert!(check(&mut engine).await.is_empty());
            assert_eq!(parked(&engine).await, 2);
        }
        check(&mut engine).await;
        assert_eq!(parked(&engine).await, 0);
        assert_eq!(recording.count("gossipsub_validations_dropped_total{reason=expired}"), 2);
        // It may be received again.
        network.decide(1);
        engine.worker.p2p_input(message("a", 1)).expect("the input is accepted");
        assert_eq!(engine.app.recv().await.expect("delivered").message_id.number, 1);
        engine.worker.shutdown().await;
    });
}

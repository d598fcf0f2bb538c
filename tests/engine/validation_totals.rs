//! These tests check that one peer can't fill the room for the asynchronous validations of all topics together.

use std::sync::Arc;

use actix_gossipsub::{P2pInput, P2pMessage, Validity, plain::PlainNetwork};

use crate::{
    recording::Recording,
    support::*,
    validation::{PendingVerdicts, wait_for_validating},
};

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];
const FLOODING: u64 = 1;
const THROTTLED: &str = "gossipsub_validations_dropped_total{reason=throttled}";

/// The flooding peer sends 4 messages on each of 4 topics, which have room for as many each, and all of them together for
/// half of these. Then another peer sends one on each.
fn another_peer_is_validated(change: fn(&mut actix_gossipsub::LimitsConfig<String>)) {
    run(async {
        let verdicts = PendingVerdicts::default();
        let builder = manual(verdicts.network(), changed(change)).arbiters(1);
        let (recording, mut engine) = Recording::of(builder, TOPICS.map(str::to_owned));
        let send = async |peer: u64, topic: &str, number: u64| {
            let full = PlainNetwork::message(topic, number, &"x".repeat(10_000));
            let message = P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(full)));
            engine.worker.p2p_input(message).expect("the input is accepted");
            // A query waits until the topic has handled the message.
            engine.worker.footprint().await.expect("the engine runs");
        };
        for number in 0..4 {
            for (index, topic) in (0..).zip(TOPICS) {
                send(FLOODING, topic, 10 * index + number).await;
            }
        }
        // Half of all, and one more.
        wait_for_validating(&engine.worker, 5).await;
        assert_eq!((verdicts.open(), recording.count(THROTTLED)), (5, 11));
        for (index, topic) in (0..).zip(TOPICS).take(3) {
            send(2, topic, 10 * index + 5).await;
        }
        wait_for_validating(&engine.worker, 8).await;
        assert_eq!((verdicts.open(), recording.count(THROTTLED)), (8, 11));
        [5, 15, 25].iter().for_each(|number| verdicts.resolve(*number, Validity::Valid));
        for _ in 0..3 {
            let delivered = engine.app.recv().await.expect("the message is delivered");
            assert_eq!(delivered.message_id.number % 10, 5);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_flooding_peer_leaves_validations_of_all_topics_to_others() {
    another_peer_is_validated(|limits| {
        (limits.bounds.max_validating_per_topic, limits.bounds.max_validating) = (4, 8);
    });
}

#[test]
fn a_flooding_peer_leaves_bytes_of_the_validations_of_all_topics_to_others() {
    // One of these messages has about 10,000 bytes: there is room for 8.
    another_peer_is_validated(|limits| limits.bounds.max_validating_bytes = 85_000);
}

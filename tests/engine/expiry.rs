//! These tests check messages that expire, by the clock of the engine.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    ManualClock, ManualValidation, NotPublished, P2pInput, P2pMessage, PublishOptions, RouteResult, Started,
    Validity, Worker,
    plain::{PlainId, PlainNetwork},
    protocol::Timestamp,
};

use crate::{recording::Recording, support::*};

const SECOND: Duration = Duration::from_secs(1);

/// Messages expire after as many seconds as their number.
fn expiring(network: PlainNetwork) -> PlainNetwork {
    network.expiring(|full, _| {
        Some(Timestamp::since_start(SECOND * u32::try_from(full.message_id.number).expect("a small number")))
    })
}

struct Expiring {
    engine: Started<PlainNetwork>,
    recording: Recording,
    clock: Arc<ManualClock>,
}

impl Expiring {
    fn start(network: PlainNetwork) -> Self {
        let clock = Arc::new(ManualClock::new());
        let builder =
            Worker::builder(expiring(network), limits()).arbiters(0).manual().seed(1).clock(clock.clone());
        let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
        for peer in 1..=4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        Self { engine, recording, clock }
    }

    async fn receive(&mut self, number: u64) {
        self.engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
        self.engine.worker.settle().await;
    }

    fn delivered(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.engine.app.try_recv()).map(|full| full.message_id.number).collect()
    }

    /// The full messages that were sent since the last call.
    fn sent(&mut self) -> usize {
        let outputs = std::iter::from_fn(|| self.engine.p2p.try_recv());
        let is_full = |output: &Output| format!("{output:?}").contains("FullMessage");
        outputs.filter(is_full).count()
    }
}

#[test]
fn expired_messages_are_ignored_counted_and_not_sent_to_those_who_ask() {
    run(async {
        let mut expiring = Expiring::start(PlainNetwork::new());
        expiring.clock.advance(2 * SECOND);
        for number in [1, 5] {
            expiring.receive(number).await;
        }
        assert_eq!(expiring.delivered(), [5]);
        assert_eq!(expiring.sent(), 3, "5 is forwarded to the others");
        let iwant = |peer| {
            let message_ids = vec![PlainId { number: 5, topic: "a".to_owned() }];
            P2pInput::message(peer, P2pMessage::IWant { message_ids })
        };
        for (peer, answers) in [(2, 1), (3, 0)] {
            expiring.engine.worker.p2p_input(iwant(peer)).expect("the input is accepted");
            expiring.engine.worker.settle().await;
            assert_eq!(expiring.sent(), answers);
            expiring.clock.advance(3 * SECOND);
        }
        let stats = expiring.engine.worker.stats();
        assert_eq!(stats.count_recv_outdated_app_messages, 1);
        expiring.engine.worker.shutdown().await;
    });
}

/// The time of its arrival does not matter, by which deliveries are credited.
#[test]
fn a_message_that_expires_during_its_validation_is_not_delivered() {
    run(async {
        let validation = ManualValidation::new();
        let mut unvalidated = validation.unvalidated().expect("nobody has taken it");
        let mut expiring = Expiring::start(PlainNetwork::with_manual_validation(validation.clone()));
        for (number, wait, delivered) in [(10, 9, vec![10]), (20, 20, vec![])] {
            expiring.engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            let received = unvalidated.recv().await.expect("the network exists");
            expiring.clock.set(Timestamp::since_start(wait * SECOND));
            let id = &received.message.message_id;
            validation.report(id, &received.propagation_source, Validity::Valid).expect("the message waits");
            expiring.engine.worker.settle().await;
            assert_eq!(expiring.delivered(), delivered);
        }
        assert_eq!(expiring.engine.worker.stats().count_recv_outdated_app_messages, 1);
        expiring.engine.worker.shutdown().await;
    });
}

#[test]
fn the_publisher_of_an_expired_message_learns_of_it() {
    run(async {
        let expiring = Expiring::start(PlainNetwork::new());
        expiring.clock.advance(SECOND);
        let worker = &expiring.engine.worker;
        let full = |number| PlainNetwork::message("a", number, "content");
        let ticket = worker.publish(full(1)).expect("there is room");
        assert_eq!(ticket.completed().await.routed, Some(RouteResult::Outdated));
        let refused = worker.publish_with(full(1), PublishOptions::default()).await;
        assert_eq!(refused.err(), Some(NotPublished::Outdated));
        let published = worker.publish(full(2)).expect("there is room");
        assert_eq!(published.routed().await.routed, Some(RouteResult::Queued));
        worker.settle().await;
        let outdated = "gossipsub_inputs_total{input=publish,outcome=outdated}";
        assert_eq!(expiring.recording.count(outdated), 2);
        worker.shutdown().await;
    });
}

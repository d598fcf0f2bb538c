//! These tests check verdicts that the application gives later, by message id and propagation source.

use std::time::Duration;

use actix_gossipsub::{
    LateVerdict, Limits, ManualValidation, P2pInput, P2pMessage, RouteResult, Started, Unvalidated,
    UnvalidatedMessage, Validity, Worker,
    plain::{PlainId, PlainNetwork},
};
use futures::FutureExt;

use crate::{recording::Recording, support::*};

/// An engine on the thread of the test, whose verdicts the test gives.
struct Manual {
    engine: Started<PlainNetwork>,
    validation: ManualValidation<PlainNetwork>,
    unvalidated: Unvalidated<PlainNetwork>,
    recording: Recording,
}

impl Manual {
    fn start(limits: Limits<String>) -> Self {
        let validation = ManualValidation::new();
        let unvalidated = validation.unvalidated().expect("nobody has taken it");
        assert!(validation.unvalidated().is_none(), "there is one reader");
        let network = PlainNetwork::with_manual_validation(validation.clone());
        let builder = Worker::builder(network, limits).arbiters(0).manual().seed(1);
        let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
        for peer in 1..=4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        Self { engine, validation, unvalidated, recording }
    }

    /// Receives a message of a peer. Returns it as the application reads it.
    async fn receive(&mut self, peer: u64, number: u64) -> UnvalidatedMessage<PlainNetwork> {
        self.engine.worker.p2p_input(message(peer, "a", number)).expect("the input is accepted");
        let received = self.unvalidated.recv().await.expect("the network exists");
        assert_eq!((received.propagation_source, received.message.message_id.number), (peer, number));
        received
    }

    fn report(
        &self,
        received: &UnvalidatedMessage<PlainNetwork>,
        verdict: Validity,
    ) -> Result<(), LateVerdict> {
        self.validation.report(&received.message.message_id, &received.propagation_source, verdict)
    }

    /// Sends a content with the id 1 as a peer.
    fn send(&self, peer: u64, content: &str) {
        let full = PlainNetwork::message("a", 1, content);
        let input = P2pInput::message(peer, P2pMessage::FullMessage(full.into()));
        self.engine.worker.p2p_input(input).expect("the input is accepted");
    }

    /// Waits until the engine awaits this number of verdicts.
    async fn wait_for_validating(&self, count: usize) {
        while self.validating().await != count {
            tokio::task::yield_now().await;
        }
    }

    /// The numbers of the messages that were delivered since the last call.
    async fn delivered(&mut self) -> Vec<u64> {
        self.engine.worker.settle().await;
        std::iter::from_fn(|| self.engine.app.try_recv()).map(|full| full.message_id.number).collect()
    }

    /// The invalid messages (P4) of each peer.
    async fn invalid(&self) -> Vec<f64> {
        let view = self.engine.worker.state().await.expect("the engine runs");
        view.scores.values().map(|score| score.topics["a"].invalid).collect()
    }

    async fn validating(&self) -> usize {
        self.engine.worker.footprint().await.expect("the engine runs").validating
    }
}

fn limits_with_memory() -> Limits<String> {
    changed(|limits| {
        limits.extensions.remember_ignored = true;
        limits.extensions.iwant_skips_undecided = true;
    })
}

#[test]
fn each_verdict_has_its_effect() {
    run(async {
        let mut manual = Manual::start(limits_with_memory());
        let received = manual.receive(1, 1).await;
        // Copies add their senders to the message; it is offered once.
        manual.engine.worker.p2p_input(message(2, "a", 1)).expect("the input is accepted");
        manual.report(&received, Validity::Valid).expect("the message waits");
        assert_eq!(manual.delivered().await, [1]);

        let received = manual.receive(1, 2).await;
        manual.engine.worker.p2p_input(message(2, "a", 2)).expect("the input is accepted");
        assert_eq!(manual.validating().await, 1);
        manual.report(&received, Validity::Invalid).expect("the message waits");
        assert!(manual.delivered().await.is_empty());
        assert_eq!(manual.invalid().await, [1.0, 1.0, 0.0, 0.0], "both senders are penalised");

        let received = manual.receive(1, 3).await;
        manual.report(&received, Validity::Outdated).expect("the message waits");
        manual.engine.worker.settle().await;
        manual.engine.worker.p2p_input(message(3, "a", 3)).expect("the input is accepted");
        assert!(manual.delivered().await.is_empty());
        assert!(manual.unvalidated.try_recv().is_none(), "an ignored message is not offered again");
        // Case 33 (go#719): the application may publish it.
        let publication = PlainNetwork::message("a", 3, "content");
        let ticket = manual.engine.worker.publish(publication).expect("there is room");
        assert_eq!(ticket.routed().await.routed, Some(RouteResult::Queued));

        let received = manual.receive(4, 4).await;
        manual.report(&received, Validity::Unknown).expect("the message waits");
        manual.engine.worker.settle().await;
        let worker = manual.engine.worker.clone();
        let retry = actix::spawn(async move { worker.check_parked().await });
        let again = manual.unvalidated.recv().await.expect("a parked message is offered again");
        assert_eq!(again, received);
        manual.report(&again, Validity::Valid).expect("the message waits");
        retry.await.expect("the retry ends");
        assert_eq!(manual.delivered().await, [4]);
        assert_eq!(manual.invalid().await, [1.0, 1.0, 0.0, 0.0]);
        manual.engine.worker.shutdown().await;
    });
}

/// Case 34 (aztec#22498).
#[test]
fn a_verdict_after_the_timeout_and_the_message_cache_is_late_and_penalises_nobody() {
    run(async {
        let limits = limits_with_memory();
        let (timeout, history) = (limits.bounds.validation_timeout, limits.history_length);
        let mut manual = Manual::start(limits);
        let received = manual.receive(1, 1).await;
        tokio::time::pause();
        tokio::time::advance(timeout + Duration::from_secs(1)).await;
        for _ in 0..=history {
            manual.engine.worker.tick().await;
        }
        while manual.engine.p2p.try_recv().is_some() {}
        for verdict in [Validity::Valid, Validity::Invalid, Validity::Outdated] {
            assert_eq!(manual.report(&received, verdict), Err(LateVerdict::TimedOut));
        }
        assert!(manual.delivered().await.is_empty());
        let outputs: Vec<_> = std::iter::from_fn(|| manual.engine.p2p.try_recv()).collect();
        assert!(outputs.is_empty(), "{outputs:?}");
        assert_eq!(manual.invalid().await, [0.0; 4]);
        assert_eq!(manual.validating().await, 0);
        assert_eq!(manual.recording.count("gossipsub_validations_dropped_total{reason=timeout}"), 1);
        // When the message comes again, its verdict counts.
        let received = manual.receive(2, 1).await;
        manual.report(&received, Validity::Valid).expect("the message waits");
        assert_eq!(manual.delivered().await, [1]);
        manual.engine.worker.shutdown().await;
    });
}

#[test]
fn a_verdict_on_a_message_that_does_not_wait_is_an_error() {
    run(async {
        let mut manual = Manual::start(limits_with_memory());
        let received = manual.receive(1, 1).await;
        let id = received.message.message_id.clone();
        let other = PlainId { number: 2, topic: "a".to_owned() };
        let unknown = Err(LateVerdict::UnknownMessage);
        assert_eq!(manual.validation.report(&other, &1, Validity::Valid), unknown);
        assert_eq!(manual.validation.report(&id, &2, Validity::Invalid), unknown, "of another peer");
        manual.report(&received, Validity::Valid).expect("the message waits");
        assert_eq!(manual.report(&received, Validity::Invalid), Err(LateVerdict::AlreadyDecided));
        assert_eq!(manual.delivered().await, [1], "the first verdict counts");
        assert_eq!(manual.report(&received, Validity::Invalid), Err(LateVerdict::AlreadyDecided));
        assert_eq!(manual.invalid().await, [0.0; 4]);
        manual.engine.worker.shutdown().await;
    });
}

/// An author can sign two contents with one sequence number. A verdict must not land on the other content, such as `Valid` on
/// one that nobody has judged.
#[test]
fn of_two_contents_with_one_id_of_one_peer_each_gets_its_own_verdict() {
    run(async {
        for exact in [true, false] {
            for (verdicts, expected) in [
                ([Validity::Valid, Validity::Invalid], "first"),
                ([Validity::Invalid, Validity::Valid], "second"),
            ] {
                let mut manual = Manual::start(limits_with_memory());
                let contents = ["first", "second"];
                contents.iter().for_each(|content| manual.send(1, content));
                manual.wait_for_validating(2).await;
                for (content, verdict) in contents.into_iter().zip(verdicts) {
                    let received = manual.unvalidated.recv().await.expect("the network exists");
                    assert_eq!(received.message.message, content);
                    assert_eq!(manual.unvalidated.try_recv(), None, "the other one is not offered meanwhile");
                    let report = || match exact {
                        true => received.report(verdict),
                        false => manual.report(&received, verdict),
                    };
                    report().expect("the message waits");
                    // The second one is offered now. The application has not read it, so it means the first.
                    assert_eq!(report(), Err(LateVerdict::AlreadyDecided));
                    assert_eq!(received.report(Validity::Valid), Err(LateVerdict::AlreadyDecided));
                }
                manual.engine.worker.settle().await;
                let delivered = manual.engine.app.try_recv().expect("one is delivered");
                assert_eq!((delivered.message.as_str(), manual.engine.app.try_recv()), (expected, None));
                manual.engine.worker.shutdown().await;
            }
        }
    });
}

/// Contents of other peers are distinguished by their source.
#[test]
fn of_two_contents_with_one_id_of_two_peers_both_are_offered() {
    run(async {
        let mut manual = Manual::start(limits_with_memory());
        manual.send(1, "bad");
        manual.send(2, "good");
        let bad = manual.unvalidated.recv().await.expect("the network exists");
        let good = manual.unvalidated.recv().await.expect("the network exists");
        manual.report(&good, Validity::Valid).expect("the message waits");
        manual.report(&bad, Validity::Invalid).expect("the message waits");
        manual.engine.worker.settle().await;
        assert_eq!(manual.engine.app.try_recv().map(|full| full.message.clone()), Some("good".to_owned()));
        assert_eq!(manual.engine.app.try_recv(), None);
        manual.engine.worker.shutdown().await;
    });
}

#[test]
fn a_verdict_that_is_late_does_not_land_on_the_next_content_with_the_id() {
    run(async {
        let limits = limits_with_memory();
        let timeout = limits.bounds.validation_timeout;
        let mut manual = Manual::start(limits);
        tokio::time::pause();
        manual.send(1, "good");
        let good = manual.unvalidated.recv().await.expect("the network exists");
        tokio::time::advance(timeout / 2).await;
        manual.send(1, "bad");
        manual.wait_for_validating(2).await;
        tokio::time::advance(timeout / 2 + Duration::from_secs(1)).await;
        manual.wait_for_validating(1).await;
        assert_eq!(manual.report(&good, Validity::Valid), Err(LateVerdict::TimedOut));
        let bad = manual.unvalidated.recv().await.expect("the network exists");
        assert_eq!(bad.message.message, "bad");
        assert_eq!(good.report(Validity::Valid), Err(LateVerdict::TimedOut));
        bad.report(Validity::Invalid).expect("the message waits");
        assert!(manual.delivered().await.is_empty());
        // Those that are given up before they are offered leave nothing behind.
        ["1", "2", "3"].iter().for_each(|content| manual.send(2, content));
        manual.wait_for_validating(3).await;
        tokio::time::advance(timeout + Duration::from_secs(1)).await;
        manual.engine.worker.settle().await;
        assert_eq!(manual.unvalidated.try_recv(), None);
        manual.send(2, "4");
        let received = manual.unvalidated.recv().await.expect("the network exists");
        manual.report(&received, Validity::Valid).expect("the message waits");
        assert_eq!(manual.delivered().await, [1]);
        manual.engine.worker.shutdown().await;
    });
}

/// The messages that wait are those that the engine validates: as many, and as long.
#[test]
fn unvalidated_messages_are_bounded_and_those_that_nobody_reads_leave() {
    run(async {
        let limits = changed(|limits| {
            limits.bounds.max_validating_per_topic = 3;
            limits.bounds.max_validating = 2;
        });
        let timeout = limits.bounds.validation_timeout;
        let mut manual = Manual::start(limits);
        for number in 1..=5 {
            manual.engine.worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
        }
        let first = manual.unvalidated.recv().await.expect("the network exists");
        assert_eq!(first.message.message_id.number, 1);
        assert!(manual.validating().await <= 3);
        tokio::time::pause();
        tokio::time::advance(timeout).await;
        manual.engine.worker.settle().await;
        assert!(manual.unvalidated.try_recv().is_none(), "the engine has given up the second message");
        let dropped = |reason| {
            manual.recording.count(&format!("gossipsub_validations_dropped_total{{reason={reason}}}"))
        };
        assert_eq!((dropped("timeout"), dropped("throttled")), (2, 3));
        manual.engine.worker.shutdown().await;
    });
}

#[test]
fn the_stream_of_unvalidated_messages_ends_with_the_network() {
    run(async {
        let Manual { engine, validation, mut unvalidated, .. } = Manual::start(limits());
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        let received = unvalidated.recv().await.expect("the network exists");
        assert!(unvalidated.recv().now_or_never().is_none());
        // A shutdown waits for the verdicts.
        let reported = validation.report(&received.message.message_id, &1, Validity::Valid);
        reported.expect("the message waits");
        engine.worker.shutdown().await;
        drop((engine, validation));
        assert_eq!(unvalidated.recv().await, None);
    });
}

//! These tests check that each message of a batch has its own time for its verdict.

use super::*;

/// An engine on this thread that collects messages on the topic "a" in batches, and what the application reads.
fn batching(network: &Libp2pNetwork) -> (Started<Libp2pNetwork>, actix_gossipsub::libp2p::Unvalidated) {
    let unvalidated = network.unvalidated().expect("nobody has taken it");
    let hour = Duration::from_secs(3600);
    (start(network, &["a"], |builder| builder.batching(hour).arbiters(0)), unvalidated)
}

/// Otherwise the verdicts that are given are lost with the one that is not, though their reports have succeeded.
#[test]
fn a_message_of_a_batch_whose_verdict_is_late_loses_no_verdict_on_others() {
    run(async {
        let network = builder().manual_validation().build();
        let (mut engine, mut unvalidated) = batching(&network);
        let timeout = LimitsConfig::<String>::default().bounds.validation_timeout;
        let peer = connected(&engine);
        for data in ["1", "late", "2"] {
            send(&engine, &network, peer, "a", data);
        }
        engine.worker.settle().await;
        let worker = engine.worker.clone();
        let batch = actix::spawn(async move { worker.process_batch().await });
        let mut late = None;
        for _ in 0..3 {
            let received = unvalidated.recv().await.expect("the batch is validated");
            match received.message.message.data() {
                b"late" => late = Some(received),
                _ => received.report(Validity::Valid).expect("the message waits"),
            }
        }
        // They are delivered while the third one waits.
        for _ in 0..2 {
            assert_ne!(engine.app.recv().await.expect("delivered").message.data(), b"late");
        }
        assert!(!batch.is_finished());
        tokio::time::pause();
        tokio::time::advance(timeout).await;
        batch.await.expect("the batch is validated");
        tokio::time::resume();
        let late = late.expect("it was read");
        assert_eq!(late.report(Validity::Valid), Err(LateVerdict::TimedOut));
        let (id, source) = (&late.message.message_id, &late.propagation_source);
        assert_eq!(network.report_validation(id, source, Validity::Invalid), Err(LateVerdict::TimedOut));
        assert_eq!(delivered(&mut engine).await, Vec::<String>::new());

        // It may come again, and the next batch is validated.
        send(&engine, &network, peer, "a", "late");
        engine.worker.settle().await;
        let worker = engine.worker.clone();
        let batch = actix::spawn(async move { worker.process_batch().await });
        let again = unvalidated.recv().await.expect("the next batch is validated");
        again.report(Validity::Valid).expect("the message waits");
        batch.await.expect("the batch is validated");
        assert_eq!(delivered(&mut engine).await, ["late"]);
        assert_eq!(invalid_of(&engine, peer, "a").await, 0.0);
        engine.worker.shutdown().await;
    });
}

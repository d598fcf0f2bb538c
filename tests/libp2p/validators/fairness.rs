//! These tests check that a peer with many messages does not delay those of others in a pool of threads.

use super::*;

/// With one turn after another the message of the other peer would be validated last, if not too late.
#[test]
fn a_peer_that_floods_a_blocking_validator_delays_another_by_few_messages() {
    const FLOOD: usize = 100;
    run(async {
        let (release, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let order = Arc::<Mutex<Vec<PeerId>>>::default();
        let senders = Arc::clone(&order);
        let blocking = builder().blocking_validator(1, 1, move |delivery| {
            senders.lock().expect("the lock is not poisoned").push(delivery.sender);
            wait.lock().expect("the lock is not poisoned").recv().expect("the test runs");
            Validity::Valid
        });
        let network = blocking.expect("threads start").build();
        let mut engine = start(&network, &["a"], |builder| builder.arbiters(0));
        let [flooding, honest] = [connected(&engine), connected(&engine)];
        (0..FLOOD).for_each(|number| send(&engine, &network, flooding, "a", &number.to_string()));
        send(&engine, &network, honest, "a", "honest");
        while engine.worker.footprint().await.expect("the engine runs").validating < FLOOD + 1 {
            tokio::task::yield_now().await;
        }
        (0..=FLOOD).for_each(|_| release.send(()).expect("the validator runs"));
        assert_eq!(delivered(&mut engine).await.len(), FLOOD + 1);
        let index = {
            let order = order.lock().expect("the lock is not poisoned");
            order.iter().position(|sender| *sender == honest).expect("it was validated")
        };
        // One was being validated and one queued. The flooding peer and this one take turns then.
        assert!(index <= 3, "it was validated after {index} others");
        engine.worker.shutdown().await;
    });
}

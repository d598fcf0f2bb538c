//! These tests check batch validation in the running engine: synchronous and asynchronous verdicts, faulty validators,
//! and the bound on the next batch.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    AppInput, BatchVerdicts, Delivery, FullMessage, Network, P2pInput, P2pMessage, P2pOutput, Started,
    Validity, Worker, plain::PlainId, protocol::Footprint,
};
use tokio::sync::Semaphore;

use crate::{
    recording::Recording,
    support::{changed, limits, run},
};

const AN_HOUR: Duration = Duration::from_secs(3600);

/// A network that validates batches with a function.
struct BatchNetwork {
    validate: Box<dyn Fn(usize) -> Vec<Validity> + Send + Sync>,
    /// With a semaphore, the verdicts are asynchronous: the verdicts of one batch take one permit.
    permits: Option<Arc<Semaphore>>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Network for BatchNetwork {
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

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        self.sizes.lock().expect("the lock is not poisoned").push(batch.len());
        (self.validate)(batch.len())
    }

    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let permits = Arc::clone(self.permits.as_ref()?);
        let verdicts = self.validate_batch(batch);
        Some(BatchVerdicts::Together(Box::pin(async move {
            permits.acquire().await.expect("the semaphore is open").forget();
            verdicts
        })))
    }
}

fn message(peer: u64, number: u64) -> actix_gossipsub::P2pInput<BatchNetwork> {
    let message_id = PlainId { number, topic: "a".to_owned() };
    let full = FullMessage { topic: "a".to_owned(), message_id, message: "content".to_owned() };
    actix_gossipsub::P2pInput::message(peer, actix_gossipsub::P2pMessage::FullMessage(full.into()))
}

/// Sends three messages, which form a batch. Returns the number of delivered messages and the sizes of the batches.
async fn delivered(
    validate: impl Fn(usize) -> Vec<Validity> + Send + Sync + 'static,
    is_async: bool,
) -> (usize, Vec<usize>) {
    let sizes = Arc::default();
    let permits = is_async.then(|| Arc::new(Semaphore::new(1)));
    let network = BatchNetwork { validate: Box::new(validate), permits, sizes: Arc::clone(&sizes) };
    let builder = Worker::builder(network, limits()).manual().arbiters(2);
    let mut engine = builder.batching(AN_HOUR).start(["a".to_owned()]).expect("an actix system runs");
    for number in 0..3 {
        engine.worker.p2p_input(message(1, number)).expect("the input is accepted");
    }
    engine.worker.settle().await;
    assert!(engine.worker.batch_deadline().await.is_some());
    engine.worker.process_batch().await;
    let count = std::iter::from_fn(|| engine.app.try_recv()).count();
    engine.worker.shutdown().await;
    (count, std::mem::take(&mut *sizes.lock().expect("the lock is not poisoned")))
}

#[test]
fn a_batch_is_validated_in_one_call_synchronously_or_asynchronously() {
    run(async {
        for is_async in [false, true] {
            assert_eq!(delivered(|count| vec![Validity::Valid; count], is_async).await, (3, vec![3]));
        }
    });
}

#[test]
fn a_wrong_number_of_verdicts_delivers_nothing() {
    run(async {
        for is_async in [false, true] {
            assert_eq!(delivered(|_| vec![Validity::Valid], is_async).await, (0, vec![3]));
        }
    });
}

#[test]
fn a_batch_validator_that_panics_drops_the_batch_and_the_engine_continues() {
    run(async {
        assert_eq!(delivered(|_| panic!("a panic that a test injects"), false).await, (0, vec![3]));
    });
}

/// Waits until `count` messages are in the next batch or being validated.
async fn wait_for_batched(worker: &Worker<BatchNetwork>, count: usize) -> Footprint {
    loop {
        let footprint = worker.footprint().await.expect("the engine runs");
        if footprint.batched == count {
            return footprint;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_next_batch_is_bounded_while_one_is_validated() {
    const ITEMS: usize = 3;
    run(async {
        let (permits, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let validate = Box::new(|count| vec![Validity::Valid; count]);
        let network =
            BatchNetwork { validate, permits: Some(Arc::clone(&permits)), sizes: Arc::clone(&sizes) };
        let limits = changed(|limits| {
            limits.bounds.max_batch_items = ITEMS;
            limits.bounds.validation_timeout = AN_HOUR;
            limits.heartbeat_interval = AN_HOUR;
        });
        let most = Footprint::at_most(&limits, 0, 1).batched;
        // The engine is not manual: it validates a full batch at once.
        let builder = Worker::builder(network, limits).arbiters(2).batching(AN_HOUR);
        let (recording, mut engine) = Recording::of(builder, ["a".to_owned()]);
        let send =
            |peer, number| engine.worker.p2p_input(message(peer, number)).expect("the input is accepted");
        let throttled = || recording.count("gossipsub_validations_dropped_total{reason=throttled}");
        (0..3).for_each(|number| send(1, number));
        wait_for_batched(&engine.worker, ITEMS).await;
        (3..6).for_each(|number| send(1, number));
        assert_eq!(wait_for_batched(&engine.worker, 2 * ITEMS).await.batched, most, "both batches are full");
        assert_eq!(
            *sizes.lock().expect("the lock is not poisoned"),
            [ITEMS],
            "one batch is validated at a time"
        );
        // A duplicate of a batched message is accepted; new messages are dropped.
        send(2, 3);
        (6..8).for_each(|number| send(1, number));
        while throttled() < 2 {
            tokio::task::yield_now().await;
        }
        wait_for_batched(&engine.worker, most).await;
        for batch in 0..2 {
            permits.add_permits(1);
            for number in 0..3 {
                let delivered = engine.app.recv().await.expect("the message is delivered").message_id.number;
                assert_eq!(delivered, 3 * batch + number);
            }
        }
        engine.worker.settle().await;
        assert_eq!((engine.app.try_recv(), throttled()), (None, 2));
        // A peer may send a dropped message again.
        (6..9).for_each(|number| engine.worker.p2p_input(message(1, number)).expect("the input is accepted"));
        permits.add_permits(1);
        for number in 6..9 {
            assert_eq!(engine.app.recv().await.expect("the message is delivered").message_id.number, number);
        }
        assert_eq!(*sizes.lock().expect("the lock is not poisoned"), [ITEMS; 3]);
        engine.worker.shutdown().await;
    });
}

/// An engine whose batches of messages on "a" get their verdicts by permits. Peers 1 to 4 are in the mesh.
async fn validated_later(
    limits: actix_gossipsub::Limits<String>,
) -> (Started<BatchNetwork>, Arc<Semaphore>, Arc<Mutex<Vec<usize>>>) {
    let (permits, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let validate = Box::new(|count| vec![Validity::Valid; count]);
    let network = BatchNetwork { validate, permits: Some(Arc::clone(&permits)), sizes: Arc::clone(&sizes) };
    let builder = Worker::builder(network, limits).manual().arbiters(2).batching(AN_HOUR).seed(1);
    let engine = builder.start(["a".to_owned()]).expect("inside a system");
    for peer in 1..=4 {
        engine.worker.p2p_input(P2pInput::connected(peer)).expect("accepted");
        let graft = P2pMessage::Graft { topic: "a".to_owned() };
        engine.worker.p2p_input(P2pInput::message(peer, graft)).expect("accepted");
    }
    engine.worker.settle().await;
    (engine, permits, sizes)
}

/// The recipients of full messages, ascending.
fn forwarded_to(engine: &mut Started<BatchNetwork>) -> Vec<u64> {
    let outputs = std::iter::from_fn(|| engine.p2p.try_recv());
    let mut to: Vec<_> = outputs
        .filter_map(|output| match output {
            P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(_) } => Some(to_peer),
            _ => None,
        })
        .collect();
    to.sort_unstable();
    to
}

#[test]
fn a_copy_that_arrives_while_its_batch_is_validated_is_part_of_that_batch() {
    run(async {
        let (mut engine, permits, sizes) = validated_later(limits()).await;
        engine.worker.p2p_input(message(1, 7)).expect("accepted");
        engine.worker.p2p_input(message(2, 7)).expect("accepted");
        engine.worker.settle().await;
        let process = engine.worker.clone();
        let process = actix::spawn(async move { process.process_batch().await });
        while sizes.lock().expect("the lock is not poisoned").is_empty() {
            tokio::task::yield_now().await;
        }
        engine.worker.p2p_input(message(3, 7)).expect("accepted");
        // It waits behind the copy in the topic's mailbox.
        engine.worker.mesh_of(&"a".to_owned()).await.expect("it runs");
        permits.add_permits(100);
        process.await.expect("no panic");
        engine.worker.process_batch().await;
        let delivered: Vec<_> = std::iter::from_fn(|| engine.app.try_recv()).collect();
        assert_eq!(delivered.len(), 1, "deliveries");
        assert_eq!(forwarded_to(&mut engine), [4], "every other peer of the mesh delivered it");
        assert_eq!(*sizes.lock().expect("the lock is not poisoned"), [1], "batches");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_message_that_is_published_while_its_batch_is_validated_is_not_sent_again() {
    run(async {
        let limits = changed(|limits| limits.extensions.recheck_seen_after_batch = true);
        let (mut engine, permits, _) = validated_later(limits).await;
        engine.worker.p2p_input(message(1, 7)).expect("accepted");
        engine.worker.settle().await;
        let P2pInput::InMessage { message: P2pMessage::FullMessage(full), .. } = message(1, 7) else {
            unreachable!("a full message")
        };
        engine.worker.app_input(AppInput::Publish(FullMessage::clone(&full))).expect("accepted");
        permits.add_permits(1);
        engine.worker.process_batch().await;
        assert_eq!(forwarded_to(&mut engine), [1, 2, 3, 4], "each peer once");
        assert_eq!(engine.app.try_recv(), None, "the publisher has it");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_batch_whose_verdicts_take_too_long_is_dropped_and_may_come_again() {
    run(async {
        let limits = changed(|limits| limits.bounds.validation_timeout = Duration::from_millis(10));
        let (mut engine, permits, sizes) = validated_later(limits).await;
        engine.worker.p2p_input(message(1, 7)).expect("accepted");
        engine.worker.settle().await;
        engine.worker.process_batch().await;
        engine.worker.check_parked().await;
        let footprint = engine.worker.footprint().await.expect("it runs");
        assert_eq!((footprint.batched, footprint.parked, footprint.validating), (0, 0, 0));
        assert_eq!(engine.app.try_recv(), None);
        permits.add_permits(1);
        engine.worker.p2p_input(message(1, 7)).expect("accepted");
        engine.worker.settle().await;
        engine.worker.process_batch().await;
        assert_eq!(engine.app.recv().await.expect("delivered").message_id.number, 7);
        assert_eq!(*sizes.lock().expect("the lock is not poisoned"), [1, 1]);
        engine.worker.shutdown().await;
    });
}

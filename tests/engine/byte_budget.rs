//! These tests check that the bytes of a message count until the engine no longer holds it: while its verdict is awaited,
//! while it is parked, and until both streams are read. Whatever is not read, the engine refuses inputs in time.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use actix_gossipsub::{
    AppInput, Limits, MessageBudget, P2pInput, P2pMessage, P2pOutput, Refused, Started, Validity, Worker,
    WorkerBuilder, plain::PlainNetwork,
};

use crate::support::*;

const SIZE: usize = 1000;
/// The budget. A message costs a little more than its content.
const BUDGET: usize = 20 * SIZE;
const STREAM: usize = BUDGET / 2;

fn byte_limits() -> Limits<String> {
    changed(|limits| {
        limits.bounds.max_input_bytes = BUDGET;
        limits.bounds.max_output_bytes = STREAM;
    })
}

fn large(peer: u64, number: u64) -> P2pInput<PlainNetwork> {
    let message = PlainNetwork::message("a", number, &"x".repeat(SIZE));
    P2pInput::message(peer, P2pMessage::FullMessage(Arc::new(message)))
}

fn on_one_thread(network: PlainNetwork, limits: Limits<String>) -> WorkerBuilder<PlainNetwork> {
    Worker::builder(network, limits).arbiters(0).manual()
}

/// Sends messages of several peers, each handled before the next, until one is refused. Returns their number and the
/// reason.
async fn fill(worker: &Worker<PlainNetwork>, first: u64) -> (u64, Refused) {
    for number in 0..1000 {
        if let Err(refused) = worker.p2p_input(large(number % 5, first + number)) {
            return (number, refused);
        }
        worker.settle().await;
    }
    panic!("1000 messages were accepted");
}

fn connect_five(worker: &Worker<PlainNetwork>) {
    (0..5).for_each(|peer| worker.p2p_input(connect(peer)).expect("the input is accepted"));
}

fn assert_bounded(budget: &MessageBudget) {
    assert!(budget.used() <= BUDGET, "{budget:?}");
    assert!(budget.used() > BUDGET / 3, "{budget:?}");
}

fn read_app(engine: &mut Started<PlainNetwork>) -> usize {
    std::iter::from_fn(|| engine.app.try_recv()).count()
}

#[test]
fn an_application_that_does_not_read_bounds_the_bytes_of_its_stream() {
    run(async {
        let mut engine = start(on_one_thread(PlainNetwork::new(), byte_limits()), &["a"]);
        connect_five(&engine.worker);
        let budget = engine.worker.message_budget();
        let (accepted, refused) = fill(&engine.worker, 0).await;
        assert!(matches!(refused, Refused::ApplicationBehind { .. }), "{refused:?}");
        assert!((STREAM / SIZE / 2..=STREAM / SIZE).contains(&(accepted as usize)), "{accepted}");
        assert_bounded(&budget);
        engine.worker.p2p_input(subscribe(1, "a")).expect("only messages are refused");
        assert_eq!(read_app(&mut engine), accepted as usize);
        engine.worker.settle().await;
        assert_eq!(budget.used(), 0);
        engine.worker.p2p_input(large(1, 5000)).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn messages_that_wait_for_a_verdict_count() {
    run(async {
        let network = PlainNetwork::with_async_validator(|_| pending());
        let limits = byte_limits();
        let timeout = limits.bounds.validation_timeout;
        let engine = start(on_one_thread(network, limits), &["a"]);
        connect_five(&engine.worker);
        let budget = engine.worker.message_budget();
        let mut accepted = 0;
        let refused = loop {
            match engine.worker.p2p_input(large(accepted % 5, accepted)) {
                Ok(()) => accepted += 1,
                Err(refused) => break refused,
            }
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        assert!(
            matches!(refused, Refused::TooManyBytes { .. } | Refused::PeerOverShare { .. }),
            "{refused:?}"
        );
        assert_bounded(&budget);
        tokio::time::pause();
        tokio::time::advance(timeout).await;
        engine.worker.settle().await;
        assert_eq!(budget.used(), 0, "a validation that takes too long drops its message");
        engine.worker.shutdown().await;
    });
}

#[test]
fn messages_of_a_batch_count() {
    run(async {
        let builder = on_one_thread(PlainNetwork::new(), byte_limits());
        let engine = start(builder.batching(std::time::Duration::from_secs(1)), &["a"]);
        connect_five(&engine.worker);
        let budget = engine.worker.message_budget();
        let (_, refused) = fill(&engine.worker, 0).await;
        assert!(
            matches!(refused, Refused::TooManyBytes { .. } | Refused::PeerOverShare { .. }),
            "{refused:?}"
        );
        assert_bounded(&budget);
        engine.worker.shutdown().await;
        drop(engine);
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn parked_messages_leave_half_of_the_bytes_to_others() {
    run(async {
        let network = PlainNetwork::with_validator(|_| Validity::Unknown);
        let engine = start(on_one_thread(network, byte_limits()), &["a"]);
        connect_five(&engine.worker);
        let budget = engine.worker.message_budget();
        for number in 0..100 {
            engine.worker.p2p_input(large(number % 5, number)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        assert!((BUDGET / 3..=BUDGET / 2).contains(&budget.used()), "{budget:?}");
        engine.worker.shutdown().await;
        drop(engine);
        assert_eq!(budget.used(), 0);
    });
}

/// The application may keep what a hook was given.
#[test]
fn a_delivery_that_the_application_keeps_does_not_count() {
    run(async {
        let deliveries: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = Arc::clone(&deliveries);
        let network = PlainNetwork::with_validator(move |delivery| {
            kept.lock().expect("the lock is not poisoned").push(delivery.clone());
            Validity::Valid
        });
        let builder = on_one_thread(network, byte_limits()).batching(std::time::Duration::ZERO);
        let mut engine = start(builder, &["a"]);
        connect_five(&engine.worker);
        for number in 0..100 {
            engine.worker.p2p_input(large(number % 5, number)).expect("the input is accepted");
            engine.worker.settle().await;
            engine.worker.process_batch().await;
            engine.worker.settle().await;
            read_app(&mut engine);
        }
        assert_eq!(deliveries.lock().expect("the lock is not poisoned").len(), 100);
        assert_eq!(engine.worker.message_budget().used(), 0);
        engine.worker.shutdown().await;
    });
}

#[test]
fn one_peer_whose_messages_wait_is_refused_while_others_have_room() {
    run(async {
        let builder = on_one_thread(PlainNetwork::new(), byte_limits());
        let engine = start(builder.batching(std::time::Duration::from_secs(1)), &["a"]);
        connect_five(&engine.worker);
        let mut number = 0;
        let refused = loop {
            number += 1;
            if let Err(refused) = engine.worker.p2p_input(large(0, number)) {
                break refused;
            }
            engine.worker.settle().await;
        };
        assert!(matches!(refused, Refused::PeerOverShare { waiting: 0, bytes: SIZE.. }), "{refused:?}");
        engine.worker.p2p_input(large(1, 100)).expect("another peer has room");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_that_does_not_read_bounds_the_bytes_of_its_stream() {
    run(async {
        let mut engine = start(on_one_thread(PlainNetwork::new(), byte_limits()), &["a"]);
        connect_five(&engine.worker);
        for peer in 0..5 {
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        engine.worker.settle().await;
        // Forwards are dropped, so that the engine goes on.
        for number in 0..100 {
            engine.worker.p2p_input(large(number % 5, number)).expect("the input is accepted");
            engine.worker.settle().await;
            assert_eq!(read_app(&mut engine), 1);
        }
        let unread = |engine: &Started<PlainNetwork>| {
            let queues = engine.worker.queues();
            queues.iter().find(|queue| queue.name == "p2p_output_bytes").map_or(0, |queue| queue.depth)
        };
        assert!((STREAM / 2..=STREAM).contains(&unread(&engine)), "{}", unread(&engine));
        // Publications replace the forwards. None is dropped: the engine refuses what has no room.
        let publish = |number: u64| {
            let message = PlainNetwork::message("a", 1000 + number, &"x".repeat(SIZE));
            engine.worker.app_input(AppInput::Publish(message))
        };
        let mut published = 0;
        let refused = loop {
            match publish(published) {
                Ok(()) => published += 1,
                Err(refused) => break refused,
            }
            engine.worker.settle().await;
        };
        assert!(matches!(refused, Refused::TooManyBytes { .. }), "{refused:?}");
        assert!(published > 0 && unread(&engine) <= STREAM + SIZE, "{}", unread(&engine));
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let sent = outputs.iter().filter(|output| {
            let P2pOutput::OutMessage { message: P2pMessage::FullMessage(full), .. } = output else {
                return false;
            };
            full.message_id.number >= 1000
        });
        assert_eq!(sent.count() as u64, published * 5);
        assert_eq!(unread(&engine), 0);
        assert_eq!(engine.worker.message_budget().used(), 0);
        publish(5000).expect("there is room again");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_transport_charges_its_own_queues_to_the_budget() {
    run(async {
        let engine = start(on_one_thread(PlainNetwork::new(), byte_limits()), &["a"]);
        connect_five(&engine.worker);
        engine.worker.settle().await;
        let budget = engine.worker.message_budget();
        assert_eq!((budget.used(), budget.limit()), (0, BUDGET));
        let most = budget.try_charge(BUDGET - SIZE).expect("it fits");
        assert!(budget.try_charge(SIZE + 1).is_none());
        assert!(matches!(engine.worker.p2p_input(large(1, 1)), Err(Refused::TooManyBytes { .. })));
        let beyond = budget.clone().charge(3 * SIZE);
        assert_eq!((budget.used(), beyond.bytes()), (BUDGET + 2 * SIZE, 3 * SIZE));
        drop(most);
        engine.worker.p2p_input(large(1, 1)).expect("there is room again");
        drop(beyond);
        engine.worker.shutdown().await;
        drop(engine);
        assert_eq!(budget.used(), 0);
    });
}

//! These tests check publications to a minimum of peers ([`PublishOptions`]), and the wait for them.

use std::time::Duration;

use actix_gossipsub::{
    FullMessage, Limits, NotPublished, P2pInput, P2pMessage, PublishOptions, Refused, RouteResult, Started,
    Worker, plain::PlainNetwork,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, pause},
};

use crate::{recording::Recording, support::*};

fn full(number: u64) -> FullMessage<PlainNetwork> {
    PlainNetwork::message("a", number, "content")
}

/// Publications reach subscribers beyond the mesh.
fn reaching() -> Limits<String> {
    changed(|limits| limits.extensions.publish_reaches_degree_optimal = true)
}

fn options(min_peers: usize, max_wait: Duration) -> PublishOptions {
    PublishOptions::default().with(|options| (options.min_peers, options.max_wait) = (min_peers, max_wait))
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

type Result = std::result::Result<usize, NotPublished>;

/// Publishes in a task. Returns the number of peers for which the message was queued.
fn publish_in_task(
    worker: &Worker<PlainNetwork>,
    number: u64,
    options: PublishOptions,
) -> JoinHandle<Result> {
    let worker = worker.clone();
    actix::spawn(async move {
        let ticket = worker.publish_with(full(number), options).await?;
        Ok(ticket.report().queued)
    })
}

/// The publisher has tried, and waits.
async fn waits(worker: &Worker<PlainNetwork>, task: &JoinHandle<Result>) -> bool {
    for _ in 0..3 {
        tokio::task::yield_now().await;
        worker.settle().await;
    }
    !task.is_finished()
}

fn add_subscriber(worker: &Worker<PlainNetwork>, peer: u64) {
    worker.p2p_input(connect(peer)).expect("the input is accepted");
    worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
}

#[test]
fn without_enough_peers_a_message_is_not_published_and_may_be_published_again() {
    run(async {
        let Started { worker, .. } = start(manual(PlainNetwork::new(), reaching()), &["a"]);
        add_subscriber(&worker, 1);
        let to_two = options(2, Duration::ZERO);
        let few = worker.publish_with(full(1), to_two.clone()).await;
        assert_eq!(few.err(), Some(NotPublished::TooFewPeers { peers: 1, min_peers: 2 }));
        add_subscriber(&worker, 2);
        let ticket = worker.publish_with(full(1), to_two.clone()).await.expect("there are two");
        assert_eq!((ticket.report().routed, ticket.report().queued), (Some(RouteResult::Queued), 2));
        let again = worker.publish_with(full(1), to_two).await;
        assert_eq!(again.err(), Some(NotPublished::AlreadyPublished));
        worker.shutdown().await;
        let stopped = worker.publish_with(full(2), options(0, LONG)).await;
        assert_eq!(stopped.err(), Some(NotPublished::Refused(Refused::Stopped)));
    });
}

/// On a joined topic, and on one that has no state until then.
#[test]
fn a_publisher_waits_for_subscribers() {
    run(async {
        for joined in [&["a"][..], &[]] {
            let Started { worker, .. } = start(manual(PlainNetwork::new(), reaching()), joined);
            let task = publish_in_task(&worker, 1, options(2, LONG));
            assert!(waits(&worker, &task).await);
            if joined.is_empty() {
                // The topic becomes passive again.
                worker.tick().await;
                assert!(waits(&worker, &task).await);
            }
            add_subscriber(&worker, 1);
            assert!(waits(&worker, &task).await);
            add_subscriber(&worker, 2);
            assert_eq!(task.await.expect("no panic"), Ok(2));
            worker.shutdown().await;
        }
    });
}

#[test]
fn a_publisher_tries_again_after_each_heartbeat() {
    run(async {
        let Started { worker, .. } = start(manual(PlainNetwork::new(), reaching()), &["a"]);
        add_subscriber(&worker, 1);
        let score = |score| actix_gossipsub::AppInput::SetApplicationScore { peer: 1, score };
        worker.app_input(score(-1000.0)).expect("the input is accepted");
        worker.settle().await;
        let task = publish_in_task(&worker, 1, options(1, LONG));
        assert!(waits(&worker, &task).await);
        worker.app_input(score(1000.0)).expect("the input is accepted");
        assert!(waits(&worker, &task).await);
        worker.tick().await;
        assert_eq!(task.await.expect("no panic"), Ok(1));
        worker.shutdown().await;
    });
}

#[test]
fn a_publisher_waits_for_no_longer_than_it_wants() {
    run(async {
        let builder = Worker::builder(PlainNetwork::new(), reaching()).manual().arbiters(0);
        let Started { worker, .. } = start(builder, &["a"]);
        // Time passes when all tasks wait.
        pause();
        let (start, max_wait) = (Instant::now(), Duration::from_secs(10));
        let few = worker.publish_with(full(1), options(1, max_wait)).await;
        assert_eq!(few.err(), Some(NotPublished::TooFewPeers { peers: 0, min_peers: 1 }));
        assert!((max_wait..max_wait + Duration::from_secs(1)).contains(&start.elapsed()));
        worker.shutdown().await;
    });
}

#[test]
fn a_publisher_that_gives_up_publishes_nothing() {
    run(async {
        let Started { worker, .. } = start(manual(PlainNetwork::new(), reaching()), &["a"]);
        let task = publish_in_task(&worker, 1, options(1, LONG));
        assert!(waits(&worker, &task).await);
        task.abort();
        assert!(task.await.expect_err("it is cancelled").is_cancelled());
        add_subscriber(&worker, 1);
        worker.settle().await;
        // Its future is dropped before the topic handles the attempt.
        {
            let attempt = worker.publish_with(full(2), PublishOptions::default());
            tokio::pin!(attempt);
            let _ = futures::poll!(&mut attempt);
        }
        worker.settle().await;
        let ticket = worker.publish_with(full(1), PublishOptions::default()).await;
        assert_eq!(ticket.expect("it was not published before").report().queued, 1);
        worker.shutdown().await;
    });
}

#[test]
fn a_waiting_publisher_learns_of_the_end_of_the_engine() {
    run(async {
        let Started { worker, .. } = start(manual(PlainNetwork::new(), reaching()), &["a"]);
        let task = publish_in_task(&worker, 1, options(1, LONG));
        assert!(waits(&worker, &task).await);
        worker.shutdown().await;
        assert_eq!(task.await.expect("no panic"), Err(NotPublished::Refused(Refused::Stopped)));
    });
}

/// An attempt counted the copies that it would not have sent, and kept the fanout.
#[test]
fn an_attempt_with_too_few_peers_is_not_counted() {
    run(async {
        let limits = changed(|limits| {
            limits.extensions.publish_reaches_degree_optimal = true;
            limits.extensions.idontwant_message_size = 1;
            limits.extensions.max_idontwant_per_heartbeat = 100;
            limits.extensions.idontwant_ticks = 3;
        });
        let (recording, engine) = Recording::of(manual(PlainNetwork::new(), limits), ["a".to_owned()]);
        let worker = &engine.worker;
        worker.p2p_input(connect(1)).expect("the input is accepted");
        worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        let message_ids = vec![full(1).message_id];
        let idontwant = P2pInput::message(1, P2pMessage::IDontWant { message_ids });
        worker.p2p_input(idontwant).expect("the input is accepted");
        worker.settle().await;
        let suppressed = || recording.sum("gossipsub_messages_suppressed_by_idontwant_total", "");
        for _ in 0..3 {
            let few = worker.publish_with(full(1), options(1, Duration::ZERO)).await;
            assert_eq!(few.err(), Some(NotPublished::TooFewPeers { peers: 0, min_peers: 1 }));
        }
        worker.settle().await;
        assert_eq!(suppressed(), 0);
        let ticket = worker.publish(full(1)).expect("there is room");
        worker.settle().await;
        assert_eq!((ticket.report().routed, suppressed()), (Some(RouteResult::NoPeers), 1));
        worker.shutdown().await;
    });
}

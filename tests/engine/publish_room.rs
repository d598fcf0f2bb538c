//! These tests check how `publish_when_room` makes publishers wait for their peers, so that their messages are not dropped
//! from output queues.

use std::time::Duration;

use actix_gossipsub::{FullMessage, Limits, Refused, Started, Worker, limits::Bounds, plain::PlainNetwork};
use futures::{FutureExt, future::join_all};

use crate::support::*;

const PEERS: u64 = 3;

fn full(number: u64) -> FullMessage<PlainNetwork> {
    PlainNetwork::message("a", number, "content")
}

fn bounded(change: impl FnOnce(&mut Bounds)) -> Limits<String> {
    changed(|limits| change(&mut limits.bounds))
}

/// An engine on this thread, with three peers in the mesh of "a". The transport reports nothing by itself.
fn engine(limits: Limits<String>) -> Started<PlainNetwork> {
    let engine = start(manual(PlainNetwork::new(), limits).arbiters(0), &["a"]);
    for peer in 0..PEERS {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
    }
    engine
}

fn report_sent(worker: &Worker<PlainNetwork>, number: u64, copies: u64) {
    (0..copies).for_each(|_| worker.report_sent(&"a".to_owned(), &full(number).message_id));
}

/// Lets the other tasks of this thread run until they wait.
async fn run_tasks() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

fn is_published(worker: &Worker<PlainNetwork>, number: u64) -> bool {
    worker.has_publish_listener(&"a".to_owned(), &full(number).message_id)
}

/// The p2p stream is full of publications and nobody reads it.
#[test]
fn a_publisher_that_waits_for_the_engines_queue_learns_of_the_end() {
    run(async {
        let limits = bounded(|bounds| bounds.max_input_bytes = 2_000);
        let Started { worker, p2p: _p2p, .. } = engine(limits);
        for number in 0.. {
            if worker.publish(full(number)).is_err() {
                break;
            }
            worker.settle().await;
        }
        let mut waiting = Box::pin(worker.publish_when_room(full(1_000_000)));
        assert!((&mut waiting).now_or_never().is_none());
        worker.shutdown().await;
        assert_eq!(waiting.await.err(), Some(Refused::Stopped));
    });
}

#[test]
fn a_publisher_waits_until_earlier_messages_are_sent_to_all_peers() {
    run(async {
        // "content" has 7 bytes: two messages fit.
        let limits = bounded(|b| (b.max_unsent_publications, b.max_unsent_publication_bytes) = (3, 16));
        let Started { worker, p2p: _p2p, .. } = engine(limits);
        for number in 1..=2 {
            assert!(worker.publish_when_room(full(number)).now_or_never().expect("there is room").is_ok());
        }
        worker.settle().await;
        for number in 1..=2 {
            report_sent(&worker, number, PEERS - 1);
        }
        run_tasks().await;
        let mut third = Box::pin(worker.publish_when_room(full(3)));
        assert!(third.as_mut().now_or_never().is_none(), "each has a peer that it was not sent to");
        report_sent(&worker, 1, 1);
        run_tasks().await;
        let ticket = third.now_or_never().expect("there is room").expect("the engine runs");
        assert!(worker.publish_when_room(full(4)).now_or_never().is_none());
        worker.settle().await;
        assert!(is_published(&worker, 3));
        assert!(!is_published(&worker, 4), "a publisher that gives up publishes nothing");
        report_sent(&worker, 3, PEERS);
        assert_eq!(ticket.completed().await.sent, PEERS as usize);
        run_tasks().await;
        assert!(worker.publish_when_room(full(5)).now_or_never().is_some(), "who gave up occupies no room");
        let waiting = actix::spawn({
            let worker = worker.clone();
            async move {
                let _ticket = worker.publish_when_room(full(6)).await?;
                worker.publish_when_room(full(7)).await.map(drop)
            }
        });
        run_tasks().await;
        worker.shutdown().await;
        assert_eq!(waiting.await.expect("no panic"), Err(Refused::Stopped));
        assert_eq!(worker.publish_when_room(full(8)).await.map(drop), Err(Refused::Stopped));
    });
}

/// The publication counts although its ticket is dropped.
#[test]
fn a_message_that_is_never_sent_keeps_publishers_waiting_for_a_bounded_time() {
    run(async {
        let limits = bounded(|b| b.max_unsent_publications = 1);
        let timeout = limits.bounds.unsent_publication_timeout;
        let Started { worker, p2p: _p2p, .. } = engine(limits);
        worker.settle().await;
        // Time passes when all tasks wait.
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        for number in 1..=3 {
            drop(worker.publish_when_room(full(number)).await.expect("the engine runs"));
        }
        let waited = start.elapsed();
        assert!((2 * timeout..2 * timeout + Duration::from_secs(1)).contains(&waited), "{waited:?}");
        tokio::time::resume();
        worker.shutdown().await;
    });
}

#[test]
fn a_message_larger_than_all_room_is_published_alone() {
    run(async {
        let limits = bounded(|b| b.max_unsent_publication_bytes = 3);
        let Started { worker, p2p: _p2p, .. } = engine(limits);
        worker.publish_when_room(full(1)).await.expect("the engine runs");
        assert!(worker.publish_when_room(full(2)).now_or_never().is_none());
        worker.settle().await;
        report_sent(&worker, 1, PEERS);
        worker.publish_when_room(full(2)).await.expect("the engine runs");
        worker.shutdown().await;
    });
}

/// A26: the publisher was faster than the stream took its messages, and they were dropped or refused.
#[test]
fn a_burst_of_publishers_on_small_queues_loses_nothing_and_is_refused_nothing() {
    const BURST: u64 = 500;
    run(async {
        let limits = bounded(|b| {
            (b.max_input_items, b.max_output_items) = (8, 64);
            // More than the engine's own queue takes.
            b.max_unsent_publications = 16;
        });
        let Started { worker, mut p2p, .. } = engine(limits);
        let transport = actix::spawn({
            let worker = worker.clone();
            async move {
                let mut sent = 0;
                while sent < BURST * PEERS {
                    let output = p2p.recv().await.expect("the engine runs");
                    if let actix_gossipsub::P2pOutput::OutMessage { message, .. } = output
                        && let actix_gossipsub::P2pMessage::FullMessage(full) = message
                    {
                        worker.report_sent(&full.topic, &full.message_id);
                        sent += 1;
                    }
                }
                p2p
            }
        });
        let tickets = join_all((0..BURST).map(|number| worker.publish_when_room(full(number)))).await;
        for ticket in tickets {
            let report = ticket.expect("nothing is refused").completed().await;
            assert_eq!((report.queued, report.sent), (PEERS as usize, PEERS as usize));
        }
        drop(transport.await.expect("no panic"));
        worker.shutdown().await;
    });
}

//! These tests check how a [`PublishWindow`] makes a publisher wait for its peers, so that its messages are not dropped from
//! output queues.

use std::time::Duration;

use actix_gossipsub::{FullMessage, PublishWindow, PublishWindowLimits, Started, plain::PlainNetwork};
use futures::FutureExt;

use crate::support::*;

const PEERS: u64 = 3;

fn full(number: u64) -> FullMessage<PlainNetwork> {
    PlainNetwork::message("a", number, "content")
}

/// An engine with three peers in the mesh of "a".
fn engine() -> Started<PlainNetwork> {
    let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
    for peer in 0..PEERS {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
    }
    engine
}

#[test]
fn a_publisher_with_a_window_waits_until_its_messages_are_sent() {
    run(async {
        let Started { worker, p2p: _p2p, .. } = engine();
        let limits = PublishWindowLimits::default().with(|l| (l.max_messages, l.max_bytes) = (3, 16));
        let mut window = PublishWindow::new(worker.clone(), limits);
        // "content" has 7 bytes: two messages fit.
        for number in 1..=2 {
            assert_eq!(window.publish(full(number)).now_or_never(), Some(Ok(())));
        }
        worker.settle().await;
        let sent = |number, copies| {
            (0..copies).for_each(|_| worker.report_sent(&"a".to_owned(), &full(number).message_id));
        };
        sent(1, PEERS - 1);
        sent(2, PEERS - 1);
        assert_eq!(window.publish(full(3)).now_or_never(), None);
        sent(1, 1);
        assert_eq!(window.publish(full(3)).now_or_never(), Some(Ok(())));
        assert_eq!(window.publish(full(4)).now_or_never(), None);
        worker.settle().await;
        assert!(worker.has_publish_listener(&"a".to_owned(), &full(3).message_id));
        assert!(!worker.has_publish_listener(&"a".to_owned(), &full(4).message_id), "it is not published");
        worker.shutdown().await;
        assert!(window.publish(full(5)).await.is_err());
    });
}

#[test]
fn a_message_that_is_never_sent_keeps_its_publisher_waiting_for_a_bounded_time() {
    run(async {
        let Started { worker, p2p: _p2p, .. } = engine();
        let limits = PublishWindowLimits::default().with(|l| l.max_messages = 1);
        let mut window = PublishWindow::new(worker.clone(), limits.clone());
        // Time passes when all tasks wait.
        tokio::time::pause();
        let start = tokio::time::Instant::now();
        for number in 1..=3 {
            window.publish(full(number)).await.expect("the engine runs");
        }
        let waited = start.elapsed();
        assert!((2 * limits.max_wait..2 * limits.max_wait + Duration::from_secs(1)).contains(&waited));
        worker.shutdown().await;
    });
}

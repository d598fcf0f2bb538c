//! These tests fill the streams of topics and of events that the application does not read, up to the bounds of all of them.

use actix_gossipsub::{
    EngineEvent, EngineEvents, LimitsConfig, P2pInput, P2pMessage, Refused, Started, SubscriptionConfig,
    TopicMessages, WhenFull, Worker, plain::PlainNetwork, protocol::Footprint,
};

use crate::support::*;

const PEER: u64 = 1;
/// The bytes of a content.
const BYTES: usize = 10_000;

/// Sends messages on a topic until one is refused, but at most 100. Returns the number of those that were accepted.
async fn fill(worker: &Worker<PlainNetwork>, topic: &str, first: u64) -> usize {
    for number in first..first + 100 {
        let full = PlainNetwork::message(topic, number, &"x".repeat(BYTES));
        match worker.p2p_input(P2pInput::message(PEER, P2pMessage::FullMessage(full.into()))) {
            Ok(()) => worker.settle().await,
            Err(Refused::SubscriberBehind { .. }) => return (number - first) as usize,
            Err(other) => panic!("{other:?}"),
        }
    }
    100
}

fn subscribe(worker: &Worker<PlainNetwork>, topic: &str, when_full: WhenFull) -> TopicMessages<PlainNetwork> {
    let config = SubscriptionConfig::default().with(|config| config.when_full = when_full);
    worker.subscribe_with(topic.to_owned(), config).expect("valid settings")
}

fn read_all(stream: &mut TopicMessages<PlainNetwork>) -> usize {
    std::iter::from_fn(|| stream.try_recv()).count()
}

/// There is room for 8 messages.
async fn streams_are_filled(change: fn(&mut LimitsConfig<String>)) {
    let limits = changed(change);
    let most = Footprint::at_most(&limits, 1, 4);
    let Started { worker, p2p: _p2p, app: _app } = start(manual(PlainNetwork::new(), limits), &[]);
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|topic| subscribe(&worker, topic, WhenFull::Refuse));
    let mut dropping = subscribe(&worker, "d", WhenFull::Drop);
    worker.settle().await;
    // Half of the room and one, then a third of it and one; and one each without room.
    assert_eq!(fill(&worker, "a", 0).await, 5 + 1);
    assert_eq!(fill(&worker, "b", 0).await, 3 + 1);
    let footprint = worker.footprint().await.expect("it runs");
    assert_eq!(footprint.subscribed, 8);
    assert!(footprint.subscribed <= most.subscribed && footprint.subscribed_bytes <= most.subscribed_bytes);
    let one = footprint.subscribed_bytes / 8;
    let is_full =
        footprint.subscribed == most.subscribed || footprint.subscribed_bytes + one > most.subscribed_bytes;
    assert!(is_full, "{footprint:?}");
    // The others go on, one message at a time.
    assert_eq!((fill(&worker, "c", 0).await, fill(&worker, "d", 0).await), (1, 100));
    assert_eq!((read_all(&mut c), read_all(&mut dropping), dropping.dropped()), (1, 1, 99));
    assert_eq!(fill(&worker, "c", 10).await, 1);
    assert_eq!(worker.footprint().await.expect("it runs").subscribed, 8);

    assert_eq!((read_all(&mut a), read_all(&mut c)), (6, 1));
    drop(b);
    let footprint = worker.footprint().await.expect("it runs");
    assert_eq!((footprint.subscribed, footprint.subscribed_bytes), (0, 0));
    b = subscribe(&worker, "b", WhenFull::Refuse);
    worker.settle().await;
    assert_eq!(fill(&worker, "b", 10).await, 5 + 1);
    drop((a, b, c, dropping));
    worker.shutdown().await;
}

#[test]
fn the_unread_messages_of_all_subscriptions_are_bounded() {
    run(streams_are_filled(|limits| limits.bounds.max_subscribed_items = 8));
}

#[test]
fn the_bytes_of_unread_messages_of_all_subscriptions_are_bounded() {
    run(streams_are_filled(|limits| limits.bounds.max_subscribed_bytes = 8 * (BYTES + 500)));
}

/// The events of a stream, and how many are missing.
fn events(stream: &mut EngineEvents<PlainNetwork>) -> (usize, u64) {
    let (mut events, mut missed) = (0, 0);
    while let Some(event) = stream.try_recv() {
        match event {
            EngineEvent::Missed { count } => missed += count,
            _ => events += 1,
        }
    }
    (events, missed)
}

#[test]
fn the_unread_events_of_all_subscribers_are_bounded() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_unread_events = 8);
        let most = Footprint::at_most(&limits, 0, 0).unread_events;
        let Started { worker, p2p: _p2p, app: _app } = start(manual(PlainNetwork::new(), limits), &[]);
        let mut unread = worker.subscribe_events(100);
        for _ in 0..20 {
            worker.tick().await;
        }
        // Half of the room and one; the rest is for others.
        assert_eq!((worker.footprint().await.expect("it runs").unread_events, most), (5, 8));
        let mut late = [worker.subscribe_events(100), worker.subscribe_events(100)];
        for _ in 0..20 {
            worker.tick().await;
        }
        assert_eq!(worker.footprint().await.expect("it runs").unread_events, most);
        assert_eq!(events(&mut unread), (5, 35));
        let counts = late.each_mut().map(events);
        assert_eq!(counts.map(|(events, missed)| events as u64 + missed), [20; 2], "{counts:?}");
        assert_eq!(counts.map(|(events, _)| events).iter().sum::<usize>(), 3);
        assert_eq!(worker.footprint().await.expect("it runs").unread_events, 0);
        worker.tick().await;
        assert_eq!(events(&mut unread), (1, 0));
        drop((unread, late));
        assert_eq!(worker.footprint().await.expect("it runs").unread_events, 0);
        worker.shutdown().await;
    });
}

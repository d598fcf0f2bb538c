//! These tests check the topics that an engine has not joined and does not publish to: they have no actor and take no
//! part in heartbeats, and queries return their subscribers and backoffs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use actix_gossipsub::{
    Limits, LimitsConfig, P2pInput, P2pMessage, Page, Started, Worker, plain::PlainNetwork,
    protocol::Footprint,
};
use testkit::counted::{Counted, CountedNetwork};

use crate::support::*;

#[test]
fn a_heartbeat_of_the_engine_does_nothing_for_topics_that_only_peers_subscribe_to() {
    run(async {
        let (topics, peers): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
        let builder = Worker::builder(CountedNetwork::default(), limits).manual().arbiters(1);
        let Started { worker, p2p: _p2p, app: _app } = builder.start([]).expect("an actix system runs");
        for peer in 0..3 {
            let peer = Counted::new(peer, &peers);
            worker.p2p_input(P2pInput::connected(peer.clone())).expect("the input is accepted");
            for topic in 0..1000 {
                let message = P2pMessage::subscribe(Counted::new(topic, &topics));
                worker.p2p_input(P2pInput::message(peer.clone(), message)).expect("the input is accepted");
            }
            worker.settle().await;
        }
        let before = topics.load(Relaxed);
        for _ in 0..20 {
            worker.tick().await;
            worker.settle().await;
        }
        assert_eq!(topics.load(Relaxed), before, "the names of passive topics are not used");
        let footprint = worker.footprint().await.expect("the engine runs");
        let Footprint { topics, subscribers, subscriptions, .. } = footprint;
        assert_eq!((topics, subscribers, subscriptions), (0, 0, 3000));
        worker.shutdown().await;
    });
}

/// D18. The supervisor, which handles disconnections, does nothing for passive topics.
#[test]
fn a_disconnection_of_the_engine_takes_time_for_our_topics_only() {
    run(async {
        let (topics, peers): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid limits");
        let builder = Worker::builder(CountedNetwork::default(), limits).manual().arbiters(1);
        let ours = Counted::new(0, &topics);
        let Started { worker, p2p: _p2p, app: _app } = builder.start([ours]).expect("an actix system runs");
        let peer = Counted::new(1, &peers);
        worker.p2p_input(P2pInput::connected(peer.clone())).expect("the input is accepted");
        for topic in 0..1000 {
            let message = P2pMessage::subscribe(Counted::new(topic, &topics));
            worker.p2p_input(P2pInput::message(peer.clone(), message)).expect("the input is accepted");
        }
        worker.settle().await;
        assert_eq!(worker.footprint().await.expect("the engine runs").subscribers, 1);
        let before = topics.load(Relaxed);
        worker.p2p_input(P2pInput::Disconnection { peer }).expect("the input is accepted");
        worker.settle().await;
        let uses = topics.load(Relaxed) - before;
        assert!(uses < 100, "{uses} uses of names for a disconnection");
        let footprint = worker.footprint().await.expect("the engine runs");
        assert_eq!((footprint.subscribers, footprint.subscriptions), (0, 0));
        worker.shutdown().await;
    });
}

#[test]
fn queries_return_the_subscribers_and_backoffs_of_passive_topics() {
    run(async {
        let limits = changed(|limits| limits.extensions.ignore_unknown_grafts = false);
        let engine = start(manual(PlainNetwork::new(), limits), &["b"]);
        let send = |input| engine.worker.p2p_input(input).expect("the input is accepted");
        for peer in 1..=3 {
            send(connect(peer));
        }
        for (peer, topics) in [(1, vec!["a", "b", "c"]), (2, vec!["b", "d"]), (3, vec!["c"])] {
            topics.into_iter().for_each(|topic| send(subscribe(peer, topic)));
        }
        send(graft(1, "c"));
        send(graft(2, "e"));
        let named = |topic: &str, peers: &[u64]| (topic.to_owned(), peers.to_vec());
        let all = [named("a", &[1]), named("b", &[1, 2]), named("c", &[1, 3]), named("d", &[2])];
        let subscribers = async |page, joined_only| {
            engine.worker.subscribers(page, joined_only).await.expect("the engine runs")
        };
        let page = subscribers(Page::all(), false).await;
        assert_eq!((page.items.as_slice(), page.more), (all.as_slice(), false));
        assert_eq!(subscribers(Page::all(), true).await.items, all[1..2]);
        let page = subscribers(Page::first(2).after("a".to_owned()), false).await;
        assert_eq!((page.items.as_slice(), page.more), (&all[1..3], true));

        let backoffs = engine.worker.backoffs(Page::all()).await.expect("the engine runs").items;
        let backoffs: Vec<_> = backoffs.iter().map(|(topic, of)| (topic.as_str(), of[0].0)).collect();
        assert_eq!(backoffs, [("c", 1), ("e", 2)]);
        assert_eq!(engine.worker.state().await.expect("the engine runs").backoff.len(), 2);
        let status = async |peer, topic: &str| {
            engine.worker.peer_topic_status(&peer, &topic.to_owned()).await.expect("the engine runs")
        };
        let (one, two) = (status(1, "c").await.expect("known"), status(2, "e").await.expect("known"));
        assert!(one.subscribed && one.backed_off_until.is_some() && !one.joined);
        assert!(!two.subscribed && two.backed_off_until.is_some());
        assert!(status(3, "d").await.is_some_and(|status| !status.subscribed));
        assert_eq!(status(3, "f").await, None);

        // The topic that becomes active has its subscribers and their backoffs.
        engine.worker.app_input(join("c")).expect("the input is accepted");
        engine.worker.settle().await;
        let view = engine.worker.state().await.expect("the engine runs");
        assert_eq!(view.mesh["c"].iter().copied().collect::<Vec<_>>(), [3]);
        assert_eq!(subscribers(Page::all(), false).await.items, all);
        engine.worker.shutdown().await;
    });
}

/// The supervisor lists topics in parts, because each may have as many subscribers as there are connections.
#[test]
fn all_topics_with_many_subscribers_are_listed() {
    const PEERS: u64 = 70;
    const TOPICS: u64 = 1000;
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["t0500"]);
        for peer in 0..PEERS {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            for topic in 0..TOPICS {
                let input = subscribe(peer, &format!("t{topic:04}"));
                engine.worker.p2p_input(input).expect("the input is accepted");
            }
            engine.worker.settle().await;
        }
        let page = engine.worker.subscribers(Page::all(), false).await.expect("the engine runs");
        assert_eq!((page.items.len() as u64, page.more), (TOPICS, false));
        assert!(page.items.is_sorted());
        assert!(page.items.iter().all(|(_, peers)| peers.len() as u64 == PEERS));
        engine.worker.shutdown().await;
    });
}

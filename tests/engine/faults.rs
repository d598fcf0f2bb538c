//! These tests check what the engine does when a panic of the application's code is not contained where it is called.

use std::cmp::Ordering;

use actix_gossipsub::{
    EngineError, Network, P2pInput, Worker,
    plain::{PlainId, PlainNetwork},
    protocol::Event,
};

use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::support::*;

#[test]
fn a_panic_restarts_its_topic_only() {
    run(async {
        let (events, observer) = recorder();
        let mut engine = start(manual(FragileNetwork::default(), limits()).observer(observer), &["a", "b"]);
        for peer in [1, 2] {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "b")).expect("the input is accepted");
        }
        engine.worker.p2p_input(fragile_message(1, "b", 1)).expect("the input is accepted");
        engine.worker.settle().await;
        engine.worker.p2p_input(fragile_message(1, "a", POISON)).expect("the input is accepted");
        engine.worker.settle().await;
        engine.worker.p2p_input(fragile_message(1, "a", 2)).expect("the input is accepted");
        engine.worker.p2p_input(fragile_message(1, "b", 3)).expect("the input is accepted");
        engine.worker.settle().await;
        let mut delivered: Vec<_> =
            std::iter::from_fn(|| engine.app.try_recv()).map(|full| full.message_id.number).collect();
        delivered.sort_unstable();
        assert_eq!(delivered, [1, 2, 3]);
        let view = engine.worker.state().await.expect("the engine runs");
        assert!(view.mesh["a"].iter().eq([&1, &2]), "the topic is joined again, with its subscribers");
        let b: Vec<_> =
            view.seen.iter().filter(|seen| seen.topic == "b").map(|seen| seen.id.number).collect();
        assert_eq!(b.len(), 2, "the other topic lost nothing");
        assert_eq!(
            *events.lock().expect("the lock is not poisoned"),
            [Event::TopicRestarted { topic: "a".to_owned() }]
        );
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_heartbeat_continues_after_a_topic_is_restarted() {
    run(async {
        let engine = start(manual(FragileNetwork::default(), limits()), &["a", "b"]);
        for tick in 1..=3 {
            engine.worker.p2p_input(fragile_message(1, "a", POISON)).expect("the input is accepted");
            engine.worker.tick().await;
            assert_eq!(engine.worker.state().await.expect("the engine runs").heartbeat_ticks, tick);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_topic_that_panics_too_often_is_left() {
    run(async {
        let (events, observer) = recorder();
        let mut engine = start(manual(FragileNetwork::default(), limits()).observer(observer), &["a", "b"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        for _ in 0..6 {
            engine.worker.p2p_input(fragile_message(1, "a", POISON)).expect("the input is accepted");
            engine.worker.settle().await;
        }
        assert!(!engine.worker.is_subscribed(&"a".to_owned()));
        let given_up = Event::TopicGivenUp { topic: "a".to_owned() };
        assert_eq!(events.lock().expect("the lock is not poisoned").last(), Some(&given_up));
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert_eq!(sent_to(&outputs, 1, "a").last(), Some(&"unsubscribe"));
        engine.worker.p2p_input(fragile_message(1, "b", 1)).expect("the other topics run");
        engine.worker.app_input(join("a")).expect("the topic may be joined again");
        engine.worker.p2p_input(fragile_message(1, "a", 2)).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 2);
        engine.worker.shutdown().await;
    });
}

#[test]
fn an_observer_that_panics_does_not_stop_the_engine() {
    run(async {
        let observer = |_: &Event<PlainNetwork>| panic!("a panic that a test injects");
        let mut engine = start(manual(PlainNetwork::new(), limits()).observer(observer), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        engine.worker.tick().await;
        assert!(engine.app.try_recv().is_some());
        assert_eq!(engine.worker.state().await.expect("the engine runs").heartbeat_ticks, 1);
        engine.worker.shutdown().await;
    });
}

/// A point that panics when it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PanickingPoint;

impl PartialOrd for PanickingPoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PanickingPoint {
    fn cmp(&self, _: &Self) -> Ordering {
        panic!("a panic that a test injects")
    }
}

/// A network whose points panic when the supervisor compares them.
struct PanickingNetwork;

impl Network for PanickingNetwork {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = PanickingPoint;

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
}

#[test]
fn a_panic_of_the_supervisor_ends_both_streams_and_is_returned() {
    run(async {
        let builder = Worker::builder(PanickingNetwork, limits()).manual().arbiters(1);
        let mut engine = builder.start(["a".to_owned()]).expect("an actix system runs");
        (0..2).for_each(|_| engine.worker.set_unreachable_point(PanickingPoint));
        assert_eq!(engine.worker.wait_for_end().await, Err(EngineError::SupervisorPanicked));
        while engine.p2p.recv().await.is_some() {}
        assert!(engine.app.recv().await.is_none());
        assert!(engine.worker.p2p_input(P2pInput::connected(2)).is_err());
        engine.worker.shutdown().await;
    });
}

//! These tests check what the engine does when a hook of the application panics or fails.

use actix_gossipsub::{
    EngineError, Network, P2pInput, Validity, Worker,
    plain::{PlainId, PlainNetwork},
    protocol::Event,
};

use crate::support::*;

/// Panics at messages whose number is 13.
fn superstitious() -> PlainNetwork {
    PlainNetwork::with_validator(|delivery| {
        assert!(delivery.message.message_id.number != 13, "a fault that a test injects");
        Validity::Valid
    })
}

#[test]
fn a_panic_restarts_its_topic_and_no_other() {
    run(async {
        let (events, observer) = recorder();
        let mut engine = start(manual(superstitious(), limits()).observer(observer), &["a", "b"]);
        for peer in [1, 2] {
            engine.worker.p2p_input(connect(peer)).expect("taken");
            engine.worker.p2p_input(graft(peer, "a")).expect("taken");
            engine.worker.p2p_input(graft(peer, "b")).expect("taken");
        }
        engine.worker.p2p_input(message(1, "b", 1)).expect("taken");
        engine.worker.settle().await;
        engine.worker.p2p_input(message(1, "a", 13)).expect("taken");
        engine.worker.settle().await;
        engine.worker.p2p_input(message(1, "a", 2)).expect("taken");
        engine.worker.p2p_input(message(1, "b", 3)).expect("taken");
        engine.worker.settle().await;
        let mut delivered: Vec<_> =
            std::iter::from_fn(|| engine.app.try_recv()).map(|full| full.message_id.number).collect();
        delivered.sort_unstable();
        assert_eq!(delivered, [1, 2, 3]);
        let view = engine.worker.state().await.expect("it runs");
        assert!(view.mesh["a"].iter().eq([&1, &2]), "joined again, with its subscribers");
        let b: Vec<_> =
            view.seen.iter().filter(|seen| seen.topic == "b").map(|seen| seen.id.number).collect();
        assert_eq!(b.len(), 2, "the other topic lost nothing");
        assert_eq!(*events.lock().expect("not poisoned"), [Event::TopicRestarted { topic: "a".to_owned() }]);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_heartbeat_goes_on_after_a_topic_is_restarted() {
    run(async {
        let engine = start(manual(superstitious(), limits()), &["a", "b"]);
        for tick in 1..=3 {
            engine.worker.p2p_input(message(1, "a", 13)).expect("taken");
            engine.worker.tick().await;
            assert_eq!(engine.worker.state().await.expect("it runs").heartbeat_ticks, tick);
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_topic_that_panics_too_often_is_given_up() {
    run(async {
        let (events, observer) = recorder();
        let mut engine = start(manual(superstitious(), limits()).observer(observer), &["a", "b"]);
        engine.worker.p2p_input(connect(1)).expect("taken");
        for _ in 0..6 {
            engine.worker.p2p_input(message(1, "a", 13)).expect("taken");
            engine.worker.settle().await;
        }
        assert!(!engine.worker.is_subscribed(&"a".to_owned()));
        let given_up = Event::TopicGivenUp { topic: "a".to_owned() };
        assert_eq!(events.lock().expect("not poisoned").last(), Some(&given_up));
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        assert_eq!(said_to(&outputs, 1, "a").last(), Some(&"unsubscribe"));
        engine.worker.p2p_input(message(1, "b", 1)).expect("the others run");
        engine.worker.app_input(join("a")).expect("it may be tried again");
        engine.worker.p2p_input(message(1, "a", 2)).expect("taken");
        engine.worker.settle().await;
        assert_eq!(std::iter::from_fn(|| engine.app.try_recv()).count(), 2);
        engine.worker.shutdown().await;
    });
}

#[test]
fn an_observer_that_panics_stops_nobody() {
    run(async {
        let observer = |_: &Event<PlainNetwork>| panic!("a fault that a test injects");
        let mut engine = start(manual(PlainNetwork::new(), limits()).observer(observer), &["a"]);
        engine.worker.p2p_input(message(1, "a", 1)).expect("taken");
        engine.worker.tick().await;
        assert!(engine.app.try_recv().is_some());
        assert_eq!(engine.worker.state().await.expect("it runs").heartbeat_ticks, 1);
        engine.worker.shutdown().await;
    });
}

/// Does not know where peers are, and says so loudly.
struct Lost;

impl Network for Lost {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &PlainId) -> Option<String> {
        Some(id.topic.clone())
    }

    fn reachable_point(&self, _: &u64) -> Option<u64> {
        panic!("a fault that a test injects")
    }
}

#[test]
fn a_fault_of_the_supervisor_ends_both_streams_and_is_told() {
    run(async {
        let builder = Worker::builder(Lost, limits()).manual().arbiters(1);
        let mut engine = builder.start(["a".to_owned()]).expect("inside a system");
        engine.worker.p2p_input(P2pInput::connected(1)).expect("taken");
        assert_eq!(engine.worker.wait_for_end().await, Err(EngineError::SupervisorPanicked));
        while engine.p2p.recv().await.is_some() {}
        assert!(engine.app.recv().await.is_none());
        assert!(engine.worker.p2p_input(P2pInput::connected(2)).is_err());
        engine.worker.shutdown().await;
    });
}

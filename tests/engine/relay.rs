//! These tests relay topics, with and without joining them.

use std::thread;

use actix::Actor;
use actix_gossipsub::{
    AppInput, P2pOutput,
    messages::{Relay, StopRelay},
    plain::PlainNetwork,
};
use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::support::*;

fn relay<N: actix_gossipsub::Network<Topic = String>>(topic: &str) -> AppInput<N> {
    AppInput::Relay(topic.to_owned())
}

fn stop_relay<N: actix_gossipsub::Network<Topic = String>>(topic: &str) -> AppInput<N> {
    AppInput::StopRelay(topic.to_owned())
}

#[test]
fn a_relayed_topic_forwards_its_messages_and_delivers_them_only_while_it_is_joined() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = engine.worker.clone();
        let accept = |input| worker.app_input(input).expect("the engine runs");
        for peer in [1, 2] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker.p2p_input(subscribe(peer, "a")).expect("the input is accepted");
        }
        worker.settle().await;
        let mut number = 0;
        let mut after = async |input: AppInput<PlainNetwork>| {
            accept(input);
            number += 1;
            worker.p2p_input(message(1, "a", number)).expect("the input is accepted");
            worker.settle().await;
            let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
            let delivered = std::iter::from_fn(|| engine.app.try_recv()).count();
            let flags = (worker.is_relayed(&"a".to_owned()), worker.is_subscribed(&"a".to_owned()));
            (sent_to(&outputs, 2, "a"), delivered, flags)
        };
        assert_eq!(after(relay("a")).await, (vec!["subscribe", "graft", "message"], 0, (true, false)));
        assert_eq!(after(relay("a")).await, (vec!["message"], 0, (true, false)));
        assert_eq!(after(join("a")).await, (vec!["message"], 1, (true, true)));
        assert_eq!(after(stop_relay("a")).await, (vec!["message"], 1, (false, true)));
        assert_eq!(after(relay("a")).await, (vec!["message"], 1, (true, true)));
        assert_eq!(after(leave("a")).await, (vec!["message"], 0, (true, false)));
        assert_eq!(worker.mesh_of(&"a".to_owned()).await, Ok(Some(vec![1, 2])));
        let (left, ..) = after(stop_relay("a")).await;
        assert_eq!(left, ["prune", "unsubscribe"]);
        worker.shutdown().await;
    });
}

#[test]
fn a_subscription_of_a_relayed_topic_ends_with_its_reader_and_the_relay_goes_on() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = engine.worker.clone();
        worker.app_input(relay("a")).expect("the engine runs");
        worker.p2p_input(connect(1)).expect("the input is accepted");
        let mut messages = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 1)).expect("the input is accepted");
        assert!(messages.recv().await.is_some());
        worker.app_input(stop_relay("a")).expect("the engine runs");
        worker.app_input(relay("a")).expect("the engine runs");
        worker.p2p_input(message(1, "a", 2)).expect("the input is accepted");
        assert!(messages.recv().await.is_some());
        drop(messages);
        worker.settle().await;
        assert!(worker.is_relayed(&"a".to_owned()) && !worker.is_subscribed(&"a".to_owned()));
        assert_eq!(worker.mesh_of(&"a".to_owned()).await, Ok(Some(vec![])));
        worker.shutdown().await;
    });
}

#[test]
fn a_topic_that_panics_is_relayed_again_and_delivers_nothing_then() {
    run(async {
        let mut engine = start(manual(FragileNetwork::default(), limits()).arbiters(0), &[]);
        let worker = &engine.worker;
        worker.app_input(relay("a")).expect("the engine runs");
        for peer in [1, 2] {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
            worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        worker.settle().await;
        let poison = thread::spawn(|| fragile_message(1, "a", POISON)).join().expect("no panic");
        worker.p2p_input(poison).expect("the input is accepted");
        worker.settle().await;
        assert!(worker.is_relayed(&"a".to_owned()));
        worker.p2p_input(fragile_message(1, "a", 1)).expect("the input is accepted");
        worker.settle().await;
        assert!(engine.app.try_recv().is_none());
        let outputs: Vec<_> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        let to_second = sent_to(&outputs, 2, "a");
        assert_eq!(to_second.last(), Some(&"message"), "{to_second:?}");
        worker.shutdown().await;
    });
}

#[test]
fn a_relayed_topic_is_left_at_the_shutdown_and_actors_relay_by_messages() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &[]);
        let worker = engine.worker.clone();
        worker.p2p_input(connect(1)).expect("the input is accepted");
        let actor = worker.clone().start();
        for topic in ["a", "b"] {
            let relayed = actor.send(Relay::<PlainNetwork>(topic.to_owned())).await.expect("the actor runs");
            relayed.expect("the engine runs");
        }
        let stopped = actor.send(StopRelay::<PlainNetwork>("b".to_owned())).await.expect("the actor runs");
        stopped.expect("the engine runs");
        assert!(worker.is_relayed(&"a".to_owned()) && !worker.is_relayed(&"b".to_owned()));
        worker.shutdown().await;
        let outputs: Vec<P2pOutput<_>> = std::iter::from_fn(|| engine.p2p.try_recv()).collect();
        for topic in ["a", "b"] {
            assert_eq!(sent_to(&outputs, 1, topic), ["subscribe", "unsubscribe"]);
        }
    });
}

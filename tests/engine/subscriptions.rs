//! These tests check subscriptions to single topics: their messages go to a stream of their own, whose bound holds up this
//! topic only.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, FullMessage, Limits, LimitsConfig, P2pInput, P2pMessage, P2pOutput, Refused, Started,
    SubscribeError, SubscriptionConfig, TopicMessages, WhenFull, Worker, plain::PlainNetwork,
    protocol::EventKind,
};
use futures::{FutureExt, StreamExt};
use testkit::fragile::{FragileNetwork, POISON, fragile_message};

use crate::{recording::Recording, support::*};

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];
const REFUSALS: &str = "gossipsub_inputs_refused_total{reason=subscriber_behind}";
const DROPPED: &str = "gossipsub_deliveries_dropped_total{reason=queue_full}";
const UNREAD: &str = "gossipsub_deliveries_dropped_total{reason=unread}";

fn config(change: impl FnOnce(&mut SubscriptionConfig)) -> SubscriptionConfig {
    SubscriptionConfig::default().with(change)
}

fn subscribe_to(
    worker: &Worker<PlainNetwork>,
    topic: &str,
    change: impl FnOnce(&mut SubscriptionConfig),
) -> TopicMessages<PlainNetwork> {
    worker.subscribe_with(topic.to_owned(), config(change)).expect("the engine runs")
}

fn engine(limits: Limits<String>) -> (Recording, Started<PlainNetwork>) {
    let (recording, engine) = Recording::of(manual(PlainNetwork::new(), limits), []);
    engine.worker.p2p_input(connect(1)).expect("the input is accepted");
    (recording, engine)
}

fn numbers(stream: &mut TopicMessages<PlainNetwork>) -> Vec<u64> {
    std::iter::from_fn(|| stream.try_recv()).map(|message| message.message_id.number).collect()
}

#[test]
fn an_unread_topic_stops_itself_and_all_other_topics_deliver_everything() {
    const MESSAGES: u64 = 1_000;
    run(async {
        // The budget of the whole engine is far less than what is sent.
        let limits = changed(|limits| limits.bounds.max_output_items = 100);
        let (recording, Started { worker, p2p: _p2p, mut app }) = engine(limits);
        let unread = subscribe_to(&worker, "a", |c| c.max_items = 10);
        let mut read = ["b", "c"].map(|topic| subscribe_to(&worker, topic, |c| c.max_items = 10));
        worker.app_input(join("d")).expect("accepted");
        let (mut accepted, mut delivered) = ([0; 4], [0; 4]);
        for number in 0..MESSAGES {
            for (topic, accepted) in TOPICS.iter().zip(&mut accepted) {
                match worker.p2p_input(message(1, topic, number)) {
                    Ok(()) => *accepted += 1,
                    Err(refused) => {
                        assert_eq!((*topic, refused), ("a", Refused::SubscriberBehind { waiting: 10 }));
                        assert!(!refused.is_temporary(), "who waits holds up the other topics");
                    }
                }
            }
            worker.settle().await;
            for (stream, delivered) in read.iter_mut().zip(&mut delivered[1..]) {
                assert_eq!(numbers(stream), [number]);
                *delivered += 1;
            }
            assert_eq!(app.recv().await.expect("delivered").topic, "d", "no other topic is here");
            delivered[3] += 1;
        }
        assert_eq!(accepted, [10, MESSAGES, MESSAGES, MESSAGES]);
        assert_eq!(delivered[1..], [MESSAGES; 3]);
        assert_eq!((unread.len(), app.len()), (10, 0));
        assert_eq!(recording.count(REFUSALS), MESSAGES - 10);
        assert_eq!(recording.count(DROPPED), 0);
        worker.shutdown().await;
    });
}

#[test]
fn a_refused_message_is_not_remembered_and_accepted_when_the_subscriber_has_read() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        let mut topic = subscribe_to(&worker, "a", |c| c.max_items = 1);
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.settle().await;
        assert!(worker.p2p_input(message(1, "a", 2)).is_err());
        let sent = worker.send_p2p_input(message(1, "a", 2)).now_or_never();
        assert!(sent.expect("it does not wait").is_err());
        let mut ready = Box::pin(worker.p2p_input_ready(&message(1, "a", 2)));
        assert!(ready.as_mut().now_or_never().is_none());
        assert!(worker.p2p_input_ready(&message(1, "b", 2)).now_or_never().is_some());
        assert_eq!(numbers(&mut topic), [1]);
        ready.await;
        worker.p2p_input(message(1, "a", 2)).expect("accepted");
        worker.settle().await;
        assert_eq!(numbers(&mut topic), [2]);
        worker.shutdown().await;
    });
}

/// Otherwise each offer would lead to a download that is refused.
#[test]
fn what_an_unread_topic_would_refuse_is_not_requested() {
    run(async {
        let (recording, Started { worker, mut p2p, .. }) = engine(limits());
        let mut topic = subscribe_to(&worker, "a", |c| c.max_items = 1);
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.settle().await;
        let offer = || {
            let message_ids = vec![PlainNetwork::message("a", 2, "content").message_id];
            P2pInput::message(1, P2pMessage::IHave { topic: "a".to_owned(), message_ids })
        };
        let requests = |p2p: &mut actix_gossipsub::P2pOutputs<PlainNetwork>| {
            let outputs = std::iter::from_fn(|| p2p.try_recv());
            let is_request = |output: &P2pOutput<_>| {
                matches!(output, P2pOutput::OutMessage { message: P2pMessage::IWant { .. }, .. })
            };
            outputs.filter(is_request).count()
        };
        assert_eq!(worker.p2p_input(offer()), Err(Refused::SubscriberBehind { waiting: 1 }));
        worker.settle().await;
        assert_eq!((requests(&mut p2p), recording.count(REFUSALS)), (0, 1));
        assert_eq!(numbers(&mut topic), [1]);
        worker.p2p_input(offer()).expect("accepted");
        worker.settle().await;
        assert_eq!(requests(&mut p2p), 1);
        worker.shutdown().await;
    });
}

/// The stream that all topics share has no more room, and nothing of it is read.
#[test]
fn a_subscription_goes_on_while_the_shared_stream_is_full() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 3);
        let (_, Started { worker, p2p: _p2p, app }) = engine(limits);
        worker.app_input(join("d")).expect("accepted");
        let mut topic = worker.subscribe("a".to_owned()).expect("the engine runs");
        for number in 0..3 {
            worker.p2p_input(message(1, "d", number)).expect("accepted");
        }
        worker.settle().await;
        let refused = worker.p2p_input(message(1, "d", 3));
        assert_eq!(refused, Err(Refused::ApplicationBehind { waiting: 3 }));
        for number in 0..100 {
            worker.p2p_input(message(1, "a", number)).expect("accepted");
            worker.settle().await;
            assert_eq!(numbers(&mut topic), [number]);
        }
        assert_eq!(app.len(), 3);
        worker.shutdown().await;
    });
}

#[test]
fn a_subscription_that_drops_counts_what_it_drops_and_forwards_it() {
    run(async {
        let (recording, Started { worker, mut p2p, app }) = engine(limits());
        let mut topic = subscribe_to(&worker, "a", |c| (c.max_items, c.when_full) = (2, WhenFull::Drop));
        worker.p2p_input(connect(2)).expect("accepted");
        worker.settle().await;
        worker.p2p_input(graft(2, "a")).expect("accepted");
        for number in 0..5 {
            worker.p2p_input(message(1, "a", number)).expect("accepted");
        }
        worker.settle().await;
        assert_eq!((topic.len(), topic.dropped(), recording.count(DROPPED)), (2, 3, 3));
        assert_eq!(numbers(&mut topic), [0, 1]);
        let outputs: Vec<_> = std::iter::from_fn(|| p2p.try_recv()).collect();
        let forwarded = sent_to(&outputs, 2, "a").iter().filter(|kind| **kind == "message").count();
        assert_eq!(forwarded, 5);
        assert!(app.is_empty());
        worker.shutdown().await;
    });
}

#[test]
fn the_bytes_of_unread_messages_are_bounded_apart_from_the_budget_of_the_engine() {
    const SIZE: usize = 1_000;
    run(async {
        let limits = changed(|limits| limits.bounds.max_input_bytes = 64 * SIZE);
        let (_, Started { worker, .. }) = engine(limits);
        let large = |number| {
            let message = PlainNetwork::message("a", number, &"x".repeat(SIZE));
            P2pInput::message(1, P2pMessage::FullMessage(Arc::new(message)))
        };
        let mut topic = subscribe_to(&worker, "a", |c| c.max_bytes = 10 * SIZE);
        let mut accepted = 0;
        while worker.p2p_input(large(accepted)).is_ok() {
            worker.settle().await;
            accepted += 1;
        }
        assert!((5..=10).contains(&accepted), "{accepted}");
        // The last message exceeds the bound and counts for the engine.
        assert!(topic.bytes() >= 10 * SIZE && topic.bytes() < 12 * SIZE, "{}", topic.bytes());
        assert!(worker.message_budget().used() < 2 * SIZE, "{:?}", worker.message_budget());
        assert_eq!(numbers(&mut topic).len() as u64, accepted);
        assert_eq!((topic.bytes(), worker.message_budget().used()), (0, 0));
        worker.shutdown().await;
    });
}

#[test]
fn an_empty_subscription_takes_a_message_of_any_size() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        for when_full in [WhenFull::Refuse, WhenFull::Drop] {
            let mut topic = subscribe_to(&worker, "a", |c| (c.max_bytes, c.when_full) = (1, when_full));
            for number in [1, 2] {
                let number = number + 10 * (when_full == WhenFull::Drop) as u64;
                worker.p2p_input(message(1, "a", number)).expect("accepted");
                worker.settle().await;
                assert_eq!(numbers(&mut topic), [number]);
            }
        }
        worker.shutdown().await;
    });
}

#[test]
fn dropping_the_stream_leaves_the_topic_and_counts_what_is_unread() {
    run(async {
        let (recording, Started { worker, app, .. }) = engine(limits());
        let topic = worker.subscribe("a".to_owned()).expect("the engine runs");
        for number in 0..3 {
            worker.p2p_input(message(1, "a", number)).expect("accepted");
        }
        worker.settle().await;
        drop(topic);
        assert!(!worker.is_subscribed(&"a".to_owned()));
        worker.p2p_input(message(1, "a", 3)).expect("it is not refused");
        worker.settle().await;
        assert_eq!((recording.count(UNREAD), app.len()), (3, 0));
        let events = worker.events(0, 100).records;
        assert!(events.iter().any(|event| event.kind == EventKind::Left));
        // The topic can be subscribed to again.
        let mut again = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 4)).expect("accepted");
        worker.settle().await;
        assert_eq!(numbers(&mut again), [4]);
        worker.shutdown().await;
    });
}

#[test]
fn a_topic_can_stay_joined_without_its_subscription() {
    run(async {
        let (recording, Started { worker, mut app, .. }) = engine(limits());
        let topic = subscribe_to(&worker, "a", |c| (c.max_items, c.leave_on_drop) = (1, false));
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.settle().await;
        assert!(worker.p2p_input(message(1, "a", 2)).is_err());
        drop(topic);
        assert!(worker.is_subscribed(&"a".to_owned()));
        for number in 2..4 {
            worker.p2p_input(message(1, "a", number)).expect("accepted");
            worker.settle().await;
            assert_eq!(app.try_recv().expect("delivered").message_id.number, number);
        }
        assert_eq!(recording.count(UNREAD), 1);
        worker.shutdown().await;
    });
}

#[test]
fn a_leave_ends_the_stream_after_the_messages_before_it() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        let topic = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.app_input(leave("a")).expect("accepted");
        worker.p2p_input(message(1, "a", 2)).expect("accepted");
        let numbers: Vec<_> = topic.map(|message| message.message_id.number).collect().await;
        assert_eq!(numbers, [1]);
        worker.shutdown().await;
    });
}

#[test]
fn a_later_subscription_takes_the_place_of_the_former() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        let mut former = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        let mut later = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 2)).expect("accepted");
        assert_eq!(former.recv().await.expect("it is read").message_id.number, 1);
        assert_eq!(former.recv().await, None);
        drop(former);
        assert!(worker.is_subscribed(&"a".to_owned()), "the later one stays");
        assert_eq!(later.recv().await.expect("delivered").message_id.number, 2);
        worker.shutdown().await;
    });
}

#[test]
fn a_subscription_ends_with_the_engine_and_after_it_there_is_none() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        let mut topic = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.p2p_input(message(1, "a", 1)).expect("accepted");
        worker.shutdown().await;
        assert_eq!(topic.recv().await.map(|message| message.message_id.number), Some(1));
        assert_eq!(topic.recv().await, None);
        let refused = worker.subscribe("a".to_owned()).err();
        assert_eq!(refused, Some(SubscribeError::Refused(Refused::Stopped)));
    });
}

#[test]
fn a_subscription_without_room_is_an_error_that_names_the_fields() {
    run(async {
        let (_, Started { worker, .. }) = engine(limits());
        let config = config(|c| (c.max_items, c.max_bytes) = (0, 0));
        let Some(SubscribeError::Config(error)) = worker.subscribe_with("a".to_owned(), config).err() else {
            panic!("an error of the settings");
        };
        let fields: Vec<_> = error.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["max_items", "max_bytes"]);
        assert!(!worker.is_subscribed(&"a".to_owned()));
        worker.shutdown().await;
    });
}

#[test]
fn a_subscription_survives_a_panic_of_its_topic() {
    run(async {
        let engine = start(manual(FragileNetwork::default(), limits()), &[]);
        engine.worker.p2p_input(connect(1)).expect("accepted");
        let mut topic = engine.worker.subscribe("a".to_owned()).expect("the engine runs");
        for number in [1, POISON, 2] {
            engine.worker.p2p_input(fragile_message(1, "a", number)).expect("accepted");
            engine.worker.settle().await;
        }
        let received: Vec<_> = std::iter::from_fn(|| topic.try_recv()).collect();
        let numbers: Vec<_> = received.iter().map(|message| message.message_id.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(engine.app.is_empty());
        // The topic is given up after more panics, and the stream ends.
        for number in 1..=5 {
            engine.worker.p2p_input(fragile_message(1, "a", POISON + number)).expect("accepted");
            engine.worker.settle().await;
        }
        assert!(topic.recv().await.is_none());
        assert!(!engine.worker.is_subscribed(&"a".to_owned()));
        engine.worker.shutdown().await;
    });
}

/// With timers and several threads: a subscriber that reads one message at a time gets all that are accepted, in order.
#[test]
fn a_slow_subscriber_receives_what_was_accepted_in_order() {
    const MESSAGES: u64 = 2_000;
    run(async {
        let limits = Limits::try_from(LimitsConfig::default()).expect("valid");
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(2);
        let Started { worker, .. } = builder.start([]).expect("an actix system runs");
        let mut topic = subscribe_to(&worker, "a", |c| c.max_items = 8);
        worker.p2p_input(connect(1)).expect("accepted");
        let sender = actix::spawn({
            let worker = worker.clone();
            async move {
                for number in 0..MESSAGES {
                    while worker.p2p_input(message(1, "a", number)).is_err() {
                        worker.p2p_input_ready(&message(1, "a", number)).await;
                    }
                }
            }
        });
        for number in 0..MESSAGES {
            let next = tokio::time::timeout(Duration::from_secs(60), topic.recv()).await;
            assert_eq!(next.expect("in time").expect("the engine runs").message_id.number, number);
        }
        sender.await.expect("no panic");
        worker.shutdown().await;
    });
}

#[test]
fn own_publications_and_other_topics_do_not_go_to_a_subscription() {
    run(async {
        let (_, Started { worker, mut app, .. }) = engine(limits());
        let mut topic = worker.subscribe("a".to_owned()).expect("the engine runs");
        worker.app_input(join("b")).expect("accepted");
        let own: FullMessage<PlainNetwork> = PlainNetwork::message("a", 1, "content");
        worker.app_input(AppInput::Publish(own)).expect("accepted");
        worker.p2p_input(message(1, "b", 2)).expect("accepted");
        worker.settle().await;
        assert_eq!(numbers(&mut topic), Vec::<u64>::new());
        assert_eq!(app.try_recv().expect("delivered").message_id.number, 2);
        worker.shutdown().await;
    });
}

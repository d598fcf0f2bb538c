//! These tests subscribe to several topics of one connection: one that is not read, and one whose name is too long.

use std::time::Duration;

use actix_gossipsub::{
    AppInput, DropReason, Network, P2pInput, P2pMessage, Refused, SubscriptionConfig,
    libp2p::{EncodeError, Event, Keypair, Node, NodeEvent, NodeStartError, TopicName},
};
use tokio::sync::mpsc;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The peer is not read while the engine has no room. It must go on to be read while one topic has none.
#[test]
fn an_unread_topic_does_not_stop_the_other_topics_of_a_connection() {
    const MESSAGES: u64 = 200;
    const ROOM: usize = 2;
    actix_rt::System::new().block_on(async {
        let (refusals, mut refused) = mpsc::unbounded_channel();
        let (reader, _app) = Node::builder(Keypair::generate_ed25519())
            .listen("/ip4/127.0.0.1/tcp/0")
            .observer(move |event| match event {
                NodeEvent::Refused(_, reason) => drop(refusals.send(format!("{reason:?}"))),
                NodeEvent::Paused(..) => drop(refusals.send("paused".to_owned())),
                _ => {}
            })
            .start()
            .await
            .unwrap();
        let config = SubscriptionConfig::default().with(|c| c.max_items = ROOM);
        let unread = reader.worker().subscribe_with("unread".into(), config).unwrap();
        let mut read = reader.worker().subscribe("read".into()).unwrap();
        let (publisher, _app) = Node::builder(Keypair::generate_ed25519())
            .dial(reader.addresses()[0].clone())
            .topics(["unread", "read"])
            .start()
            .await
            .unwrap();
        for topic in ["unread", "read"] {
            publisher.wait_for_mesh(topic, 1).await.unwrap();
        }
        for number in 0..MESSAGES {
            for topic in ["unread", "read"] {
                let ticket = publisher.publish(topic, number.to_string()).unwrap();
                let report = ticket.completed().await;
                assert_eq!((report.sent, report.not_sent(DropReason::PeerQueueFull)), (1, 0));
            }
            let message = tokio::time::timeout(TIMEOUT, read.recv()).await.expect("the topic goes on");
            let message = message.expect("the engine runs");
            assert_eq!(message.message.data(), number.to_string().as_bytes());
            // The other topic may have been slower, and more than the room would be on the way.
            reader.worker().settle().await;
        }
        assert_eq!(unread.len(), ROOM);
        let reason = format!("{:?}", Refused::SubscriberBehind { waiting: ROOM });
        for _ in ROOM as u64..MESSAGES {
            assert_eq!(refused.try_recv().ok().as_ref(), Some(&reason));
        }
        assert!(refused.try_recv().is_err(), "no peer is paused");
        publisher.shutdown().await;
        reader.shutdown().await;
    });
}

/// The longest name that is sent and read.
const LONGEST: usize = 1_024;

/// The receiver of a name that is too long refuses the whole frame, and counts it as misbehaviour.
#[actix_rt::test]
async fn a_topic_with_a_name_that_is_too_long_keeps_no_other_one_from_a_peer() {
    const TOPICS: usize = 50;
    let (subscriptions, mut subscribed) = mpsc::unbounded_channel();
    let (reader, _app) = Node::builder(Keypair::generate_ed25519())
        .listen("/ip4/127.0.0.1/tcp/0")
        .observer(move |event| {
            if let NodeEvent::Input(P2pInput::InMessage { message, .. }) = event
                && let P2pMessage::Subscribe { topic, .. } = message
            {
                let _ = subscriptions.send(topic.clone());
            }
        })
        .start()
        .await
        .unwrap();
    let (errors, mut failed) = mpsc::unbounded_channel();
    let (writer, _app) = Node::builder(Keypair::generate_ed25519())
        .topics((0..TOPICS).map(|number| format!("topic-{number}")))
        .observer(move |event| {
            if let NodeEvent::Gossipsub(Event::EncodeFailed { error }) = event {
                let _ = errors.send(error.clone());
            }
        })
        .start()
        .await
        .unwrap();
    let join = |topic: &str| writer.worker().app_input(AppInput::Join(topic.into())).unwrap();
    let mut next = async || {
        let next = tokio::time::timeout(TIMEOUT, subscribed.recv()).await;
        next.expect("the other topics arrive").expect("the node runs")
    };
    join(&"x".repeat(LONGEST + 1));
    join("");
    writer.worker().settle().await;
    writer.handle().dial(reader.addresses()[0].clone()).await.unwrap();
    for _ in 0..TOPICS {
        assert!(next().await.as_str().starts_with("topic-"));
    }
    // While the peers are connected.
    join(&"y".repeat(LONGEST + 1));
    join(&"z".repeat(LONGEST));
    assert_eq!(next().await, TopicName::from("z".repeat(LONGEST)));
    let mut lengths = Vec::new();
    while lengths.len() < 3 {
        let error = tokio::time::timeout(TIMEOUT, failed.recv()).await.expect("three names are refused");
        let Some(EncodeError::BadTopic { length, max: LONGEST }) = error else { panic!("{error:?}") };
        lengths.push(length);
    }
    lengths.sort_unstable();
    assert_eq!(lengths, [0, LONGEST + 1, LONGEST + 1]);
    let stats = reader.network().transport_stats();
    assert_eq!((stats.bad_rpcs, stats.ignored_entries), (0, 0));
    // There is none before the first heartbeat.
    assert!(reader.worker().score(&writer.peer_id()).is_none_or(|score| score == 0.0));
    writer.shutdown().await;
    reader.shutdown().await;
}

#[actix_rt::test]
async fn a_node_does_not_start_with_a_topic_that_it_can_not_announce() {
    for name in [String::new(), "x".repeat(LONGEST + 1)] {
        let builder = Node::builder(Keypair::generate_ed25519()).topics(["news", &name]);
        let Err(error) = builder.start().await else { panic!("the node starts") };
        assert!(
            matches!(&error, NodeStartError::BadTopic { length, max: LONGEST } if *length == name.len()),
            "{error}"
        );
    }
}

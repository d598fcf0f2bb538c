//! This test subscribes to two topics of one connection and reads one of them.

use std::time::Duration;

use actix_gossipsub::{
    DropReason, Refused, SubscriptionConfig,
    libp2p::{Keypair, Node, NodeEvent},
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

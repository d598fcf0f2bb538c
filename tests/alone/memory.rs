//! These tests fill an engine's memory at once: all parts that hold messages with messages of 1 MiB, and the maps of ids, names
//! and backoffs with long and repeated ones; and what depends on the number of connections and topics, with many of both. They
//! compare the heap with the bound that the engine states.

use std::{future::pending, sync::Arc};

use actix_gossipsub::{
    AppInput, BoxFuture, ConnectionInfo, Limits, LimitsConfig, P2pInput, P2pMessage, Refused, Started,
    SubscriptionConfig, Validity, Worker, plain::PlainNetwork, protocol::Footprint,
};

use crate::{lock_process, spam::HEAP};

const MIB: usize = 1024 * 1024;
const PEERS: u64 = 8;
/// A topic of which messages are delivered, one whose messages wait for a verdict, one of invalid messages, one with a mesh, three
/// with subscriptions that are not read, and four on which this node publishes and that no peer is subscribed to.
const TOPICS: [&str; 11] = [
    "valid", "pending", "invalid", "mesh", "unread-1", "unread-2", "unread-3", "alone-1", "alone-2",
    "alone-3", "alone-4",
];

/// Small limits for everything but messages.
fn limits() -> Limits<String> {
    let config = LimitsConfig::default().with(|limits| {
        // Refused GRAFTs of unknown topics are remembered.
        limits.extensions.ignore_unknown_grafts = false;
        let bounds = &mut limits.bounds;
        // They count for `max_input_bytes`, which this test fills.
        bounds.max_validating_bytes = usize::MAX;
        bounds.max_validating_bytes_per_topic = usize::MAX;
        bounds.max_history_bytes = 64 * MIB;
        bounds.max_seen_bytes = MIB;
        bounds.max_backoff_bytes = MIB / 4;
        bounds.max_peer_id_bytes = MIB / 4;
        bounds.max_topic_name_bytes = MIB / 4;
        bounds.max_retained_scores = 100;
        bounds.max_idle_topics = 100;
        bounds.max_unreachable = 100;
        bounds.max_promises_per_topic = 100;
        bounds.max_decisions = 100;
        bounds.max_input_items = 1000;
        bounds.max_subscribed_items = 1000;
        bounds.max_subscribed_bytes = 24 * MIB;
        bounds.max_unread_events = 100;
        bounds.max_invalid_bytes_per_topic = 16 * MIB;
        limits.extensions.max_idontwant_per_heartbeat = 100;
        limits.max_topics_per_peer = 100;
    });
    Limits::try_from(config).expect("valid limits")
}

fn network() -> PlainNetwork {
    PlainNetwork::with_async_validator(|delivery| -> BoxFuture<Validity> {
        match &*delivery.message.topic {
            "pending" => Box::pin(pending()),
            "invalid" => Box::pin(async { Validity::Invalid }),
            _ => Box::pin(async { Validity::Valid }),
        }
    })
}

struct Filling {
    engine: Started<PlainNetwork>,
    next: u64,
}

impl Filling {
    /// Lets the engine handle everything; messages that wait for a verdict are not waited for.
    async fn run(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    fn content(&mut self) -> String {
        self.next += 1;
        "x".repeat(MIB)
    }

    /// Sends messages of all peers on a topic, until `most` or until one is refused.
    async fn receive(&mut self, topic: &str, most: usize) -> Option<Refused> {
        for _ in 0..most {
            let content = self.content();
            let message = PlainNetwork::message(topic, self.next, &content);
            drop(content);
            let message = P2pMessage::FullMessage(Arc::new(message));
            if let Err(refused) = self.engine.worker.p2p_input(P2pInput::message(self.next % PEERS, message))
            {
                return Some(refused);
            }
            self.run().await;
        }
        None
    }

    /// Each peer declines ids, subscribes to topics that nobody has, and grafts others. Names and ids are long, and are repeated.
    async fn spam(&mut self) {
        let worker = self.engine.worker.clone();
        for number in 0..200_u64 {
            for peer in 0..PEERS {
                let name = format!("{}-{number}", "n".repeat(1000));
                let id = |number| PlainNetwork::message(&name, number, "").message_id;
                let message_ids = (0..20).map(|_| id(number % 2)).collect();
                let inputs = [
                    P2pMessage::IDontWant { message_ids },
                    P2pMessage::subscribe(name.clone()),
                    P2pMessage::Graft { topic: format!("{name}-{peer}") },
                ];
                for input in inputs {
                    // What has no room is refused or ignored.
                    let _ = worker.p2p_input(P2pInput::message(peer, input));
                }
            }
            self.run().await;
        }
        let footprint = worker.footprint().await.expect("the engine runs");
        for (map, size) in footprint.maps() {
            let filled = ["backoffs_bytes", "subscriptions_bytes", "peer_ids_bytes"].contains(&map);
            assert!(!filled || size > 0, "{map} is empty");
        }
    }

    async fn publish(&mut self, topic: &str, most: usize) -> Option<Refused> {
        for _ in 0..most {
            let content = self.content();
            let message = PlainNetwork::message(topic, self.next, &content);
            drop(content);
            if let Err(refused) = self.engine.worker.app_input(AppInput::Publish(message)) {
                return Some(refused);
            }
            self.run().await;
        }
        None
    }
}

#[test]
fn a_full_engine_uses_most_of_the_memory_that_it_states_and_never_more() {
    let _alone = lock_process();
    actix::System::new().block_on(async {
        let limits = limits();
        let bound = Footprint::bytes_at_most::<PlainNetwork>(&limits, PEERS as usize, TOPICS.len());
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let builder = Worker::builder(network(), limits).arbiters(0).manual();
        let engine = builder.start(TOPICS.map(str::to_owned)).expect("a system");
        let mut filling = Filling { engine, next: 0 };
        for peer in 0..PEERS {
            filling.engine.worker.p2p_input(P2pInput::connected(peer)).expect("the input is accepted");
        }
        let graft = P2pMessage::Graft { topic: "mesh".to_owned() };
        filling.engine.worker.p2p_input(P2pInput::message(0, graft)).expect("the input is accepted");
        filling.run().await;

        filling.spam().await;
        assert_eq!(
            filling.receive("invalid", 40).await,
            None,
            "an invalid message is not kept for the streams"
        );
        for topic in TOPICS.iter().filter(|topic| topic.starts_with("alone")) {
            assert_eq!(
                filling.publish(topic, 60).await,
                None,
                "what is sent to no peer is only in the history"
            );
        }
        // The history is full of other messages.
        let unread = ["unread-1", "unread-2", "unread-3"].map(|topic| {
            let config = SubscriptionConfig::default().with(|config| config.max_bytes = usize::MAX);
            filling.engine.worker.subscribe_with(topic.to_owned(), config).expect("valid settings")
        });
        for topic in &unread {
            let refused = filling.receive(topic.topic(), 100).await;
            assert!(matches!(refused, Some(Refused::SubscriberBehind { .. })), "{refused:?}");
        }
        let refused = filling.receive("valid", 100).await;
        assert!(matches!(refused, Some(Refused::ApplicationBehind { .. })), "{refused:?}");
        // The full stream refuses all full messages. With one less there is room for those without a verdict.
        assert!(filling.engine.app.try_recv().is_some());
        let refused = filling.receive("pending", 100).await;
        assert!(
            matches!(refused, Some(Refused::TooManyBytes { .. } | Refused::PeerOverShare { .. })),
            "{refused:?}"
        );
        let refused = filling.publish("mesh", 100).await;
        assert!(matches!(refused, Some(Refused::TooManyBytes { .. })), "{refused:?}");

        let used = HEAP.current_usage() - before;
        let peak = HEAP.peak_usage() - before;
        println!("{used} bytes in use, {peak} at the peak, of {} stated: {bound:?}", bound.total());
        assert!(peak <= bound.total(), "{peak} bytes, above {bound:?}");
        assert!(used * 4 >= bound.total() * 3, "{used} bytes are less than three quarters of {bound:?}");

        drop((unread, filling));
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let kept = HEAP.current_usage().saturating_sub(before);
        assert!(kept < MIB, "{kept} bytes are kept after the end");
    });
}

/// Each peer subscribes to all topics, is in all meshes and has counters in each topic. There are no messages, no other topics, and
/// no retained scores.
#[test]
fn many_connections_and_topics_use_no_more_memory_than_is_stated_for_them() {
    const CONNECTIONS: u64 = 1024;
    const TOPICS: usize = 100;
    let _alone = lock_process();
    actix::System::new().block_on(async {
        let config = LimitsConfig::default().with(|limits| {
            limits.max_topics_per_peer = 1;
            limits.bounds.max_topic_name_bytes = MIB;
            limits.bounds.max_retained_scores = 1;
            limits.bounds.max_idle_topics = 1;
            limits.bounds.max_promises_per_topic = 1;
        });
        let limits = Limits::try_from(config).expect("valid limits");
        let bound = Footprint::bytes_at_most::<PlainNetwork>(&limits, CONNECTIONS as usize, TOPICS);
        let topic = |number: usize| format!("{number:0100}");
        let topics: Vec<_> = (0..TOPICS).map(topic).collect();
        let before = HEAP.current_usage();
        let builder = Worker::builder(PlainNetwork::new(), limits).arbiters(0).manual();
        let Started { worker, mut p2p, app: _app } = builder.start(topics.clone()).expect("a system");
        worker.settle().await;
        let empty = HEAP.current_usage() - before;
        for peer in 0..CONNECTIONS {
            // Outbound: a mesh takes any number of them until the next heartbeat.
            let info = ConnectionInfo::outbound();
            worker.p2p_input(P2pInput::NewConnection { peer, info }).expect("the input is accepted");
            for topic in &topics {
                let graft = P2pMessage::Graft { topic: topic.clone() };
                worker.p2p_input(P2pInput::message(peer, graft)).expect("the input is accepted");
            }
            worker.settle().await;
            // The transport reads.
            while p2p.try_recv_batch().is_some() {}
        }
        let footprint = worker.footprint().await.expect("the engine runs");
        let all = CONNECTIONS as usize * TOPICS;
        assert_eq!((footprint.subscriptions, footprint.subscribers, footprint.mesh), (all, all, all));
        let used = HEAP.current_usage() - before;
        let stated = bound.connections + bound.subscriptions + bound.scores + bound.topics;
        println!("{used} bytes in use, {empty} of them without connections, of {stated} stated: {bound:?}");
        assert!(used - empty <= stated, "{used} bytes, above {bound:?}");
        assert!(used * 4 >= stated, "{used} bytes are less than a quarter of {bound:?}");
        worker.shutdown().await;
    });
}

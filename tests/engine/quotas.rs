//! These tests check that the quotas of a peer hold over topics that run on different threads at the same time.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex},
    time::Duration,
};

use actix_gossipsub::{
    Network, P2pInput, P2pMessage, P2pOutput, PeerAction, Worker,
    plain::{PlainId, PlainNetwork},
};

use crate::support::{changed, connect, manual, publish, run, start};

/// The number of ids that are requested from a peer within a heartbeat.
const MAX_IDS: u32 = 10;
/// The threads that handle an IHAVE wait this long for each other.
const OVERLAP: Duration = Duration::from_millis(200);

/// A network whose filter returns when the IHAVEs of two topics are handled at the same time, or after [`OVERLAP`].
#[derive(Default)]
struct Overlapping {
    topics: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Network for Overlapping {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

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

    fn peer_filter(&self, _: &u64, action: PeerAction<'_, Self>) -> bool {
        if let PeerAction::IHave(id) = action {
            let mut topics = self.topics.lock().expect("the lock is not poisoned");
            topics.insert(id.topic.clone());
            self.changed.notify_all();
            let alone = |topics: &mut BTreeSet<String>| topics.len() < 2;
            let waited = self.changed.wait_timeout_while(topics, OVERLAP, alone);
            waited.expect("the lock is not poisoned").0.insert("both".to_owned());
        }
        true
    }
}

#[test]
fn topics_on_two_threads_together_request_no_more_ids_than_the_quota() {
    run(async {
        let limits = changed(|limits| limits.max_sent_iwant_per_heartbeat = MAX_IDS);
        let builder = Worker::builder(Overlapping::default(), limits).manual().arbiters(2).seed(1);
        let mut engine = builder.start(["a".to_owned(), "b".to_owned()]).expect("inside a system");
        engine.worker.p2p_input(P2pInput::connected(1)).expect("the input is accepted");
        engine.worker.settle().await;
        for topic in ["a", "b"] {
            let topic = topic.to_owned();
            let id = |number| PlainId { topic: topic.clone(), number };
            let message_ids = (0..u64::from(MAX_IDS)).map(id).collect();
            let ihave = P2pMessage::IHave { topic, message_ids };
            engine.worker.p2p_input(P2pInput::message(1, ihave)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let outputs = std::iter::from_fn(|| engine.p2p.try_recv());
        let requested = outputs.map(|output| match output {
            P2pOutput::OutMessage { message: P2pMessage::IWant { message_ids }, .. } => message_ids.len(),
            _ => 0,
        });
        assert_eq!(requested.sum::<usize>(), MAX_IDS as usize);

        // A heartbeat resets the quota.
        engine.worker.tick().await;
        assert_eq!(engine.worker.footprint().await.expect("it runs").heartbeat_quotas, 0);
        engine.worker.shutdown().await;
    });
}

#[test]
fn the_topics_of_a_peer_together_answer_no_more_bytes_than_the_quota() {
    run(async {
        let limits = changed(|limits| limits.extensions.max_iwant_bytes_per_heartbeat = 1);
        let mut engine = start(manual(PlainNetwork::default(), limits), &["a", "b"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        let id = |topic, number| PlainNetwork::message(topic, number, "").message_id;
        for topic in ["a", "b"] {
            for number in 0..3 {
                engine.worker.app_input(publish(topic, number)).expect("the input is accepted");
            }
        }
        engine.worker.settle().await;
        for heartbeat in 0..2 {
            let message_ids = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)];
            let message_ids = message_ids.map(|(topic, number)| id(topic, number)).to_vec();
            let iwant = P2pMessage::IWant { message_ids };
            engine.worker.p2p_input(P2pInput::message(1, iwant)).expect("the input is accepted");
            engine.worker.settle().await;
            let outputs = std::iter::from_fn(|| engine.p2p.try_recv());
            let is_answer = |output: &P2pOutput<PlainNetwork>| {
                matches!(output, P2pOutput::OutMessage { message: P2pMessage::FullMessage(_), .. })
            };
            assert_eq!(outputs.filter(is_answer).count(), 1, "in heartbeat {heartbeat}");
            engine.worker.tick().await;
        }
    });
}

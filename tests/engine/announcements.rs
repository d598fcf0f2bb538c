//! These tests check how joined topics are announced, and that control messages are bound to their connection: an
//! announcement is one queued item, and nothing of a closed connection reaches the next one.

use std::collections::{BTreeMap, BTreeSet};

use actix_gossipsub::{Limits, P2pMessage, P2pOutput, Started, plain::PlainNetwork};

use crate::{recording::Recording, support::*};

const DROPPED: &str = "gossipsub_outputs_dropped_total{lane=control,reason=disconnected}";
const SUBSCRIBES: &str = "gossipsub_rpc_sent_total{type=subscribe}";

fn read(engine: &mut Started<PlainNetwork>) -> Vec<Output> {
    std::iter::from_fn(|| engine.p2p.try_recv()).collect()
}

/// The outputs by recipient.
fn by_peer(outputs: Vec<Output>) -> BTreeMap<u64, Vec<P2pMessage<PlainNetwork>>> {
    let mut by_peer = BTreeMap::<_, Vec<_>>::new();
    for output in outputs {
        let P2pOutput::OutMessage { to_peer, message } = output else {
            panic!("{output:?} is not a message")
        };
        by_peer.entry(to_peer).or_default().push(message);
    }
    by_peer
}

/// An engine that has joined `topics` topics, whose announcements are read.
async fn with_topics(
    topics: usize,
    limits: Limits<String>,
) -> (Recording, Started<PlainNetwork>, Vec<String>) {
    let topics: Vec<_> = (0..topics).map(|topic| format!("t{topic:04}")).collect();
    let (recording, mut engine) = Recording::of(manual(PlainNetwork::new(), limits), topics.clone());
    engine.worker.settle().await;
    assert_eq!(read(&mut engine), [], "no peer is connected");
    assert_eq!(engine.p2p.len(), 0);
    (recording, engine, topics)
}

#[test]
fn the_announcement_of_all_topics_to_a_new_peer_is_one_item() {
    run(async {
        let (recording, mut engine, topics) = with_topics(1000, limits()).await;
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(engine.p2p.len(), 1);
        // A connection that is reported again is announced nothing.
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(engine.p2p.len(), 1);
        assert_eq!(recording.count(SUBSCRIBES), 0, "they are counted when their number is known");
        let expected: Vec<Output> = topics
            .iter()
            .map(|topic| P2pOutput::OutMessage { to_peer: 1, message: P2pMessage::subscribe(topic.clone()) })
            .collect();
        // Items and batches are read in turn.
        assert_eq!(engine.p2p.try_recv().as_ref(), expected.first());
        assert_eq!(engine.p2p.len(), 999);
        let batch = engine.p2p.try_recv_batch().expect("the announcement goes on");
        assert_eq!(batch.into_iter().next().as_ref(), expected.get(1));
        assert_eq!(read(&mut engine), expected[2..]);
        assert_eq!(recording.count(SUBSCRIBES), 1000);
        // A join is one item for all peers.
        for peer in 2..=50 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        engine.worker.settle().await;
        read(&mut engine);
        engine.worker.app_input(join("new")).expect("the input is accepted");
        engine.worker.settle().await;
        assert_eq!(engine.p2p.len(), 1);
        let announced = by_peer(read(&mut engine));
        assert_eq!(announced.len(), 50);
        let new = [P2pMessage::subscribe("new".to_owned())];
        assert!(announced.values().all(|messages| messages == &new));
        engine.worker.shutdown().await;
    });
}

#[test]
fn the_control_messages_of_closed_connections_are_removed_while_nobody_reads() {
    run(async {
        const LIMIT: usize = 100;
        let limits = changed(|limits| {
            limits.bounds.max_output_items = LIMIT;
            limits.extensions.ignore_unknown_grafts = false;
        });
        let (recording, mut engine, topics) = with_topics(1000, limits).await;
        let mut queued = 0;
        for number in 0..200 {
            let peer = number % 20;
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            // A full queue refuses them.
            for topic in ["x", "y"] {
                let _ = engine.worker.p2p_input(graft(peer, topic));
            }
            engine.worker.settle().await;
            queued = queued.max(engine.p2p.len());
            if number < 190 {
                engine.worker.p2p_input(disconnect(peer)).expect("the input is accepted");
            }
        }
        engine.worker.settle().await;
        // Ten connections need at most three items each.
        assert!(queued <= LIMIT + 1, "{queued} items were queued");
        assert!(recording.count(DROPPED) >= 100, "{} items were removed", recording.count(DROPPED));
        let received = by_peer(read(&mut engine));
        assert_eq!(received.keys().copied().collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
        for messages in received.values() {
            let subscribed = messages.iter().filter_map(|message| match message {
                P2pMessage::Subscribe { topic, .. } => Some(topic),
                _ => None,
            });
            assert!(subscribed.eq(&topics));
            assert!(messages.len() <= topics.len() + 2, "the announcement and two PRUNEs");
        }
        engine.worker.shutdown().await;
    });
}

#[test]
fn control_messages_of_a_connection_never_reach_the_next_one() {
    run(async {
        let limits = changed(|limits| {
            limits.heartbeat_ping_interval = 1;
            limits.extensions.ignore_unknown_grafts = false;
        });
        let (recording, mut engine, _) = with_topics(1, limits).await;
        for input in [connect(1), subscribe(1, "t0000"), graft(1, "unknown")] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        engine.worker.tick().await;
        engine.worker.settle().await;
        // The announcement, a PRUNE, a ping and a GRAFT.
        let queued = engine.p2p.len();
        assert_eq!(queued, 4);
        for input in [disconnect(1), connect(1)] {
            engine.worker.p2p_input(input).expect("the input is accepted");
        }
        engine.worker.settle().await;
        let subscribe = P2pMessage::subscribe("t0000".to_owned());
        assert_eq!(by_peer(read(&mut engine)), BTreeMap::from([(1, vec![subscribe])]));
        assert_eq!(recording.count(DROPPED), queued as u64);
        engine.worker.shutdown().await;
    });
}

#[test]
fn peers_know_the_joined_topics_whenever_they_connect_and_the_stream_is_read() {
    run(async {
        let mut engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.settle().await;
        let steps =
            [("join b", 1), ("leave a", 2), ("join c", 3), ("leave b", 4), ("join a", 5), ("join b", 6)];
        // Bit `n` of `reads`: the stream is read after step `n`.
        for reads in 0..1_u64 << steps.len() {
            let mut known = BTreeMap::<u64, BTreeSet<String>>::new();
            for (number, (command, peer)) in steps.iter().enumerate() {
                engine.worker.p2p_input(connect(*peer)).expect("the input is accepted");
                let (kind, topic) = command.split_once(' ').expect("two words");
                let input = if kind == "join" { join(topic) } else { leave(topic) };
                engine.worker.app_input(input).expect("the input is accepted");
                engine.worker.settle().await;
                if reads >> number & 1 == 1 {
                    learn(&mut known, read(&mut engine));
                }
            }
            learn(&mut known, read(&mut engine));
            let all: BTreeSet<_> = ["a", "b", "c"].map(str::to_owned).into();
            assert_eq!(known, (1..=6).map(|peer| (peer, all.clone())).collect(), "reads: {reads:b}");
            for topic in ["b", "c"] {
                engine.worker.app_input(leave(topic)).expect("the input is accepted");
            }
            for peer in 1..=6 {
                engine.worker.p2p_input(disconnect(peer)).expect("the input is accepted");
            }
            engine.worker.settle().await;
            assert_eq!(read(&mut engine), []);
        }
        engine.worker.shutdown().await;
    });
}

/// What each peer learns from these outputs. None repeats what the peer knows.
fn learn(known: &mut BTreeMap<u64, BTreeSet<String>>, outputs: Vec<Output>) {
    for (peer, messages) in by_peer(outputs) {
        let topics = known.entry(peer).or_default();
        for message in messages {
            let is_new = match &message {
                P2pMessage::Subscribe { topic, .. } => topics.insert(topic.clone()),
                P2pMessage::Unsubscribe { topic } => topics.remove(topic),
                _ => true,
            };
            assert!(is_new, "{message} to {peer}, which knows {topics:?}");
        }
    }
}

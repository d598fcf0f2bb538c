//! Messages that are published together, by an engine whose topics run on several threads.

use std::collections::BTreeSet;

use actix_gossipsub::{P2pMessage, P2pOutput, Refused, RouteResult, plain::PlainNetwork};
use testkit::fragile::{FragileNetwork, POISON};

use crate::support::*;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const PEERS: u64 = 4;

fn connect_all<N: actix_gossipsub::Network<Peer = u64, Topic = String>>(
    worker: &actix_gossipsub::Worker<N>,
    topics: &[&str],
) {
    for peer in 1..=PEERS {
        worker.p2p_input(connect(peer)).expect("the input is accepted");
        for topic in topics {
            worker.p2p_input(graft(peer, topic)).expect("the input is accepted");
        }
    }
}

#[test]
fn the_first_copies_of_a_batch_leave_before_the_second_ones_whatever_its_topics() {
    run(async {
        for round in 0..20 {
            let mut engine = start(manual(PlainNetwork::new(), limits()), &TOPICS);
            let worker = &engine.worker;
            connect_all(worker, &TOPICS);
            worker.settle().await;
            while engine.p2p.try_recv().is_some() {}
            let messages = (0..12).map(|number| {
                PlainNetwork::message(TOPICS[(number as usize + round) % TOPICS.len()], number, "content")
            });
            let tickets = worker.publish_batch(messages).expect("there is room");
            worker.settle().await;
            for ticket in &tickets {
                let report = ticket.report();
                assert_eq!((report.routed, report.queued), (Some(RouteResult::Queued), PEERS as usize));
            }
            let mut sent = Vec::new();
            while let Some(output) = engine.p2p.try_recv() {
                if let P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(full) } = output {
                    sent.push((to_peer, full.message_id.number));
                }
            }
            assert_eq!(sent.len(), 12 * PEERS as usize);
            let first: BTreeSet<_> = sent[..12].iter().map(|(_, number)| *number).collect();
            assert_eq!(first, (0..12).collect(), "{sent:?}");
            let distinct: BTreeSet<_> = sent.iter().collect();
            assert_eq!(distinct.len(), sent.len());
            engine.worker.shutdown().await;
        }
    });
}

#[test]
fn a_batch_for_which_there_is_no_room_is_not_published_at_all() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_input_items = 4);
        let mut engine = start(manual(PlainNetwork::new(), limits).arbiters(0), &["a"]);
        connect_all(&engine.worker, &["a"]);
        engine.worker.settle().await;
        let batch = |numbers: std::ops::Range<u64>| {
            numbers.map(|number| PlainNetwork::message("a", number, "content"))
        };
        let refused = engine.worker.publish_batch(batch(0..5)).err();
        assert!(matches!(refused, Some(Refused::TooManyInputs { .. })), "{refused:?}");
        let tickets = engine.worker.publish_batch(batch(0..4)).expect("there is room");
        engine.worker.settle().await;
        assert!(tickets.iter().all(|ticket| ticket.report().routed == Some(RouteResult::Queued)));
        assert!(engine.worker.publish_batch([]).expect("there is room").is_empty());
        while engine.p2p.try_recv().is_some() {}
        engine.worker.shutdown().await;
        assert_eq!(engine.worker.publish_batch(batch(5..6)).err(), Some(Refused::Stopped));
    });
}

#[test]
fn the_other_messages_of_a_batch_are_sent_if_a_topic_panics_at_one() {
    run(async {
        let mut engine = start(manual(FragileNetwork::default(), limits()), &["a", "b"]);
        let worker = &engine.worker;
        connect_all(worker, &["a", "b"]);
        worker.settle().await;
        // The one that panics on the threads of the engine is in the middle.
        let messages = [("a", 1), ("a", POISON), ("b", 2)];
        let messages = messages.map(|(topic, number)| FragileNetwork::message(topic, number, "content"));
        let tickets = worker.publish_batch(messages).expect("there is room");
        worker.settle().await;
        let routes: Vec<_> = tickets.iter().map(|ticket| ticket.report().routed).collect();
        assert_eq!(routes, [RouteResult::Queued, RouteResult::Lost, RouteResult::Queued].map(Some));
        let mut sent = BTreeSet::new();
        while let Some(output) = engine.p2p.try_recv() {
            if let P2pOutput::OutMessage { to_peer, message: P2pMessage::FullMessage(full) } = output {
                sent.insert((to_peer, full.message_id.number));
            }
        }
        assert_eq!(sent, (1..=PEERS).flat_map(|peer| [(peer, 1), (peer, 2)]).collect());
        engine.worker.shutdown().await;
    });
}

//! These tests check what the application reports about peers outside of validation.

use actix_gossipsub::{
    PeerFeedback,
    plain::PlainNetwork,
    protocol::{EventKind, Node, NodeOptions, PeerDecision, Penalty, Timestamp},
};

use crate::{recording::Recording, support::*};

/// As for a message: the score parameters of the topic, the event log and the metrics.
#[test]
fn feedback_of_the_application_changes_p2_and_p4_as_a_message_does() {
    run(async {
        let builder = manual(PlainNetwork::new(), limits());
        let (recording, engine) = Recording::of(builder, ["a".to_owned()]);
        let worker = &engine.worker;
        for peer in 1..=3 {
            worker.p2p_input(connect(peer)).expect("the input is accepted");
        }
        // The first message of a peer, for comparison.
        worker.p2p_input(message(3, "a", 1)).expect("the input is accepted");
        worker.report_peer_feedback(&1, &"a".to_owned(), PeerFeedback::FirstDelivery);
        worker.report_peer_feedback(&2, &"a".to_owned(), PeerFeedback::InvalidMessage);
        worker.report_peer_feedback(&2, &"a".to_owned(), PeerFeedback::InvalidMessage);
        // A peer without a score.
        worker.report_peer_feedback(&4, &"unknown".to_owned(), PeerFeedback::FirstDelivery);
        worker.settle().await;
        let view = worker.state().await.expect("the engine runs");
        let counters = |peer| format!("{:?}", view.scores[&peer].topics["a"]);
        assert_eq!(counters(1), counters(3));
        assert_eq!(view.scores[&1].topics["a"].first, 1.0);
        assert_eq!((view.scores[&2].topics["a"].invalid, view.scores[&2].score), (2.0, -4.0));
        assert!(!view.scores.contains_key(&4));
        assert_eq!(recording.count("gossipsub_score_penalties_total{reason=invalid_message}"), 2);
        let record = worker.decisions_about(&2).pop().expect("a record");
        let kind = EventKind::Decided(PeerDecision::Penalised(Penalty::InvalidMessage));
        assert_eq!((record.kind, record.count), (kind, 2));
        assert_eq!(record.topic.as_deref(), Some("a"));
        worker.shutdown().await;
    });
}

#[test]
fn a_node_without_actors_takes_the_same_feedback() {
    let (now, topic) = (Timestamp::ZERO, "a".to_owned());
    let mut node = Node::new(PlainNetwork::new().into(), limits(), NodeOptions::default());
    for peer in 1..=2 {
        node.p2p_input(connect(peer), now);
    }
    node.report_peer_feedback(&1, &topic, PeerFeedback::FirstDelivery, now);
    node.report_peer_feedback(&2, &topic, PeerFeedback::InvalidMessage, now);
    let view = node.view(now);
    assert_eq!((view.scores[&1].topics["a"].first, view.scores[&2].topics["a"].invalid), (1.0, 1.0));
}

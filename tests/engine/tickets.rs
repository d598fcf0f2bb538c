//! These tests check what a publish ticket reports to the publisher of a message.

use actix_gossipsub::{DropReason, PublishReport, RouteResult, plain::PlainNetwork, protocol::Event};

use testkit::fragile::{FragileNetwork, POISON};

use crate::support::*;

fn full(number: u64) -> actix_gossipsub::FullMessage<PlainNetwork> {
    PlainNetwork::message("a", number, "content")
}

#[test]
fn a_ticket_reports_the_number_of_queued_and_sent_copies() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        for peer in 0..4 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        let ticket = engine.worker.publish(full(1)).expect("the input is accepted");
        let PublishReport { routed, queued, sent, .. } = ticket.routed().await;
        assert_eq!((routed, queued, sent), (Some(RouteResult::Queued), 4, 0));
        let (topic, id) = ("a".to_owned(), full(1).message_id);
        assert!(engine.worker.has_publish_listener(&topic, &id));
        for _ in 0..3 {
            engine.worker.report_sent(&topic, &id);
        }
        assert!(!ticket.report().is_complete());
        engine.worker.report_not_sent(&topic, &id, DropReason::PeerQueueFull);
        let report = ticket.completed().await;
        assert_eq!((report.sent, report.not_sent(DropReason::PeerQueueFull)), (3, 1));
        assert!(!engine.worker.has_publish_listener(&topic, &id), "the completed ticket is removed");
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_ticket_reports_no_peers_and_a_repeated_publication() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        let ticket = engine.worker.publish(full(1)).expect("the input is accepted");
        assert_eq!(ticket.completed().await.routed, Some(RouteResult::NoPeers));
        let again = engine.worker.publish(full(1)).expect("the input is accepted");
        assert_eq!(again.completed().await.routed, Some(RouteResult::AlreadyPublished));
        engine.worker.shutdown().await;
    });
}

/// Case 31: nobody took it.
#[test]
fn a_ticket_reports_copies_dropped_from_a_full_output_queue() {
    run(async {
        let limits = changed(|limits| limits.bounds.max_output_items = 4);
        let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
        for peer in 0..3 {
            engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
            engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
        }
        // Three SUBSCRIBEs are queued already.
        let ticket = engine.worker.publish(full(1)).expect("the input is accepted");
        let report = ticket.completed().await;
        assert_eq!((report.queued, report.not_sent(DropReason::OutputQueueFull)), (3, 3));
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_ticket_completes_at_shutdown_and_a_dropped_one_is_removed() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("the input is accepted");
        engine.worker.p2p_input(graft(1, "a")).expect("the input is accepted");
        let ticket = engine.worker.publish(full(1)).expect("the input is accepted");
        let dropped = engine.worker.publish(full(2)).expect("the input is accepted");
        dropped.routed().await;
        drop(dropped);
        assert!(!engine.worker.has_publish_listener(&"a".to_owned(), &full(2).message_id));
        engine.worker.shutdown().await;
        let report = ticket.completed().await;
        assert_eq!((report.queued, report.sent), (1, 0));
    });
}

#[test]
fn a_ticket_reports_a_publication_lost_in_a_panic() {
    run(async {
        let engine = start(manual(FragileNetwork::default(), limits()), &["a"]);
        engine.worker.settle().await;
        let publish = |number| {
            engine
                .worker
                .publish(FragileNetwork::message("a", number, "content"))
                .expect("the input is accepted")
        };
        let tickets = [1, POISON, 2].map(publish);
        let mut routed = Vec::new();
        for ticket in &tickets {
            routed.push(ticket.completed().await.routed);
        }
        let [first, lost, second] = [RouteResult::NoPeers, RouteResult::Lost, RouteResult::NoPeers];
        assert_eq!(routed, [first, lost, second].map(Some), "only the publication that panicked is lost");
        engine.worker.shutdown().await;
    });
}

#[test]
fn dropped_tickets_leave_no_entry_behind() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("accepted");
        engine.worker.p2p_input(graft(1, "a")).expect("accepted");
        for number in 0..1_000 {
            // Dropped at once, while the message is on its way to the topic.
            drop(engine.worker.publish(full(number)).expect("accepted"));
        }
        let kept_ticket = engine.worker.publish(full(1_000)).expect("accepted");
        engine.worker.settle().await;
        let footprint = async || engine.worker.footprint().await.expect("it runs").publish_reports;
        assert_eq!(footprint().await, 1, "that of the kept ticket");
        drop(kept_ticket);
        assert_eq!(footprint().await, 0);
        engine.worker.shutdown().await;
    });
}

#[test]
fn the_ticket_of_a_duplicate_does_not_end_that_of_the_original() {
    run(async {
        let engine = start(manual(PlainNetwork::new(), limits()), &["a"]);
        engine.worker.p2p_input(connect(1)).expect("accepted");
        engine.worker.p2p_input(graft(1, "a")).expect("accepted");
        let original = engine.worker.publish(full(1)).expect("accepted");
        let duplicate = engine.worker.publish(full(1)).expect("accepted");
        assert_eq!(duplicate.completed().await.routed, Some(RouteResult::AlreadyPublished));
        drop(duplicate);
        engine.worker.report_sent(&"a".to_owned(), &full(1).message_id);
        let completed = tokio::time::timeout(std::time::Duration::from_secs(10), original.completed()).await;
        assert_eq!(completed.expect("it was sent").sent, 1);
        engine.worker.shutdown().await;
    });
}

#[test]
fn a_publication_that_reaches_no_peer_is_counted_and_reported_once_per_interval() {
    run(async {
        let (events, observer) = recorder();
        let builder = manual(PlainNetwork::new(), limits()).observer(observer);
        let (recording, engine) = crate::recording::Recording::of(builder, ["a".to_owned()]);
        for number in 0..3 {
            engine.worker.app_input(publish("a", number)).expect("accepted");
        }
        engine.worker.settle().await;
        assert_eq!(recording.count("gossipsub_published_to_no_peers_total"), 3);
        let event = Event::PublishedToNoPeers { topic: "a".to_owned() };
        assert_eq!(*events.lock().expect("the lock is not poisoned"), [event]);
        engine.worker.p2p_input(connect(1)).expect("accepted");
        engine.worker.p2p_input(graft(1, "a")).expect("accepted");
        engine.worker.app_input(publish("a", 3)).expect("accepted");
        engine.worker.settle().await;
        assert_eq!(recording.count("gossipsub_published_to_no_peers_total"), 3);
        engine.worker.shutdown().await;
    });
}

//! These tests check what the engine offers by IHAVE to peers that were not sent messages, because the p2p stream or a queue
//! of the transport was full.

use actix_gossipsub::{P2pMessage, P2pOutput, P2pOutputs, Started, Worker, plain::PlainNetwork};

use crate::support::*;

/// An engine with three peers in the mesh of "a".
fn engine(max_output_items: usize) -> Started<PlainNetwork> {
    let limits = changed(|limits| {
        limits.bounds.max_output_items = max_output_items;
        limits.extensions.max_missed_ids_per_peer = 100;
    });
    let engine = start(manual(PlainNetwork::new(), limits), &["a"]);
    for peer in 0..3 {
        engine.worker.p2p_input(connect(peer)).expect("the input is accepted");
        engine.worker.p2p_input(graft(peer, "a")).expect("the input is accepted");
    }
    engine
}

/// Reads the p2p stream. Returns the numbers of the messages that an IHAVE offers, by peer.
async fn offered(worker: &Worker<PlainNetwork>, p2p: &mut P2pOutputs<PlainNetwork>) -> Vec<(u64, Vec<u64>)> {
    worker.settle().await;
    let mut offers = Vec::new();
    while let Some(output) = p2p.try_recv() {
        if let P2pOutput::OutMessage { to_peer, message: P2pMessage::IHave { message_ids, .. } } = output {
            offers.push((to_peer, message_ids.into_iter().map(|id| id.number).collect()));
        }
    }
    offers.sort_unstable();
    offers
}

#[test]
fn a_message_that_had_no_room_in_the_p2p_stream_is_offered_at_a_heartbeat() {
    run(async {
        let Started { worker, mut p2p, .. } = engine(4);
        // Three SUBSCRIBEs are queued already.
        worker.app_input(publish("a", 1)).expect("the input is accepted");
        assert_eq!(offered(&worker, &mut p2p).await, []);
        worker.tick().await;
        assert_eq!(offered(&worker, &mut p2p).await, [(0, vec![1]), (1, vec![1]), (2, vec![1])]);
        worker.tick().await;
        assert_eq!(offered(&worker, &mut p2p).await, []);
        worker.shutdown().await;
    });
}

#[test]
fn a_message_that_the_transport_dropped_is_offered_when_it_reports_room() {
    run(async {
        let Started { worker, mut p2p, .. } = engine(100);
        worker.app_input(publish("a", 1)).expect("the input is accepted");
        worker.settle().await;
        let (topic, id) = ("a".to_owned(), PlainNetwork::message("a", 1, "content").message_id);
        for peer in [0, 1, 7] {
            worker.report_missed(&peer, &topic, std::slice::from_ref(&id));
        }
        assert_eq!(worker.footprint().await.expect("the engine runs").missed, 2);
        worker.tick().await;
        assert_eq!(offered(&worker, &mut p2p).await, []);
        worker.report_room(&1, 10);
        worker.report_room(&2, 10);
        assert_eq!(offered(&worker, &mut p2p).await, [(1, vec![1])]);
        worker.p2p_input(disconnect(0)).expect("the input is accepted");
        worker.report_room(&0, 10);
        assert_eq!(offered(&worker, &mut p2p).await, []);
        assert_eq!(worker.footprint().await.expect("the engine runs").missed, 0);
        worker.shutdown().await;
    });
}

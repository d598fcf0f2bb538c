//! These tests simulate a peer that violates the protocol. Each violation must be penalised once, and each requested
//! IWANT id must be counted with its response.

use std::time::Duration;

use actix_gossipsub::{P2pInput, P2pMessage, Worker, protocol::Input};
use testkit::fragile::{FragileId, FragileNetwork};

use super::{
    cluster::{Cluster, ValidationTiming},
    identities,
    limits::limits,
};

/// Peer 99, which is not an engine, sends a message.
fn send(worker: &Worker<FragileNetwork>, message: P2pMessage<FragileNetwork>) {
    // Some of these messages are refused.
    let _ = worker.p2p_input(P2pInput::message(99, message));
}

/// A bad peer sends messages that violate the protocol in all ways.
pub async fn misbehave(cluster: &mut Cluster) {
    let topic = || "a".to_owned();
    let worker = cluster.members[0].worker.clone();
    worker.p2p_input(P2pInput::connected(99)).expect("the input is accepted");
    for _ in 0..2 {
        send(&worker, P2pMessage::subscribe(topic()));
        send(&worker, P2pMessage::Graft { topic: topic() });
        worker.settle().await;
        send(&worker, P2pMessage::Unsubscribe { topic: topic() });
        send(
            &worker,
            P2pMessage::Prune { topic: topic(), px: vec![7.into()], backoff: Duration::from_secs(60) },
        );
        worker.settle().await;
        send(&worker, P2pMessage::Graft { topic: topic() });
    }
    send(&worker, P2pMessage::Prune { topic: topic(), px: vec![], backoff: Duration::from_secs(600) });
    worker.settle().await;
    let message_ids: Vec<_> = (0..3).map(|number| FragileId::new(&topic(), 5_000 + number)).collect();
    send(&worker, P2pMessage::IHave { topic: topic(), message_ids: message_ids.clone() });
    send(&worker, P2pMessage::IWant { message_ids });
    for number in 0..50 {
        send(
            &worker,
            P2pMessage::FullMessage(FragileNetwork::message("a", 9_000 + number, "invalid").into()),
        );
    }
    worker.report_slow_peer(&99);
    cluster.pump().await;
}

#[test]
fn violations_are_penalised_once_and_iwant_ids_are_answered() {
    actix::System::new().block_on(async {
        let mut cluster = Cluster::new(2, &limits(), ValidationTiming::Synchronous);
        cluster.connect_all().await;
        for member in 0..2 {
            cluster.join(member, "a").await;
        }
        for member in 0..2 {
            cluster.publish(member, "a", "valid");
        }
        cluster.heartbeats(2).await;
        let worker = cluster.members[0].worker.clone();
        worker.p2p_input(P2pInput::connected(99)).expect("the input is accepted");
        // The ids are of a known topic and of an unknown one.
        let id = |number, topic: &str| FragileId::new(topic, number);
        send(
            &worker,
            P2pMessage::IWant { message_ids: vec![id(1, "a"), id(7, "a"), id(1, "b"), id(2, "b")] },
        );
        cluster.heartbeat().await;
        let scrape = cluster.members[0].scrape();
        let answers = |answer| scrape.sum("gossipsub_iwant_responses_total", &[("response", answer)]);
        assert_eq!((answers("message"), answers("not_found")), (1.0, 3.0));
        identities::gossip(&scrape);

        for _ in 0..3 {
            misbehave(&mut cluster).await;
        }
        cluster.stabilize().await;
        let scrape = cluster.members[0].scrape();
        assert!(scrape.inputs(Input::Graft, &["backed_off"]) > 0.0);
        assert!(scrape.inputs(Input::ReceiveMessage, &["invalid"]) > 0.0);
        let penalties = |reason| scrape.sum("gossipsub_score_penalties_total", &[("reason", reason)]);
        assert_eq!(penalties("slow_peer"), scrape.sum("gossipsub_slow_peer_reports_total", &[]));
        assert!(scrape.sum("gossipsub_mesh_pruned_total", &[("reason", "unsubscribed")]) > 0.0);
        assert_eq!(scrape.sum("gossipsub_peers_by_score", &[("band", "below_graylist")]), 1.0);
        identities::engine(&worker, &scrape).await;
        identities::inputs(&scrape);
        cluster.shutdown().await;
    });
}

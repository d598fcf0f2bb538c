//! These tests run a network with losses: peers disconnect with messages in flight, outputs stay unread, queues fill
//! up, and topics panic. The metrics must count every loss, and all sums must match.

use actix_gossipsub::{P2pInput, P2pMessage, protocol::Input};

use super::{
    cluster::{Cluster, Judging},
    identities,
    limits::{changed, limits},
};

/// Heartbeats until what was shown at the begin of one is so at its end.
async fn check(cluster: &mut Cluster) {
    cluster.quiet().await;
    let scrapes = cluster.scrapes();
    identities::wire(&scrapes, true);
    for (member, scrape) in cluster.members.iter().zip(&scrapes) {
        identities::engine(&member.worker, scrape).await;
    }
    cluster.shutdown().await;
}

async fn churning(judging: Judging) {
    let mut cluster = Cluster::new(6, &limits(), judging);
    cluster.connect_all().await;
    for topic in ["a", "b"] {
        for member in 0..6 {
            cluster.join(member, topic).await;
        }
    }
    cluster.heartbeats(2).await;
    for round in 0..12 {
        for (member, topic, content) in [(0, "a", "valid"), (1, "a", "invalid"), (2, "b", "valid")] {
            cluster.publish(member, topic, content);
        }
        // With these messages on their way.
        let (one, other) = (round % 6, (round + 1 + round / 6) % 6);
        match round % 4 {
            0 => cluster.disconnect(one, other).await,
            1 => cluster.leave(one, "b").await,
            2 => cluster.heartbeat().await,
            _ => cluster.join(one, "b").await,
        }
        cluster.heartbeat().await;
        if round % 4 == 2 {
            cluster.connect((round - 2) % 6, (round - 1 + (round - 2) / 6) % 6).await;
        }
    }
    let pruned = |reason| -> f64 {
        let of = [("reason", reason)];
        cluster.scrapes().iter().map(|scrape| scrape.sum("gossipsub_mesh_pruned_total", &of)).sum()
    };
    for reason in ["disconnected", "leave", "remote_prune"] {
        assert!(pruned(reason) > 0.0, "{reason}");
    }
    // Who was wrong so often is in nobody's mesh, and would try again and again.
    for topic in ["a", "b"] {
        cluster.leave(1, topic).await;
    }
    check(&mut cluster).await;
}

#[test]
fn what_peers_take_with_them_when_they_go_is_accounted_for() {
    actix::System::new().block_on(churning(Judging::AtOnce));
}

#[test]
fn so_it_is_where_verdicts_come_later() {
    actix::System::new().block_on(churning(Judging::Later));
}

#[test]
fn so_it_is_where_messages_are_judged_in_batches() {
    actix::System::new().block_on(churning(Judging::InBatches));
}

#[test]
fn what_finds_no_room_is_accounted_for() {
    actix::System::new().block_on(async {
        let limits = changed(|limits| {
            limits.bounds.max_output_items = 40;
            limits.bounds.max_input_items = 4;
        });
        let mut cluster = Cluster::new(5, &limits, Judging::AtOnce);
        cluster.connect_all().await;
        for member in 0..5 {
            cluster.join(member, "a").await;
        }
        cluster.heartbeats(2).await;
        for _ in 0..5 {
            for _ in 0..30 {
                // Beyond a few, publications are refused: they are tried again.
                cluster.publish_when_there_is_room(0, "a", "valid").await;
            }
            cluster.heartbeat().await;
        }
        let scrapes = cluster.scrapes();
        let full = [("lane", "publish"), ("reason", "output_queue_full")];
        assert!(scrapes[0].sum("gossipsub_outputs_dropped_total", &full) > 0.0);
        assert!(scrapes[0].sum("gossipsub_inputs_refused_total", &[]) > 0.0);
        check(&mut cluster).await;
    });
}

#[test]
fn meshes_that_are_lost_with_their_topic_are_accounted_for() {
    actix::System::new().block_on(async {
        let mut cluster = Cluster::new(4, &limits(), Judging::AtOnce);
        cluster.connect_all().await;
        for topic in ["a", "b"] {
            for member in 0..4 {
                cluster.join(member, topic).await;
            }
        }
        cluster.heartbeats(3).await;
        for number in 0..3 {
            // At which the topic of whoever receives it panics.
            let message = actix_gossipsub::plain::PlainNetwork::message("a", 1000 + number, "panic");
            let said = P2pInput::message(1, P2pMessage::FullMessage(message.into()));
            cluster.members[0].worker.p2p_input(said).expect("the input is accepted");
            cluster.pump().await;
            cluster.heartbeats(4).await;
        }
        cluster.quiet().await;
        let scrape = cluster.members[0].scrape();
        assert_eq!(scrape.sum("gossipsub_topic_panics_total", &[("outcome", "restarted")]), 3.0);
        assert!(scrape.sum("gossipsub_mesh_pruned_total", &[("reason", "restart")]) > 0.0);
        for member in &cluster.members {
            let state = member.worker.state().await.expect("the engine runs");
            identities::meshes(&member.scrape(), &state);
            identities::peers(&member.scrape(), &state);
        }
        // What panicked was not handled.
        let received = scrape.sum("gossipsub_rpc_received_total", &[("type", "message")]);
        assert_eq!(scrape.inputs(Input::ReceiveMessage, &[]), received - 3.0);
        cluster.shutdown().await;
    });
}

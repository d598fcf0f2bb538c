//! These tests run a network with losses: peers disconnect with messages in flight, outputs stay unread, queues fill
//! up, and topics panic. The metrics must count every loss, and all sums must match.

use actix_gossipsub::protocol::Input;
use testkit::fragile::{POISON, fragile_message};

use super::{
    cluster::{Cluster, ValidationTiming},
    identities,
    limits::{changed, limits},
};

/// Waits until the meshes are stable, and checks all identities.
async fn check(cluster: &mut Cluster) {
    cluster.stabilize().await;
    let scrapes = cluster.scrapes();
    identities::wire(&scrapes, true);
    for (member, scrape) in cluster.members.iter().zip(&scrapes) {
        identities::engine(&member.worker, scrape).await;
    }
    cluster.shutdown().await;
}

async fn run_with_churn(timing: ValidationTiming) {
    // The invalid messages of member 1 would bring it below the graylist. Then its messages are refused for good, and the
    // cluster sends them again and again.
    let limits = changed(|limits| {
        (limits.extensions.graylist_threshold, limits.extensions.disconnect_threshold) = (None, None);
    });
    let mut cluster = Cluster::new(6, &limits, timing);
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
        // These changes happen while the messages are queued.
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
    // Member 1 sent invalid messages, so the others prune it at each graft and the meshes would not become stable.
    for topic in ["a", "b"] {
        cluster.leave(1, topic).await;
    }
    check(&mut cluster).await;
}

#[test]
fn all_identities_are_true_with_churn() {
    actix::System::new().block_on(run_with_churn(ValidationTiming::Synchronous));
}

#[test]
fn all_identities_are_true_with_churn_and_asynchronous_validation() {
    actix::System::new().block_on(run_with_churn(ValidationTiming::Asynchronous));
}

#[test]
fn all_identities_are_true_with_churn_and_batch_validation() {
    actix::System::new().block_on(run_with_churn(ValidationTiming::Batched));
}

#[test]
fn all_identities_are_true_with_full_queues() {
    actix::System::new().block_on(async {
        let limits = changed(|limits| {
            limits.bounds.max_output_items = 40;
            limits.bounds.max_input_items = 4;
        });
        let mut cluster = Cluster::new(5, &limits, ValidationTiming::Synchronous);
        cluster.connect_all().await;
        for member in 0..5 {
            cluster.join(member, "a").await;
        }
        cluster.heartbeats(2).await;
        for _ in 0..5 {
            for _ in 0..30 {
                // Publications are refused while the input queue is full, and are tried again.
                cluster.publish_with_retry(0, "a", "valid").await;
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
fn mesh_identities_are_true_after_restarts_of_a_topic() {
    actix::System::new().block_on(async {
        let mut cluster = Cluster::new(4, &limits(), ValidationTiming::Synchronous);
        cluster.connect_all().await;
        for topic in ["a", "b"] {
            for member in 0..4 {
                cluster.join(member, topic).await;
            }
        }
        cluster.heartbeats(3).await;
        for number in 0..3 {
            // The id of this message panics.
            let input = fragile_message(1, "a", POISON + number);
            cluster.members[0].worker.p2p_input(input).expect("the input is accepted");
            cluster.pump().await;
            cluster.heartbeats(4).await;
        }
        cluster.stabilize().await;
        let scrape = cluster.members[0].scrape();
        assert_eq!(scrape.sum("gossipsub_topic_panics_total", &[("outcome", "restarted")]), 3.0);
        assert!(scrape.sum("gossipsub_mesh_pruned_total", &[("reason", "restart")]) > 0.0);
        for member in &cluster.members {
            let state = member.worker.state().await.expect("the engine runs");
            identities::meshes(&member.scrape(), &state);
            identities::peers(&member.scrape(), &state);
        }
        // The messages that caused panics were not handled.
        let received = scrape.sum("gossipsub_rpc_received_total", &[("type", "message")]);
        assert_eq!(scrape.inputs(Input::ReceiveMessage, &[]), received - 3.0);
        cluster.shutdown().await;
    });
}

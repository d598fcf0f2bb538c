//! These tests check what the transport reports to a real engine about a publication.

use std::time::Duration;

use actix_gossipsub::libp2p::{BehaviourConfig, QueueLimits, WireLimits};
use actix_gossipsub::{DropReason, P2pInput, PublishReport, PublishTicket};
use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, identity::Keypair};
use tokio::task::JoinHandle;

use super::{publisher::Publisher, support::*, topic};

async fn publisher(gossipsub: BehaviourConfig) -> Publisher<()> {
    Publisher::start(gossipsub, (), |worker| worker, |_| {}).await
}

/// A swarm of this crate without an engine. It subscribes and reads.
async fn subscriber(to: Multiaddr) {
    let (mut swarm, _) = ours(BehaviourConfig::default());
    swarm.dial(to).unwrap();
    loop {
        let event = swarm.select_next_some().await;
        if let Some(P2pInput::NewConnection { peer, .. }) = gossipsub_event(event).and_then(connected) {
            send_message(&mut swarm, peer, NetMessage::subscribe(topic()));
        }
    }
}

async fn completed(ticket: &PublishTicket<Net>) -> PublishReport {
    let wait = tokio::time::timeout(Duration::from_secs(20), ticket.completed()).await;
    wait.unwrap_or_else(|_| panic!("the ticket is not completed: {:?}", ticket.report()))
}

#[test]
fn a_ticket_counts_the_peers_to_which_a_message_was_written() {
    actix_rt::System::new().block_on(async {
        let publisher = publisher(BehaviourConfig::default()).await;
        let peers: Vec<_> = (0..3).map(|_| actix_rt::spawn(subscriber(publisher.address.clone()))).collect();
        publisher.mesh(3).await;
        for size in [0, 100, 60_000] {
            let report = completed(&publisher.publish(size)).await;
            assert_eq!((report.queued, report.sent), (3, 3), "{report:?}");
        }

        // The message comes from a network with larger frames.
        let limits = WireLimits::default().with(|l| l.max_frame_out = 1 << 20);
        let larger = settings(&Keypair::generate_ed25519()).limits(limits).build();
        let large = larger.message(topic(), vec![7; 100_000]).unwrap();
        let report = completed(&publisher.worker.publish(large).unwrap()).await;
        assert_eq!((report.sent, report.not_sent(DropReason::TooLarge)), (0, 3), "{report:?}");

        // Copies for disconnected peers are reported too.
        peers.iter().for_each(JoinHandle::abort);
        let report = completed(&publisher.publish(1_000)).await;
        assert_eq!(report.sent + report.not_sent(DropReason::Disconnected), report.queued, "{report:?}");
        publisher.worker.shutdown().await;
    });
}

#[test]
fn copies_for_a_peer_that_does_not_read_are_dropped_and_then_disconnected() {
    actix_rt::System::new().block_on(async {
        let queue =
            QueueLimits::default().with(|l| (l.max_items, l.max_bytes, l.stall_factor) = (4, 1 << 20, 1_000));
        let publisher = publisher(
            BehaviourConfig::default().with(|c| (c.queue, c.write_timeout) = (queue, Duration::MAX)),
        )
        .await;
        let mut raw = other(|_| Raw::new(Reads::Nothing));
        raw.dial(publisher.address.clone()).unwrap();
        let raw = actix_rt::spawn(run_raw(raw));
        publisher.mesh(1).await;

        // Some messages fit into the window of the stream, and four more into the queue.
        let mut tickets = Vec::new();
        while !tickets.iter().any(|ticket: &PublishTicket<Net>| slow(ticket.report())) {
            tickets.push(publisher.publish(50_000));
            publisher.worker.settle().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(tickets.len() < 200);
        }
        let last = completed(tickets.last().unwrap()).await;
        assert_eq!((last.queued, last.sent, last.not_sent(DropReason::PeerQueueFull)), (1, 0, 1));
        let open = tickets.iter().filter(|ticket| !ticket.report().is_complete()).count();
        assert!(open >= 4, "{open}");

        raw.abort();
        let mut disconnected = 0;
        for ticket in &tickets {
            let report = completed(ticket).await;
            disconnected += report.not_sent(DropReason::Disconnected);
            let reported = report.sent + NOT_SENT.map(|reason| report.not_sent(reason)).iter().sum::<usize>();
            assert_eq!((report.queued, reported), (1, 1), "{report:?}");
        }
        assert_eq!(disconnected, open);
        publisher.worker.shutdown().await;
    });
}

const NOT_SENT: [DropReason; 2] = [DropReason::PeerQueueFull, DropReason::Disconnected];

fn slow(report: PublishReport) -> bool {
    report.not_sent(DropReason::PeerQueueFull) > 0
}

/// A frame with a subscription to `news`.
const SUBSCRIBE: &[u8] = &[10, 0x0a, 8, 8, 1, 0x12, 4, b'n', b'e', b'w', b's'];

async fn run_raw(mut raw: Swarm<Raw>) {
    loop {
        if let libp2p::swarm::SwarmEvent::ConnectionEstablished { peer_id, .. } = raw.select_next_some().await
        {
            raw.behaviour_mut().write(peer_id, SUBSCRIBE, 100);
        }
    }
}

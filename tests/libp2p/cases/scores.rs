//! Scores over time, verdicts of the application, direct peers, and peers that come back.

use libp2p::identity::Keypair;

use crate::cases::{
    TOPIC, cases,
    peer::{Options, Peer},
    target::{Kind, Setup},
    trial::trial,
    wire::{Message, graft, ihave, message, subscribe},
};

cases! {
    "P1" a_graylisted_peer_is_ignored Differs(
        "contains(\"further\")",
        "it takes the subscriptions of a graylisted peer, and nothing else",
    );
    "P2" a_score_survives_a_reconnection Agrees;
    "P3" many_peers_of_one_address_have_negative_scores Agrees;
    "P8" a_direct_peer_is_in_no_mesh_and_gets_everything Differs(
        "PRUNE",
        "it ignores the GRAFT of an explicit peer without an answer",
    );
    "P10" a_peer_that_reconnects_often_leaves_one_entry Agrees;
    "M14" ignored_messages_cost_nothing_and_rejected_ones_do Agrees;
    "M15" every_sender_of_a_rejected_message_is_penalised_once Agrees;
    "32" a_restarted_peer_gets_messages_while_its_old_connection_is_open Differs(
        "while its old connection is open",
        "it sends nothing on the second connection of a peer",
    );
}

/// Also cases 4 and 5, the graylist.
async fn a_graylisted_peer_is_ignored(kind: Kind) {
    trial(kind, Setup { graylist: -1_000.0, ..Setup::default() }, async |trial| {
        let attacker = trial.lazy().await;
        // 20 * 8 * 8 is above the graylist threshold and below that of publications.
        for n in 0..8 {
            let unsigned = Message { signature: None, ..attacker.message(n, 100) };
            attacker.send(message(&unsigned));
        }
        trial.wait_for_score(&attacker, "below the graylist threshold", |score| score < -1_000.0).await;
        trial.heartbeats(2).await;
        attacker.clear();
        let (good, id) = (attacker.message(100, 100), b"some id".to_vec());
        attacker.send(graft(TOPIC));
        attacker.send(ihave(TOPIC, [id]));
        attacker.send(subscribe("further", true));
        attacker.send(message(&good));
        trial.heartbeats(3).await;
        let received = attacker.received();
        assert!(received.iter().all(|rpc| rpc.prune.is_empty() && rpc.iwant.is_empty()), "an answer");
        assert_eq!(trial.deliveries(&good), 0);
        if let Some(mut peers) = trial.target.peers().await {
            assert!(!peers.remove(&attacker.id).unwrap_or_default().contains("further"));
        }
    })
    .await;
}

async fn a_score_survives_a_reconnection(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        trial.misbehave(&attacker, 3).await;
        let before = trial.wait_for_score(&attacker, "below -100", |score| score < -100.0).await;
        attacker.disconnect().await;
        trial.heartbeats(2).await;
        attacker.connect(trial.target.address()).await;
        let after = trial.score(&attacker).await;
        assert!((before..before * 0.9).contains(&after), "{after} after {before}");
        let other = trial.in_mesh().await;
        trial.assert_not_penalised(&other).await;
    })
    .await;
}

async fn many_peers_of_one_address_have_negative_scores(kind: Kind) {
    trial(kind, Setup { colocation: Some(3), ..Setup::default() }, async |trial| {
        let peers = [trial.attacker().await, trial.attacker().await, trial.attacker().await];
        for peer in &peers {
            trial.wait_for_score(peer, "negative", |score| score < 0.0).await;
        }
    })
    .await;
}

async fn a_direct_peer_is_in_no_mesh_and_gets_everything(kind: Kind) {
    let key = Keypair::generate_ed25519();
    let direct = vec![key.public().to_peer_id()];
    trial(kind, Setup { direct, ..Setup::default() }, async |trial| {
        let peer = trial.peer(Options { key, ..Options::default() }).await;
        peer.hello().await;
        peer.send(graft(TOPIC));
        trial.handled(&peer).await;
        let sent = trial.publish(1 << 20, 5, 100);
        for one in &sent {
            peer.wait_for_message(one).await;
        }
        assert!(!trial.mesh(TOPIC).await.contains(&peer.id));
        assert_eq!(peer.grafts(TOPIC), 0);
        peer.until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
    })
    .await;
}

async fn a_peer_that_reconnects_often_leaves_one_entry(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let peer = trial.in_mesh().await;
        for _ in 0..20 {
            peer.disconnect().await;
            peer.clear();
            peer.connect(trial.target.address()).await;
            peer.hello().await;
        }
        // It has no backoff: the target grafts it again.
        peer.until("GRAFT", |rpc| !rpc.graft.is_empty()).await;
        let sent = trial.publish(1 << 20, 1, 100);
        peer.wait_for_message(&sent[0]).await;
        if trial.target.peers().await.is_some() {
            trial.wait("three peers are connected", async || trial.peers().await.len() == 3).await;
        }
        if let Some(ours) = trial.target.ours() {
            let footprint = ours.footprint().await;
            assert_eq!((footprint.connections, footprint.subscribers, footprint.mesh), (3, 3, 3));
        }
    })
    .await;
}

/// A message of a peer that begins with this byte, which is the application's verdict.
fn with_verdict(peer: &Peer, n: u64, verdict: u8) -> Message {
    let mut data = vec![verdict; 100];
    data[1..9].copy_from_slice(&n.to_be_bytes());
    Message::signed(&peer.key, TOPIC, n, data)
}

async fn ignored_messages_cost_nothing_and_rejected_ones_do(kind: Kind) {
    trial(kind, Setup { validates: true, ..Setup::default() }, async |trial| {
        let (ignored, rejected, peer) = (trial.in_mesh().await, trial.in_mesh().await, trial.in_mesh().await);
        let sent = [with_verdict(&ignored, 1, b'I'), with_verdict(&rejected, 1, b'R')];
        ignored.send(message(&sent[0]));
        rejected.send(message(&sent[1]));
        trial.wait_for_score(&rejected, "negative", |score| score < 0.0).await;
        for from in [&ignored, &rejected, &peer] {
            trial.handled(from).await;
        }
        trial.heartbeats(1).await;
        trial.assert_not_penalised(&ignored).await;
        assert!(sent.iter().all(|one| trial.deliveries(one) == 0 && peer.copies(&one.id()) == 0));
    })
    .await;
}

async fn every_sender_of_a_rejected_message_is_penalised_once(kind: Kind) {
    trial(kind, Setup { validates: true, ..Setup::default() }, async |trial| {
        let (first, second) = (trial.in_mesh().await, trial.in_mesh().await);
        let sent = with_verdict(&first, 1, b'R');
        for from in [&first, &second] {
            from.send(message(&sent));
            trial.wait_for_score(from, "negative", |score| score < 0.0).await;
        }
        // P4 is the square of the number of invalid messages.
        for from in [&first, &second] {
            let score = trial.score(from).await;
            assert!(
                (crate::cases::target::P4_WEIGHT..crate::cases::target::P4_WEIGHT * 0.9).contains(&score),
                "{score}"
            );
        }
    })
    .await;
}

/// As after a crash: the old connection is open and is not read. Calimero lost peers for the idle time.
async fn a_restarted_peer_gets_messages_while_its_old_connection_is_open(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let key = Keypair::generate_ed25519();
        let old = trial.peer(Options { key: key.clone(), reads: false, ..Options::default() }).await;
        old.send(subscribe(TOPIC, true).and(graft(TOPIC)));
        trial.handled(&old).await;
        let new = trial.peer(Options { key, ..Options::default() }).await;
        new.send(subscribe(TOPIC, true));
        trial.handled(&new).await;
        let gets_messages = async || {
            let arrived = crate::cases::poll_until(async || {
                let sent = trial.publish(1 << 24 | new.next_number(), 1, 100);
                trial.heartbeats(1).await;
                (new.copies(&sent[0].id()) > 0).then_some(())
            });
            arrived.await.is_some()
        };
        assert!(gets_messages().await, "the restarted peer gets messages while its old connection is open");
        drop(old);
        assert!(gets_messages().await, "the restarted peer gets messages when its old connection has ended");
    })
    .await;
}

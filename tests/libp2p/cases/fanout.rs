//! What reaches whom when the target publishes: first messages, thin meshes, flood publishing, fanout. All heartbeats are
//! long here, so that what arrives was sent at once.

use std::time::Duration;

use crate::cases::{
    OTHER, TOPIC, cases,
    peer::{Habit, Options, Peer},
    target::{Kind, PUBLISH_THRESHOLD, Setup},
    trial::{Trial, trial},
    wire::{graft, prune, subscribe},
};

cases! {
    "20" a_subscriber_is_grafted_before_the_heartbeat Agrees;
    "21" a_publication_reaches_d_peers_beyond_a_thin_mesh Agrees;
    "22" flood_publishing_reaches_all_above_the_threshold Agrees;
    "23" the_fanout_is_topped_up_and_forgotten Agrees;
    "24" joining_grafts_the_fanout Agrees;
}

fn long_heartbeat() -> Setup {
    Setup { heartbeat: Duration::from_secs(60), honest: false, ..Setup::default() }
}

/// Subscribed peers in no mesh.
async fn lazy_peers(trial: &Trial, count: usize) -> Vec<Peer> {
    let mut peers = Vec::new();
    for _ in 0..count {
        let peer = trial.lazy().await;
        trial.handled(&peer).await;
        peers.push(peer);
    }
    peers
}

/// Not within a backoff, with a negative score, or if the mesh has enough peers: rust-libp2p grafts up to D_lo, we up to D.
async fn a_subscriber_is_grafted_before_the_heartbeat(kind: Kind) {
    trial(kind, long_heartbeat(), async |trial| {
        let peer = trial.attacker().await;
        peer.hello().await;
        peer.until("GRAFT", |rpc| rpc.graft == [TOPIC]).await;
        let again = async |peer: &Peer| {
            peer.clear();
            peer.send(subscribe(TOPIC, false));
            peer.send(subscribe(TOPIC, true));
            trial.handled(peer).await;
            peer.grafts(TOPIC)
        };
        peer.send(prune(TOPIC, Some(60)));
        assert_eq!(again(&peer).await, 0, "within the backoff");
        let bad = trial.attacker().await;
        trial.misbehave(&bad, 1).await;
        assert_eq!(again(&bad).await, 0, "with a negative score");
        let mut mesh = Vec::new();
        for _ in 0..6 {
            mesh.push(trial.in_mesh().await);
        }
        let last = trial.attacker().await;
        last.subscribed(TOPIC).await;
        assert_eq!(again(&last).await, 0, "with a full mesh");
    })
    .await;
}

async fn a_publication_reaches_d_peers_beyond_a_thin_mesh(kind: Kind) {
    trial(kind, long_heartbeat(), async |trial| {
        let in_mesh = trial.in_mesh().await;
        let others = lazy_peers(trial, 9).await;
        trial.wait("the mesh has one peer", async || trial.mesh(TOPIC).await.len() == 1).await;
        let id = trial.target_publishes(TOPIC, vec![1; 100]).await;
        trial.wait("the mesh peer has it", async || in_mesh.copies(&id) == 1).await;
        let reached = || others.iter().filter(|peer| peer.copies(&id) > 0).count();
        trial.wait("five others have it", async || reached() == 5).await;
        // Later messages of the target come after it: no other is on its way.
        for peer in &others {
            peer.set_habit(Habit::Silent);
            peer.clear();
            trial.handled(peer).await;
        }
        assert_eq!(reached(), 0);
    })
    .await;
}

async fn flood_publishing_reaches_all_above_the_threshold(kind: Kind) {
    trial(kind, Setup { flood_publish: true, ..long_heartbeat() }, async |trial| {
        let _mesh = [trial.in_mesh().await, trial.in_mesh().await];
        let others = lazy_peers(trial, 10).await;
        let bad = trial.lazy().await;
        trial.misbehave(&bad, 8).await;
        trial.wait_for_score(&bad, "below the threshold", |score| score < PUBLISH_THRESHOLD).await;
        let id = trial.target_publishes(TOPIC, vec![1; 100]).await;
        trial.wait("all others have it", async || others.iter().all(|peer| peer.copies(&id) == 1)).await;
        trial.handled(&bad).await;
        assert_eq!(bad.copies(&id), 0);
    })
    .await;
}

/// A peer that is subscribed to a topic that the target has not joined.
async fn subscriber(trial: &Trial) -> Peer {
    let peer = trial.peer(Options::default()).await;
    peer.subscribed(TOPIC).await;
    peer.send(subscribe(OTHER, true));
    trial.handled(&peer).await;
    peer
}

/// Also P7.
async fn the_fanout_is_topped_up_and_forgotten(kind: Kind) {
    let setup = Setup { fanout_ttl: Duration::from_secs(2) * crate::cases::factor(), ..Setup::default() };
    trial(kind, setup, async |trial| {
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(subscriber(trial).await);
        }
        let id = trial.target_publishes(OTHER, vec![1; 100]).await;
        trial.wait("all have it", async || peers.iter().all(|peer| peer.copies(&id) == 1)).await;
        peers.remove(0).disconnect().await;
        peers.push(subscriber(trial).await);
        trial.heartbeats(2).await;
        let id = trial.target_publishes(OTHER, vec![2; 100]).await;
        trial.wait("all have the next one", async || peers.iter().all(|peer| peer.copies(&id) == 1)).await;
        if let Some(ours) = trial.target.ours() {
            assert_eq!(ours.footprint().await.fanout, 3);
            trial.wait("the fanout is forgotten", async || ours.footprint().await.fanout == 0).await;
        }
    })
    .await;
}

async fn joining_grafts_the_fanout(kind: Kind) {
    trial(kind, long_heartbeat(), async |trial| {
        let (good, backed_off) = (subscriber(trial).await, subscriber(trial).await);
        let bad = subscriber(trial).await;
        let id = trial.target_publishes(OTHER, vec![1; 100]).await;
        let all = [&good, &backed_off, &bad];
        trial.wait("all have it", async || all.iter().all(|peer| peer.copies(&id) == 1)).await;
        trial.misbehave(&bad, 1).await;
        trial.join(OTHER, true).await;
        good.until("GRAFT", |rpc| rpc.graft == [OTHER]).await;
        backed_off.until("GRAFT", |rpc| rpc.graft == [OTHER]).await;
        trial.handled(&bad).await;
        assert_eq!(bad.grafts(OTHER), 0, "with a negative score");
        // It refuses, and the target leaves and joins again within the backoff.
        backed_off.send(prune(OTHER, Some(60)));
        backed_off.send(graft("unknown"));
        trial.handled(&backed_off).await;
        assert!(!trial.mesh(OTHER).await.contains(&backed_off.id));
        assert!(trial.mesh(OTHER).await.contains(&good.id));
    })
    .await;
}

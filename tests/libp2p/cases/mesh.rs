//! GRAFT and PRUNE.

use std::{
    panic::panic_any,
    time::{Duration, Instant},
};

use crate::cases::{
    OTHER, TOPIC, cases,
    peer::{Options, Peer, V1_0},
    target::{Kind, Setup},
    trial::{NoMeans, Trial, trial},
    wire::{Prune, Rpc, graft, message, prune, subscribe},
};

cases! {
    "G1" a_graft_on_a_topic_that_is_not_joined_gets_no_answer Agrees;
    "G2" a_graft_within_the_backoff_is_refused_and_penalised Agrees;
    "G3" a_repeated_graft_changes_nothing Agrees;
    "G4" a_graft_without_subscription_gets_an_answer Differs(
        "the peer is in the mesh or pruned",
        "it drops a GRAFT of a peer that is not subscribed, without an answer",
    );
    "G5" a_full_mesh_refuses_inbound_peers_and_shrinks_at_the_heartbeat Agrees;
    "G6" a_full_mesh_accepts_a_peer_that_the_target_dialled Agrees;
    "G7" the_backoff_of_a_prune_is_kept_and_ends Agrees;
    "G8" a_prune_without_backoff_has_the_default_one Agrees;
    "G9" endless_backoffs_do_no_harm Agrees;
    "G10" prunes_of_unknown_topics_and_repeated_ones_change_nothing Agrees;
    "G11" a_graft_with_a_negative_score_is_refused Agrees;
    "G14" one_rpc_subscribes_sends_and_grafts Agrees;
    "G15" a_prune_to_a_peer_of_1_0_has_neither_backoff_nor_peers Agrees;
    "27" nobody_is_grafted_within_the_backoff_of_our_own_leave Agrees;
    "29" a_subscriber_with_a_negative_score_is_pruned_without_peers Agrees;
}

/// Also case 3: it costs nothing.
async fn a_graft_on_a_topic_that_is_not_joined_gets_no_answer(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.send(graft(OTHER));
        for part in 0..20 {
            let grafts = (0..1_000).map(|n| format!("t{part}/{n}")).collect();
            attacker.send(Rpc { graft: grafts, ..Rpc::default() });
        }
        trial.handled(&attacker).await;
        trial.heartbeats(2).await;
        assert!(attacker.received().iter().all(|rpc| rpc.prune.is_empty()));
        if trial.target.score(attacker.id).await.is_some() {
            trial.assert_not_penalised(&attacker).await;
        }
        if let Some(ours) = trial.target.ours() {
            assert_eq!(ours.footprint().await.topics, 1);
        }
    })
    .await;
}

/// One GRAFT in each heartbeat: our node answers only one of a heartbeat.
async fn a_graft_within_the_backoff_is_refused_and_penalised(kind: Kind) {
    let setup = Setup { graft_flood: Duration::from_millis(400), ..Setup::default() };
    trial(kind, setup, async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.send(prune(TOPIC, None));
        trial.heartbeats(3).await;
        let mut score = trial.score(&attacker).await;
        for count in 1..=3 {
            attacker.send(graft(TOPIC));
            trial.wait("the GRAFT is answered", async || attacker.prunes(TOPIC) == count).await;
            let before = score;
            score = trial.wait_for_score(&attacker, "lower", |score| score < before).await;
            trial.heartbeats(2).await;
        }
        let backoffs = attacker.received().into_iter().flat_map(|rpc| rpc.prune).map(|prune| prune.backoff);
        assert!(backoffs.into_iter().all(|backoff| backoff.is_some_and(|seconds| seconds >= 59)));
        assert!(!trial.mesh(TOPIC).await.contains(&attacker.id));
    })
    .await;
}

async fn a_repeated_graft_changes_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        (0..50).for_each(|_| attacker.send(graft(TOPIC)));
        trial.handled(&attacker).await;
        trial.heartbeats(1).await;
        assert_eq!(attacker.prunes(TOPIC), 0);
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

async fn a_graft_without_subscription_gets_an_answer(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.send(graft(TOPIC));
        trial.handled(&attacker).await;
        trial
            .wait("the peer is in the mesh or pruned", async || {
                trial.mesh(TOPIC).await.contains(&attacker.id) || attacker.prunes(TOPIC) > 0
            })
            .await;
    })
    .await;
}

/// A heartbeat that is longer than it takes to fill a mesh of 12.
fn full() -> Setup {
    Setup { heartbeat: Duration::from_secs(4) * crate::cases::factor(), honest: false, ..Setup::default() }
}

/// Fills the mesh with 12 peers.
async fn fill(trial: &Trial) -> Vec<Peer> {
    let mut peers = Vec::new();
    for _ in 0..12 {
        peers.push(trial.in_mesh().await);
    }
    peers
}

async fn a_full_mesh_refuses_inbound_peers_and_shrinks_at_the_heartbeat(kind: Kind) {
    trial(kind, full(), async |trial| {
        let peers = fill(trial).await;
        let last = trial.attacker().await;
        last.enter_mesh().await;
        let rpc = last.until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
        assert!(rpc.prune[0].backoff.is_some(), "{rpc}");
        trial.heartbeats(1).await;
        // The specification prunes above D_hi only, go at D_hi too.
        let pruned = || peers.iter().filter(|peer| peer.prunes(TOPIC) > 0).count();
        trial.wait("the mesh has D or D_hi peers", async || [0, 6].contains(&pruned())).await;
        assert_eq!(trial.mesh(TOPIC).await.len(), 12 - pruned());
    })
    .await;
}

async fn a_full_mesh_accepts_a_peer_that_the_target_dialled(kind: Kind) {
    trial(kind, full(), async |trial| {
        let _peers = fill(trial).await;
        let last = Peer::start(Options::default()).await;
        trial.target_dials(&last).await;
        trial.wait("the target dials", async || last.is_connected()).await;
        last.open().await;
        trial.enter_mesh(&last).await;
    })
    .await;
}

/// The time between this PRUNE and the next GRAFT of the target, whose mesh is too small.
async fn time_to_graft(trial: &Trial, backoff: Option<u64>) -> Duration {
    let attacker = trial.attacker().await;
    attacker.hello().await;
    attacker.until("GRAFT", |rpc| !rpc.graft.is_empty()).await;
    attacker.clear();
    let start = Instant::now();
    attacker.send(prune(TOPIC, backoff));
    attacker.until("another GRAFT", |rpc| !rpc.graft.is_empty()).await;
    start.elapsed()
}

async fn the_backoff_of_a_prune_is_kept_and_ends(kind: Kind) {
    // Rust-libp2p removes a backoff up to a default one later.
    trial(kind, Setup { prune_backoff: Duration::from_secs(1), ..Setup::default() }, async |trial| {
        let time = time_to_graft(trial, Some(2)).await;
        assert!(time >= Duration::from_secs(2), "{time:?}");
    })
    .await;
}

async fn a_prune_without_backoff_has_the_default_one(kind: Kind) {
    if kind == Kind::Program {
        panic_any(NoMeans("to set PruneBackoff"));
    }
    let setup = Setup { prune_backoff: Duration::from_secs(3), ..Setup::default() };
    trial(kind, setup, async |trial| {
        let time = time_to_graft(trial, None).await;
        assert!(time >= Duration::from_secs(3), "{time:?}");
    })
    .await;
}

/// Also case 11 (CVE-2026-33040, CVE-2026-34219).
async fn endless_backoffs_do_no_harm(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.hello().await;
        attacker.until("GRAFT", |rpc| !rpc.graft.is_empty()).await;
        attacker.clear();
        for backoff in [1 << 63, u64::MAX, i64::MAX as u64] {
            attacker.send(prune(TOPIC, Some(backoff)));
        }
        trial.handled(&attacker).await;
        trial.heartbeats(10).await;
        assert_eq!(attacker.grafts(TOPIC), 0);
    })
    .await;
}

async fn prunes_of_unknown_topics_and_repeated_ones_change_nothing(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.hello().await;
        attacker.send(prune(OTHER, None));
        attacker.send(Rpc { prune: vec![Prune::default()], ..Rpc::default() });
        (0..1_000).for_each(|_| attacker.send(prune(TOPIC, None)));
        trial.handled(&attacker).await;
        trial.heartbeats(1).await;
        assert_eq!(attacker.prunes(TOPIC) + attacker.prunes(OTHER), 0);
        trial.assert_not_penalised(&attacker).await;
    })
    .await;
}

async fn a_graft_with_a_negative_score_is_refused(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        trial.misbehave(&attacker, 1).await;
        trial.wait("the heartbeat prunes the peer", async || attacker.prunes(TOPIC) == 1).await;
        trial.heartbeats(2).await;
        attacker.send(graft(TOPIC));
        trial.wait("the GRAFT is refused", async || attacker.prunes(TOPIC) == 2).await;
        assert!(!trial.mesh(TOPIC).await.contains(&attacker.id));
    })
    .await;
}

async fn one_rpc_subscribes_sends_and_grafts(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        let sent = attacker.message(1, 100);
        attacker.send(subscribe(TOPIC, true).and(message(&sent)).and(graft(TOPIC)));
        trial.wait_for_delivery(&sent).await;
        attacker.until("a forwarded message", |rpc| !rpc.messages.is_empty()).await;
        assert_eq!(attacker.prunes(TOPIC), 0);
    })
    .await;
}

async fn a_prune_to_a_peer_of_1_0_has_neither_backoff_nor_peers(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.peer(Options { protocols: vec![V1_0], ..Options::default() }).await;
        trial.enter_mesh(&attacker).await;
        trial.misbehave(&attacker, 1).await;
        let rpc = attacker.until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
        let expected = Prune { topic: Some(TOPIC.into()), ..Prune::default() };
        assert_eq!(rpc.prune, [expected]);
    })
    .await;
}

/// The peer stays subscribed all the time.
async fn nobody_is_grafted_within_the_backoff_of_our_own_leave(kind: Kind) {
    let backoff = Duration::from_secs(3);
    let prune_backoff = Duration::from_secs(1);
    let setup = Setup { unsubscribe_backoff: backoff, prune_backoff, honest: false, ..Setup::default() };
    trial(kind, setup, async |trial| {
        let attacker = trial.in_mesh().await;
        let start = Instant::now();
        trial.join(TOPIC, false).await;
        attacker.until("PRUNE", |rpc| rpc.prune.iter().any(|prune| prune.backoff == Some(3))).await;
        attacker.clear();
        trial.join(TOPIC, true).await;
        attacker.until("GRAFT", |rpc| !rpc.graft.is_empty()).await;
        assert!(start.elapsed() >= backoff, "{:?}", start.elapsed());
    })
    .await;
}

async fn a_subscriber_with_a_negative_score_is_pruned_without_peers(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        trial.misbehave(&attacker, 1).await;
        attacker.enter_mesh().await;
        let rpc = attacker.until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
        assert_eq!(rpc.prune[0].peers, []);
        assert!(trial.peers().await[&attacker.id].contains(TOPIC));
        assert!(!trial.mesh(TOPIC).await.contains(&attacker.id));
        assert_eq!(attacker.grafts(TOPIC), 0);
    })
    .await;
}

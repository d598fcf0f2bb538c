//! A node leaves its topics, ends, and starts again at once with the same key and with the backoffs of its former process. It
//! sends no GRAFT before its peers' backoff has ended, is in their meshes within two heartbeats afterwards, and nobody lowers
//! its score. A node that does not know the backoffs is penalised: the tests would notice a GRAFT that is too early.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_gossipsub::{
    Clock, P2pMessage, SystemClock,
    protocol::{Event, EventRecord, RemainingBackoff, Timestamp},
};
use libp2p::{PeerId, gossipsub, identity::Keypair};

use super::{
    Signing,
    ours::{Net, Ours, Setup, Traffic, topic},
    theirs::{self, Theirs},
    wait,
};

const UNSUBSCRIBE_BACKOFF: Duration = Duration::from_secs(2);

/// The times of the heartbeats of a node.
type Heartbeats = Arc<Mutex<Vec<Timestamp>>>;

/// A node that leaves with a short backoff, and otherwise has the intervals of the specification: expired backoffs are
/// removed every 15 heartbeats.
async fn start(key: &Keypair, backoffs: Vec<RemainingBackoff<Net>>) -> (Ours, Heartbeats) {
    let mut setup = Setup::new(Signing::Strict);
    setup.key = key.clone();
    setup.limits.backoff_cleanup_ticks = 15;
    setup.limits.unsubscribe_backoff = UNSUBSCRIBE_BACKOFF;
    // The score of a node that grafts within the backoff is negative at once.
    setup.limits.score.behaviour_penalty_weight = -10.0;
    setup.limits.score.behaviour_penalty_threshold = 0.0;
    let (heartbeats, clock) = (Heartbeats::default(), Arc::new(SystemClock::new()));
    let times = Arc::clone(&heartbeats);
    setup.engine = Box::new(move |builder| {
        let now = Arc::clone(&clock);
        builder.clock(clock).initial_backoffs(backoffs).observer(move |event| {
            if let Event::Heartbeat { .. } = event {
                times.lock().unwrap().push(now.now());
            }
        })
    });
    (Ours::start_with(setup).await, heartbeats)
}

/// Whether our node has sent a GRAFT to `peer`.
fn has_grafted(ours: &Ours, peer: PeerId) -> bool {
    let is_graft =
        |entry: &Traffic| matches!(entry, Traffic::Sent(to, P2pMessage::Graft { .. }) if *to == peer);
    ours.traffic().iter().any(is_graft)
}

/// What remains of the backoffs that a node left when it ended.
fn remaining(backoffs: Vec<RemainingBackoff<Net>>, ended: Instant) -> Vec<RemainingBackoff<Net>> {
    let rest = |backoff: RemainingBackoff<Net>| RemainingBackoff {
        remaining: backoff.remaining.saturating_sub(ended.elapsed()),
        ..backoff
    };
    backoffs.into_iter().map(rest).collect()
}

/// The number of heartbeats of our node from the end of the backoff of `peer` to its GRAFT.
async fn heartbeats_until_graft(
    ours: &Ours,
    peer: PeerId,
    until: Timestamp,
    heartbeats: &Heartbeats,
) -> usize {
    let records: Vec<EventRecord<Net>> = ours.worker.events(0, usize::MAX).records;
    let grafted = records.iter().find(|record| record.kind.name() == "GRAFT" && record.peer == Some(peer));
    let grafted = grafted.expect("our node grafted the peer").first;
    assert!(grafted >= until, "a GRAFT at {grafted:?}, before the end of the backoff at {until:?}");
    let heartbeats = heartbeats.lock().unwrap();
    heartbeats.iter().filter(|time| (until..=grafted).contains(*time)).count()
}

/// The end of the backoff with `peer`, by the clock of our node.
async fn backoff_until(ours: &Ours, peer: PeerId) -> Timestamp {
    let backoffs = ours.view().await.backoff.remove(&topic()).unwrap_or_default();
    *backoffs.get(&peer).unwrap_or_else(|| panic!("no backoff of {peer} in {backoffs:?}"))
}

#[actix_rt::test]
async fn at_a_node_of_this_crate() {
    let key = Keypair::generate_ed25519();
    let (stays, _) = start(&Keypair::generate_ed25519(), Vec::new()).await;
    let peer = key.public().to_peer_id();
    let gone = async || {
        wait::until("the former connection has ended", &stays, &[], async || {
            stays.knows(&peer).await.is_none().then_some(())
        })
        .await;
    };
    let (former, _) = start(&key, Vec::new()).await;
    former.dial(&stays.address).await;
    wait::both_meshed(&stays, &former).await;
    let (backoffs, ended) = (former.stop_with_backoffs().await, Instant::now());
    assert_eq!(backoffs.len(), 1);
    gone().await;
    let (returned, heartbeats) = start(&key, remaining(backoffs, ended)).await;
    let until = backoff_until(&returned, stays.peer).await;
    returned.dial(&stays.address).await;
    wait::both_meshed(&stays, &returned).await;
    let count = heartbeats_until_graft(&returned, stays.peer, until, &heartbeats).await;
    assert!((1..=2).contains(&count), "{count} heartbeats");
    assert_eq!(penalties(&stays), 0);
    assert!(stays.score(&peer).await >= 0.0);

    // Without the backoffs it grafts at once, and is penalised.
    drop(returned.stop_with_backoffs().await);
    gone().await;
    let (unaware, _) = start(&key, Vec::new()).await;
    unaware.dial(&stays.address).await;
    wait::until("the early GRAFT is penalised", &stays, &[], async || (penalties(&stays) > 0).then_some(()))
        .await;
    unaware.stop().await;
    stays.stop().await;
}

fn penalties(ours: &Ours) -> u64 {
    let counts = ours.worker.event_counts().into_iter();
    counts.filter(|(name, ..)| *name == "PENALTY").map(|(.., count)| count).sum()
}

#[actix_rt::test]
async fn at_an_official_peer() {
    let key = Keypair::generate_ed25519();
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    theirs
        .with_swarm(|swarm| {
            let parameters = gossipsub::PeerScoreParams {
                behaviour_penalty_weight: -10.0,
                behaviour_penalty_threshold: 0.0,
                ..Default::default()
            };
            swarm
                .behaviour_mut()
                .with_peer_score(parameters, gossipsub::PeerScoreThresholds::default())
                .unwrap();
        })
        .await;
    let peer = key.public().to_peer_id();
    let score = async || {
        let score = theirs.with_swarm(move |swarm| swarm.behaviour().peer_score(&peer)).await;
        score.expect("the peer has a score")
    };
    let (observer, _) = start(&Keypair::generate_ed25519(), Vec::new()).await;
    let gone = async || {
        wait::until("the former connection has ended", &observer, &[&theirs], async || {
            (!theirs.connected().await.contains(&peer)).then_some(())
        })
        .await;
    };
    let (former, _) = start(&key, Vec::new()).await;
    former.dial(&theirs.address).await;
    wait::meshed(&former, &[&theirs]).await;
    let (backoffs, ended) = (former.stop_with_backoffs().await, Instant::now());
    gone().await;
    let (returned, heartbeats) = start(&key, remaining(backoffs, ended)).await;
    let until = backoff_until(&returned, theirs.peer).await;
    returned.dial(&theirs.address).await;
    wait::meshed(&returned, &[&theirs]).await;
    let count = heartbeats_until_graft(&returned, theirs.peer, until, &heartbeats).await;
    assert!((1..=2).contains(&count), "{count} heartbeats");
    assert!(score().await >= 0.0, "{}", score().await);

    // Without the backoffs it grafts at once, and is penalised.
    drop(returned.stop_with_backoffs().await);
    gone().await;
    let (unaware, _) = start(&key, Vec::new()).await;
    unaware.dial(&theirs.address).await;
    wait::until("the early GRAFT is penalised", &unaware, &[&theirs], async || {
        (has_grafted(&unaware, theirs.peer) && score().await < 0.0).then_some(())
    })
    .await;
    unaware.stop().await;
    observer.stop().await;
}

//! These tests lose and re-establish connections: by either side, by the engine, and after a crash. A message that is
//! published while a mesh exists must be delivered exactly once.

use actix_gossipsub::libp2p::BehaviourConfig;
use libp2p::identity::Keypair;

use super::{
    Shown, Signing,
    ours::{Ours, Passed, Setup},
    theirs::{self, Theirs},
    wait,
};

const ROUNDS: usize = 3;
const MESSAGES: usize = 20;

/// What was published so far, by either side.
#[derive(Default)]
struct Published {
    by_us: Vec<Shown>,
    by_them: Vec<Shown>,
}

impl Published {
    /// Some more each way; all of them, and nothing else, must have been delivered after it. `before`:
    /// what `theirs` can't have got, having come later.
    async fn exchange(&mut self, ours: &Ours, theirs: &Theirs, before: usize) {
        wait::meshed(ours, &[theirs]).await;
        let first = self.by_us.len();
        let data = |who: &str| (first..first + MESSAGES).map(|n| format!("{who} {n}").into_bytes()).collect();
        self.by_us.extend(ours.publish(data("ours")));
        self.by_them.extend(theirs.publish(data("theirs")).await);
        wait::delivered(ours, self.by_them.len(), &[(theirs, self.by_us.len() - before)]).await;
        wait::heartbeats(ours, &[theirs], 2).await;
        wait::assert_exactly("ours", &ours.got(), &[&self.by_them]);
        wait::assert_exactly("theirs", &theirs.got(), &[&self.by_us[before..]]);
    }
}

/// Waits until we have seen `theirs` go `times` times.
async fn gone(ours: &Ours, theirs: &Theirs, times: usize) {
    wait::until("they are gone", ours, &[theirs], async || {
        let left = |entry: &&Passed| matches!(entry, Passed::Went(peer) if *peer == theirs.peer);
        let count = ours.passed().iter().filter(left).count();
        (count == times).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn they_disconnect_and_either_side_dials_again() {
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    let ours = Ours::start(Signing::Strict).await;
    let mut published = Published::default();
    ours.dial(&theirs.address).await;
    for round in 1..=ROUNDS {
        published.exchange(&ours, &theirs, 0).await;
        theirs.disconnect(ours.peer).await;
        gone(&ours, &theirs, round).await;
        assert!(ours.knows(&theirs.peer).await.is_none() && ours.mesh().await.is_empty());
        if round % 2 == 0 { ours.dial(&theirs.address).await } else { theirs.dial(&ours.address).await }
    }
    published.exchange(&ours, &theirs, 0).await;
    assert_eq!(ours.protocols_with(&theirs.peer).len(), ROUNDS + 1);
    assert_eq!(ours.trouble(), [""; 0]);
    ours.stop().await;
}

#[actix_rt::test]
async fn the_engine_dials_a_trusted_peer_again() {
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.bounds.reconnect_interval_ticks = 1;
    setup.gossipsub = BehaviourConfig::default().with(|c| c.trusted = [theirs.peer].into());
    let ours = Ours::start_with(setup).await;
    let mut published = Published::default();
    ours.dial(&theirs.address).await;
    for round in 1..=ROUNDS {
        published.exchange(&ours, &theirs, 0).await;
        theirs.disconnect(ours.peer).await;
        gone(&ours, &theirs, round).await;
    }
    published.exchange(&ours, &theirs, 0).await;
    ours.stop().await;
}

#[actix_rt::test]
async fn they_crash_and_start_again() {
    let (key, config) = (Keypair::generate_ed25519(), theirs::config(Signing::Strict));
    let ours = Ours::start(Signing::Strict).await;
    let mut published = Published::default();
    for _ in 0..ROUNDS {
        let theirs = Theirs::start_as("theirs", key.clone(), Signing::Strict, &config).await;
        theirs.dial(&ours.address).await;
        // What we had published before is over for one that begins anew, but for what gossip still has.
        wait::meshed(&ours, &[&theirs]).await;
        let before = published.by_us.len();
        published.exchange(&ours, &theirs, before).await;
        let peer = theirs.peer;
        theirs.crash().await;
        wait::until("they are gone", &ours, &[], async || ours.knows(&peer).await.is_none().then_some(()))
            .await;
    }
    assert_eq!(ours.trouble(), [""; 0]);
    ours.stop().await;
}

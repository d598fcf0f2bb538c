//! These tests lose and re-establish connections: by either side, by the engine, and after a crash. A message that is
//! published while a mesh exists must be delivered exactly once.

use actix_gossipsub::{
    libp2p::BehaviourConfig,
    protocol::{EventKind, EventRecord, PeerDecision},
};
use libp2p::identity::Keypair;

use super::{
    IdAndData, Signing,
    ours::{Ours, Setup, Traffic},
    raw::Net,
    theirs::{self, Theirs},
    wait,
};

const ROUNDS: usize = 3;
const MESSAGES: usize = 20;

/// The messages published so far by each side.
#[derive(Default)]
struct Published {
    from_us: Vec<IdAndData>,
    from_them: Vec<IdAndData>,
}

impl Published {
    /// Publishes more messages in each direction. Then all messages so far, and no others, must be delivered. `theirs`
    /// started after the first `before` of our messages.
    async fn exchange(&mut self, ours: &Ours, theirs: &Theirs, before: usize) {
        wait::meshed(ours, &[theirs]).await;
        let first = self.from_us.len();
        let data =
            |sender: &str| (first..first + MESSAGES).map(|n| format!("{sender} {n}").into_bytes()).collect();
        self.from_us.extend(ours.publish(data("ours")));
        self.from_them.extend(theirs.publish(data("theirs")).await);
        wait::delivered(ours, self.from_them.len(), &[(theirs, self.from_us.len() - before)]).await;
        wait::heartbeats(ours, &[theirs], 2).await;
        wait::assert_exactly("ours", &ours.delivered(), &[&self.from_them]);
        wait::assert_exactly("theirs", &theirs.delivered(), &[&self.from_us[before..]]);
    }
}

/// Connections that break are no misbehaviour: no score may have fallen below 0, and nothing follows from one.
pub(super) fn assert_no_low_score(ours: &Ours) {
    let low = |record: &EventRecord<Net>| {
        let acted = matches!(record.kind, EventKind::Decided(PeerDecision::ActedOnScore(_)));
        acted || record.score.is_some_and(|score| score < 0.0)
    };
    let low: Vec<_> = ours.worker.events(0, usize::MAX).records.into_iter().filter(low).collect();
    assert!(low.is_empty(), "{low:?}");
}

/// Waits until our node has seen `theirs` disconnect `times` times.
async fn wait_for_disconnections(ours: &Ours, theirs: &Theirs, times: usize) {
    wait::until("the official peer is disconnected", ours, &[theirs], async || {
        let is_disconnection =
            |entry: &&Traffic| matches!(entry, Traffic::Disconnected(peer) if *peer == theirs.peer);
        let count = ours.traffic().iter().filter(is_disconnection).count();
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
        wait_for_disconnections(&ours, &theirs, round).await;
        assert!(ours.knows(&theirs.peer).await.is_none() && ours.mesh().await.is_empty());
        if round % 2 == 0 { ours.dial(&theirs.address).await } else { theirs.dial(&ours.address).await }
    }
    published.exchange(&ours, &theirs, 0).await;
    assert_eq!(ours.protocols_with(&theirs.peer).len(), ROUNDS + 1);
    assert_eq!(ours.errors(), [""; 0]);
    assert_no_low_score(&ours);
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
        wait_for_disconnections(&ours, &theirs, round).await;
    }
    published.exchange(&ours, &theirs, 0).await;
    ours.stop().await;
}

/// A direct peer is in no mesh.
#[actix_rt::test]
async fn the_engine_dials_a_direct_peer_again() {
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.bounds.reconnect_interval_ticks = 1;
    setup.gossipsub = BehaviourConfig::default().with(|c| c.direct = [theirs.peer].into());
    let ours = Ours::start_with(setup).await;
    ours.dial(&theirs.address).await;
    for round in 1..=ROUNDS {
        wait::until("the direct peer is subscribed", &ours, &[&theirs], async || {
            (ours.knows(&theirs.peer).await == Some(true)).then_some(())
        })
        .await;
        theirs.disconnect(ours.peer).await;
        wait_for_disconnections(&ours, &theirs, round).await;
    }
    wait::until("the direct peer is connected again", &ours, &[&theirs], async || {
        (ours.knows(&theirs.peer).await == Some(true)).then_some(())
    })
    .await;
    ours.stop().await;
}

#[actix_rt::test]
async fn they_crash_and_start_again() {
    let (key, config) = (Keypair::generate_ed25519(), theirs::config(Signing::Strict));
    let mut setup = Setup::new(Signing::Strict);
    // Otherwise a new subscriber is offered our latest messages.
    setup.limits.extensions.publish_reaches_degree_optimal = false;
    let ours = Ours::start_with(setup).await;
    let mut published = Published::default();
    for _ in 0..ROUNDS {
        let theirs = Theirs::start_as("theirs", key.clone(), Signing::Strict, &config).await;
        theirs.dial(&ours.address).await;
        // A restarted peer does not receive our former messages, except those that are still gossiped.
        wait::meshed(&ours, &[&theirs]).await;
        let before = published.from_us.len();
        published.exchange(&ours, &theirs, before).await;
        let peer = theirs.peer;
        theirs.crash().await;
        wait::until("the official peer is disconnected", &ours, &[], async || {
            ours.knows(&peer).await.is_none().then_some(())
        })
        .await;
    }
    assert_eq!(ours.errors(), [""; 0]);
    assert_no_low_score(&ours);
    ours.stop().await;
}

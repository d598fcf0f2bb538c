//! These tests check that the first messages arrive before any heartbeat of our node (A10).

use std::time::Duration;

use super::{
    Signing,
    ours::{Ours, Setup},
    theirs::{self, Theirs},
    wait,
};

/// A node whose heartbeats are too late for the test.
async fn without_heartbeats() -> Ours {
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.heartbeat_interval = Duration::from_secs(3600);
    Ours::start_with(setup).await
}

#[actix_rt::test]
async fn what_we_publish_as_soon_as_an_official_peer_has_subscribed_arrives() {
    let ours = without_heartbeats().await;
    let theirs = Theirs::start("theirs", Signing::Strict, &theirs::config(Signing::Strict)).await;
    // Before it is connected: it is offered the message when it subscribes.
    let before = ours.publish(vec![b"before".to_vec()]);
    ours.dial(&theirs.address).await;
    wait::until("the official peer is subscribed", &ours, &[&theirs], async || {
        (ours.knows(&theirs.peer).await == Some(true)).then_some(())
    })
    .await;
    let after = ours.publish(vec![b"after".to_vec()]);
    wait::delivered(&ours, 0, &[(&theirs, 2)]).await;
    wait::assert_exactly("theirs", &theirs.delivered(), &[&before, &after]);
    assert!(ours.mesh().await.contains(&theirs.peer));
    assert_eq!((ours.view().await.heartbeat_ticks, ours.errors()), (0, vec![]));
    ours.stop().await;
}

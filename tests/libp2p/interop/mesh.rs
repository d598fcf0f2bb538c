//! These tests check GRAFT, PRUNE, backoff and subscriptions with an official peer that has peer scoring enabled.

use std::time::Duration;

use actix_gossipsub::{P2pMessage, libp2p::TopicName};
use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds};

use super::{
    Signing,
    ours::{Ours, Setup, Traffic, topic},
    theirs::{self, Theirs},
    wait,
};

/// Our node and an official peer in each other's mesh. A second is the shortest backoff that can be encoded. Our node
/// keeps it for two heartbeats more, which covers the time until the prune arrives; heartbeats are long enough for slow
/// machines.
async fn start_in_mesh() -> (Ours, Theirs) {
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.unsubscribe_backoff = Duration::from_secs(1);
    setup.limits.heartbeat_interval = Duration::from_millis(500);
    let mut config = theirs::config(Signing::Strict);
    config.unsubscribe_backoff(Duration::from_secs(1)).prune_backoff(Duration::from_secs(1));
    let (ours, theirs) =
        (Ours::start_with(setup).await, Theirs::start("theirs", Signing::Strict, &config).await);
    theirs
        .with_swarm(|swarm| {
            let gossipsub = swarm.behaviour_mut();
            gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default())
        })
        .await
        .unwrap();
    ours.dial(&theirs.address).await;
    wait::meshed(&ours, &[&theirs]).await;
    (ours, theirs)
}

/// Sends a message in each direction. Asserts that all messages so far were delivered once.
async fn exchange(ours: &Ours, theirs: &Theirs, round: usize) {
    ours.publish(vec![format!("ours {round}").into_bytes()]);
    theirs.publish(vec![format!("theirs {round}").into_bytes()]).await;
    wait::delivered(ours, round, &[(theirs, round)]).await;
    assert_eq!((ours.delivered().len(), theirs.delivered().len()), (round, round));
}

/// Asserts that neither side penalised the other for an early graft.
async fn assert_no_penalty(ours: &Ours, theirs: &Theirs) {
    let us = ours.peer;
    let score = theirs.with_swarm(move |swarm| swarm.behaviour().peer_score(&us)).await;
    assert!(score.is_some_and(|score| score >= 0.0), "the official peer scores our node with {score:?}");
    let view = ours.view().await;
    assert_eq!(view.scores[&theirs.peer].behaviour_penalty, 0.0);
    assert_eq!(ours.errors(), [""; 0]);
}

fn is_prune(message: &P2pMessage<super::ours::Net>, of: &TopicName) -> bool {
    let P2pMessage::Prune { topic, backoff, .. } = message else { return false };
    topic == of && *backoff == Duration::from_secs(1)
}

#[actix_rt::test]
async fn we_leave_and_enter_the_mesh_again_after_the_backoff() {
    let (ours, theirs) = start_in_mesh().await;
    exchange(&ours, &theirs, 1).await;
    ours.leave();
    wait::until("the official peer knows that our node left", &ours, &[&theirs], async || {
        let left = theirs.mesh().await.is_empty() && theirs.subscriptions_of(ours.peer) == [true, false];
        left.then_some(())
    })
    .await;
    assert!(
        ours.traffic().iter().any(|p| matches!(p, Traffic::Sent(_, message) if is_prune(message, &topic())))
    );
    assert_eq!(ours.worker.stats().count_sent_prunes, 1);
    assert!(!ours.worker.is_subscribed(&topic()));

    // The subscription is sent at once, but the mesh has to wait for the backoff.
    ours.join();
    wait::meshed(&ours, &[&theirs]).await;
    assert_eq!(theirs.subscriptions_of(ours.peer), [true, false, true]);
    exchange(&ours, &theirs, 2).await;
    assert_no_penalty(&ours, &theirs).await;
    ours.stop().await;
}

#[actix_rt::test]
async fn they_leave_and_enter_the_mesh_again() {
    let (ours, theirs) = start_in_mesh().await;
    exchange(&ours, &theirs, 1).await;
    they_leave(&ours, &theirs).await;
    // No subscriber is left.
    let sent = ours.worker.stats().count_sent_app_messages;
    ours.publish(vec![b"without subscribers".to_vec()]);
    wait::heartbeats(&ours, &[&theirs], 1).await;
    assert_eq!(ours.worker.stats().count_sent_app_messages, sent);

    theirs.subscribe(true).await;
    wait::until("our node knows that the official peer subscribed again", &ours, &[&theirs], async || {
        (ours.knows(&theirs.peer).await == Some(true)).then_some(())
    })
    .await;
    wait::meshed(&ours, &[&theirs]).await;
    let (here, there) = (theirs.publish(vec![b"back".to_vec()]).await, ours.publish(vec![b"so".to_vec()]));
    // The message published without subscribers may be gossiped too.
    wait::until("both messages are delivered", &ours, &[&theirs], async || {
        (ours.delivered().contains(&here[0]) && theirs.delivered().contains(&there[0])).then_some(())
    })
    .await;
    ours.stop().await;
}

/// The official peer sends UNSUBSCRIBE and then PRUNE, and applies the backoff of its PRUNE itself.
#[actix_rt::test]
async fn they_subscribe_again_at_once_and_we_wait_for_the_backoff() {
    let (ours, theirs) = start_in_mesh().await;
    they_leave(&ours, &theirs).await;
    theirs.subscribe(true).await;
    wait::meshed(&ours, &[&theirs]).await;
    assert_no_penalty(&ours, &theirs).await;
    exchange(&ours, &theirs, 1).await;
    ours.stop().await;
}

/// The official peer leaves. Waits until our node has received UNSUBSCRIBE and PRUNE.
async fn they_leave(ours: &Ours, theirs: &Theirs) {
    theirs.subscribe(false).await;
    wait::until("our node knows that the official peer left", ours, &[theirs], async || {
        let left = ours.mesh().await.is_empty() && ours.knows(&theirs.peer).await == Some(false);
        let pruned =
            |entry: &Traffic| matches!(entry, Traffic::Received(_, message) if is_prune(message, &topic()));
        (left && ours.traffic().iter().any(pruned)).then_some(())
    })
    .await;
}

/// Both sides leave and join at the same time, several times. Their meshes agree in the end.
#[actix_rt::test]
async fn both_leave_and_join_again_at_the_same_time() {
    let (ours, theirs) = start_in_mesh().await;
    // Both may have sent a GRAFT. One that arrived after the first leave would be an early one.
    exchange(&ours, &theirs, 1).await;
    for _ in 0..5 {
        ours.leave();
        theirs.subscribe(false).await;
        ours.join();
        theirs.subscribe(true).await;
    }
    wait::meshed(&ours, &[&theirs]).await;
    exchange(&ours, &theirs, 2).await;
    assert_no_penalty(&ours, &theirs).await;
    ours.stop().await;
}

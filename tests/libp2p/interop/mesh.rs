//! These tests check GRAFT, PRUNE, backoff and subscriptions with an official peer that has peer scoring enabled.

use std::time::Duration;

use actix_gossipsub::{P2pMessage, libp2p::TopicName};
use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds};

use super::{
    Signing,
    ours::{Ours, Passed, Setup, topic},
    theirs::{self, Theirs},
    wait,
};

/// A second is the shortest backoff that can be written. Ours is kept for two heartbeats more, which is
/// what the prune may take to arrive: long ones, for a slow machine.
async fn scene() -> (Ours, Theirs) {
    let mut setup = Setup::new(Signing::Strict);
    setup.limits.unsubscribe_backoff = Duration::from_secs(1);
    setup.limits.heartbeat_interval = Duration::from_millis(500);
    let mut config = theirs::config(Signing::Strict);
    config.unsubscribe_backoff(Duration::from_secs(1)).prune_backoff(Duration::from_secs(1));
    let (ours, theirs) =
        (Ours::start_with(setup).await, Theirs::start("theirs", Signing::Strict, &config).await);
    theirs
        .ask(|swarm| {
            let gossipsub = swarm.behaviour_mut();
            gossipsub.with_peer_score(PeerScoreParams::default(), PeerScoreThresholds::default())
        })
        .await
        .unwrap();
    ours.dial(&theirs.address).await;
    wait::meshed(&ours, &[&theirs]).await;
    (ours, theirs)
}

/// A message each way arrives, and those before did, each once.
async fn exchange(ours: &Ours, theirs: &Theirs, round: usize) {
    ours.publish(vec![format!("ours {round}").into_bytes()]);
    theirs.publish(vec![format!("theirs {round}").into_bytes()]).await;
    wait::delivered(ours, round, &[(theirs, round)]).await;
    assert_eq!((ours.got().len(), theirs.got().len()), (round, round));
}

/// Nobody grafted too early: neither side penalised the other.
async fn assert_no_penalty(ours: &Ours, theirs: &Theirs) {
    let us = ours.peer;
    let score = theirs.ask(move |swarm| swarm.behaviour().peer_score(&us)).await;
    assert!(score.is_some_and(|score| score >= 0.0), "their score of us is {score:?}");
    let view = ours.view().await;
    assert_eq!(view.scores[&theirs.peer].behaviour_penalty, 0.0);
    assert_eq!(ours.trouble(), [""; 0]);
}

fn is_prune(message: &P2pMessage<super::ours::Net>, of: &TopicName) -> bool {
    let P2pMessage::Prune { topic, backoff, .. } = message else { return false };
    topic == of && *backoff == Duration::from_secs(1)
}

#[actix_rt::test]
async fn we_leave_and_come_back_after_the_backoff() {
    let (ours, theirs) = scene().await;
    exchange(&ours, &theirs, 1).await;
    ours.leave();
    wait::until("they heard that we left", &ours, &[&theirs], async || {
        let gone = theirs.mesh().await.is_empty() && theirs.heard_of(ours.peer) == [true, false];
        gone.then_some(())
    })
    .await;
    assert!(ours.passed().iter().any(|p| matches!(p, Passed::Spoke(_, said) if is_prune(said, &topic()))));
    assert_eq!(ours.worker.stats().count_sent_prunes, 1);
    assert!(!ours.worker.is_subscribed(&topic()));

    // At once: they hear the subscription, but the mesh has to wait.
    ours.join();
    wait::meshed(&ours, &[&theirs]).await;
    assert_eq!(theirs.heard_of(ours.peer), [true, false, true]);
    exchange(&ours, &theirs, 2).await;
    assert_no_penalty(&ours, &theirs).await;
    ours.stop().await;
}

#[actix_rt::test]
async fn they_leave_and_come_back() {
    let (ours, theirs) = scene().await;
    exchange(&ours, &theirs, 1).await;
    they_leave(&ours, &theirs).await;
    // Nobody is left to send to.
    let sent = ours.worker.stats().count_sent_app_messages;
    ours.publish(vec![b"to nobody".to_vec()]);
    wait::heartbeats(&ours, &[&theirs], 1).await;
    assert_eq!(ours.worker.stats().count_sent_app_messages, sent);

    theirs.subscribe(true).await;
    wait::until("we heard that they are back", &ours, &[&theirs], async || {
        (ours.knows(&theirs.peer).await == Some(true)).then_some(())
    })
    .await;
    wait::meshed(&ours, &[&theirs]).await;
    let (here, there) = (theirs.publish(vec![b"back".to_vec()]).await, ours.publish(vec![b"so".to_vec()]));
    // What was published to nobody may still be in our history, and be offered.
    wait::until("the messages", &ours, &[&theirs], async || {
        (ours.got().contains(&here[0]) && theirs.got().contains(&there[0])).then_some(())
    })
    .await;
    ours.stop().await;
}

/// The official peer sends UNSUBSCRIBE and then PRUNE, whose backoff it keeps itself.
#[actix_rt::test]
async fn they_come_back_at_once_and_we_wait_for_the_backoff() {
    let (ours, theirs) = scene().await;
    they_leave(&ours, &theirs).await;
    theirs.subscribe(true).await;
    wait::meshed(&ours, &[&theirs]).await;
    assert_no_penalty(&ours, &theirs).await;
    exchange(&ours, &theirs, 1).await;
    ours.stop().await;
}

/// They leave; we hear UNSUBSCRIBE and PRUNE.
async fn they_leave(ours: &Ours, theirs: &Theirs) {
    theirs.subscribe(false).await;
    wait::until("we heard that they left", ours, &[theirs], async || {
        let gone = ours.mesh().await.is_empty() && ours.knows(&theirs.peer).await == Some(false);
        let pruned = |passed: &Passed| matches!(passed, Passed::Heard(_, said) if is_prune(said, &topic()));
        (gone && ours.passed().iter().any(pruned)).then_some(())
    })
    .await;
}

/// Left and joined again by both sides at the same time, over and over: they agree in the end.
#[actix_rt::test]
async fn both_leave_and_come_back_at_once() {
    let (ours, theirs) = scene().await;
    for _ in 0..5 {
        ours.leave();
        theirs.subscribe(false).await;
        ours.join();
        theirs.subscribe(true).await;
    }
    wait::meshed(&ours, &[&theirs]).await;
    exchange(&ours, &theirs, 1).await;
    assert_no_penalty(&ours, &theirs).await;
    ours.stop().await;
}

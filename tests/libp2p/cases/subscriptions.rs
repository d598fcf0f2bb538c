//! Subscriptions: the target's own, and the target's bounds on those of its peers.

use crate::cases::{
    TOPIC, cases,
    target::{Kind, Setup},
    trial::trial,
    wire::{Rpc, subscribe},
};

cases! {
    "S1" a_new_connection_gets_each_subscription_once Agrees;
    "S2" an_unsubscribed_peer_leaves_the_mesh Agrees;
    "S3" the_subscriptions_of_a_peer_are_bounded Agrees;
    "S4" the_last_subscription_of_an_rpc_counts Agrees;
    "S5" a_target_that_leaves_sends_prune_and_unsubscribe Agrees;
}

async fn a_new_connection_gets_each_subscription_once(kind: Kind) {
    trial(kind, Setup { topics: vec![TOPIC, "second"], ..Setup::default() }, async |trial| {
        let attacker = trial.attacker().await;
        attacker.subscribed(TOPIC).await;
        attacker.subscribed("second").await;
        trial.heartbeats(3).await;
        let received = attacker.received();
        assert!(!received[0].subscriptions.is_empty() || received[0].extensions.is_some(), "{received:?}");
        let mut all: Vec<_> = received.into_iter().flat_map(|rpc| rpc.subscriptions).collect();
        all.sort();
        assert_eq!(all, [(true, TOPIC.to_owned()), (true, "second".to_owned())]);
    })
    .await;
}

async fn an_unsubscribed_peer_leaves_the_mesh(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.in_mesh().await;
        attacker.send(subscribe(TOPIC, false));
        trial.handled(&attacker).await;
        if let Some(mesh) = trial.target.mesh(TOPIC).await {
            assert!(!mesh.contains(&attacker.id));
        }
        let sent = trial.publish(1 << 20, 5, 100);
        for message in &sent {
            trial.honest(1).wait_for_message(message).await;
        }
        trial.heartbeats(2).await;
        assert!(sent.iter().all(|message| attacker.copies(&message.id()) == 0));
    })
    .await;
}

async fn the_subscriptions_of_a_peer_are_bounded(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.hello().await;
        let many = |first: usize, count: usize| Rpc {
            subscriptions: (first..first + count).map(|n| (true, format!("topic {n}"))).collect(),
            ..Rpc::default()
        };
        attacker.send(many(0, 25_000));
        (0..100).for_each(|n| attacker.send(many(30_000 + n * 1_000, 1_000)));
        // The stream may be reset.
        trial.heartbeats(3).await;
        if trial.target.peers().await.is_some() {
            let stored = trial.peers().await.remove(&attacker.id).unwrap_or_default();
            assert!(stored.len() <= 1_025, "{} topics of one peer", stored.len());
        }
    })
    .await;
}

/// A subscriber is grafted, or gets gossip.
async fn the_last_subscription_of_an_rpc_counts(kind: Kind) {
    trial(kind, Setup::default(), async |trial| {
        let attacker = trial.attacker().await;
        attacker.subscribed(TOPIC).await;
        let changes = [true, false, true].map(|on| subscribe(TOPIC, on));
        attacker.send(changes.into_iter().fold(Rpc::default(), Rpc::and));
        attacker.until("GRAFT or IHAVE", |rpc| !rpc.graft.is_empty() || !rpc.ihave.is_empty()).await;
    })
    .await;
}

async fn a_target_that_leaves_sends_prune_and_unsubscribe(kind: Kind) {
    trial(kind, Setup { honest: false, ..Setup::default() }, async |trial| {
        let attacker = trial.in_mesh().await;
        trial.join(TOPIC, false).await;
        let rpc = attacker.until("PRUNE", |rpc| !rpc.prune.is_empty()).await;
        assert_eq!((rpc.prune[0].topic.as_deref(), rpc.prune[0].backoff), (Some(TOPIC), Some(10)));
        let unsubscribed = (false, TOPIC.to_owned());
        attacker.until("UNSUBSCRIBE", |rpc| rpc.subscriptions.contains(&unsubscribed)).await;
    })
    .await;
}

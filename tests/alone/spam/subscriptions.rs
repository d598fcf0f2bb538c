//! These tests attack with SUBSCRIBE and UNSUBSCRIBE, and with topics that are never joined.

use actix_gossipsub::protocol::{GraftOutcome, SubscribeOutcome};

use super::{bare_node::BareNode, support::*};

const MILLION: u64 = 1_000_000;

#[test]
fn a_million_subscriptions_and_unsubscriptions_store_nothing() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario
                .attack(2 * MILLION as usize, |number| match number % 2 {
                    0 => subscribe(ATTACKER, NOT_JOINED + number / 2),
                    _ => unsubscribe(ATTACKER, NOT_JOINED + number / 2),
                })
                .await;
            scenario.assert_nothing_kept(&cost);
            assert_eq!(scenario.view().await.connections[&ATTACKER].topics.len(), 1);
        },
    );
}

#[test]
fn subscriptions_of_a_peer_are_bounded() {
    with_attacker(
        |_| {},
        async |scenario| {
            let cost = scenario.attack(100_000, |number| subscribe(ATTACKER, NOT_JOINED + number)).await;
            let max = scenario.limits().max_topics_per_peer;
            assert_eq!(scenario.view().await.connections[&ATTACKER].topics.len(), max);
            assert_eq!(cost.after.footprint.topics - cost.before.footprint.topics, max - 1);
            assert!(
                cost.bytes() <= max * (TOPIC + 3 * ENTRY) + scenario.allowance(),
                "{} bytes",
                cost.bytes()
            );
            scenario.send(actix_gossipsub::P2pInput::Disconnection { peer: ATTACKER });
            scenario.pass_heartbeats(scenario.limits().retain_duration.as_secs() as usize + 1).await;
            assert_eq!(scenario.usage().await.footprint.topics, 2);
        },
    );
}

#[test]
fn grafts_on_a_million_topics_leave_a_bounded_number_of_idle_topics() {
    let mut bare = BareNode::new(|limits| limits.bounds.max_idle_topics = 1000);
    bare.connect(1);
    bare.join(CALM);
    for topic in 0..MILLION {
        let outcome = bare.node.graft(&1, &(NOT_JOINED + topic), bare.now);
        assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
        if topic % 1000 == 0 {
            bare.node.drain();
        }
    }
    let footprint = bare.node.footprint();
    assert_eq!((footprint.topics, footprint.backoffs), (1 + 1000, 1000));
}

/// Each peer subscribes, so that the topics are stored, sends grafts that are refused with a backoff, and disconnects.
#[test]
fn topics_of_disconnected_peers_are_bounded() {
    const TOPICS: u64 = 500;
    let mut bare = BareNode::new(|limits| limits.bounds.max_idle_topics = 100);
    for peer in 0..10 {
        bare.connect(peer);
        for topic in 0..TOPICS {
            let topic = NOT_JOINED + peer * TOPICS + topic;
            assert_eq!(bare.node.subscribe(&peer, &topic, bare.now), SubscribeOutcome::Subscribed);
            assert_eq!(bare.node.graft(&peer, &topic, bare.now), GraftOutcome::UnsubscribedTopic);
        }
        bare.node.remove_peer(&peer, bare.now);
        bare.node.heartbeat(bare.now);
    }
    let footprint = bare.node.footprint();
    assert!(footprint.topics <= 100, "{} topics without subscribers are stored", footprint.topics);
}

#[test]
fn topics_of_disconnected_peers_are_bounded_in_the_engine() {
    const TOPICS: u64 = 500;
    with_attacker(
        |limits| limits.bounds.max_idle_topics = 100,
        async |scenario| {
            for peer in 1000..1010 {
                scenario.send(actix_gossipsub::P2pInput::connected(peer));
                let topic = |number: u64| NOT_JOINED + peer * TOPICS + number / 2;
                scenario
                    .attack(2 * TOPICS as usize, |number| match number % 2 {
                        0 => subscribe(peer, topic(number)),
                        _ => graft(peer, topic(number)),
                    })
                    .await;
                scenario.send(actix_gossipsub::P2pInput::Disconnection { peer });
                scenario.pass_heartbeats(1).await;
            }
            let topics = scenario.usage().await.footprint.topics;
            assert!(topics <= 2 + 100, "{topics} topics without subscribers are stored");
        },
    );
}

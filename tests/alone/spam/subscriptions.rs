//! SUBSCRIBE and UNSUBSCRIBE, and topics that nobody needs.

use actix_gossipsub::protocol::{GraftOutcome, SubscribeOutcome};

use super::{support::*, world::World};

const MILLION: u64 = 1_000_000;

#[test]
fn a_million_topics_subscribed_to_and_left_leave_no_trace() {
    besieged(
        |_| {},
        async |siege| {
            let toll = siege
                .attack(2 * MILLION as usize, |number| match number % 2 {
                    0 => subscribe(ATTACKER, NOT_JOINED + number / 2),
                    _ => unsubscribe(ATTACKER, NOT_JOINED + number / 2),
                })
                .await;
            siege.assert_nothing_kept(&toll);
            assert_eq!(siege.view().await.connections[&ATTACKER].topics.len(), 1);
        },
    );
}

#[test]
fn of_the_topics_subscribed_to_as_many_count_as_may() {
    besieged(
        |_| {},
        async |siege| {
            let toll = siege.attack(100_000, |number| subscribe(ATTACKER, NOT_JOINED + number)).await;
            let max = siege.limits().max_topics_per_peer;
            assert_eq!(siege.view().await.connections[&ATTACKER].topics.len(), max);
            assert_eq!(toll.after.footprint.topics - toll.before.footprint.topics, max - 1);
            assert!(toll.bytes() <= max * (TOPIC + 3 * ENTRY) + siege.slack(), "{} bytes", toll.bytes());
            siege.say(actix_gossipsub::P2pInput::Disconnection { peer: ATTACKER });
            siege.pass(siege.limits().retain_duration.as_secs() as usize + 1).await;
            assert_eq!(siege.burden().await.footprint.topics, 2);
        },
    );
}

#[test]
fn a_million_grafts_on_as_many_topics_leave_as_many_idle_topics_as_may() {
    let mut world = World::new(|limits| limits.bounds.max_idle_topics = 1000);
    world.connect(1);
    world.join(CALM);
    for topic in 0..MILLION {
        let outcome = world.node.graft(&1, &(NOT_JOINED + topic), world.now);
        assert_eq!(outcome, GraftOutcome::UnsubscribedTopic);
        if topic % 1000 == 0 {
            world.node.drain();
        }
    }
    let footprint = world.node.footprint();
    assert_eq!((footprint.topics, footprint.backoffs), (1 + 1000, 1000));
}

/// It subscribes, so that the topics are remembered; is refused a graft, so that there is a backoff;
/// and goes.
#[test]
fn topics_of_peers_that_left_are_idle_too() {
    const TOPICS: u64 = 500;
    let mut world = World::new(|limits| limits.bounds.max_idle_topics = 100);
    for peer in 0..10 {
        world.connect(peer);
        for topic in 0..TOPICS {
            let topic = NOT_JOINED + peer * TOPICS + topic;
            assert_eq!(world.node.subscribe(&peer, &topic, world.now), SubscribeOutcome::Subscribed);
            assert_eq!(world.node.graft(&peer, &topic, world.now), GraftOutcome::UnsubscribedTopic);
        }
        world.node.remove_peer(&peer, world.now);
        world.node.heartbeat(world.now);
    }
    let footprint = world.node.footprint();
    assert!(footprint.topics <= 100, "{} topics remembered that nobody subscribed to", footprint.topics);
}

#[test]
fn topics_of_peers_that_left_are_idle_in_the_engine_too() {
    const TOPICS: u64 = 500;
    besieged(
        |limits| limits.bounds.max_idle_topics = 100,
        async |siege| {
            for peer in 1000..1010 {
                siege.say(actix_gossipsub::P2pInput::connected(peer));
                let topic = |number: u64| NOT_JOINED + peer * TOPICS + number / 2;
                siege
                    .attack(2 * TOPICS as usize, |number| match number % 2 {
                        0 => subscribe(peer, topic(number)),
                        _ => graft(peer, topic(number)),
                    })
                    .await;
                siege.say(actix_gossipsub::P2pInput::Disconnection { peer });
                siege.pass(1).await;
            }
            let topics = siege.burden().await.footprint.topics;
            assert!(topics <= 2 + 100, "{topics} topics remembered that nobody subscribed to");
        },
    );
}

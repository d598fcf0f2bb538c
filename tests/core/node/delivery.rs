//! These tests publish and receive full messages.

use std::collections::BTreeSet;

use actix_gossipsub::protocol::{ReceiveOutcome, ValidationMode};

use super::setup::{BOTH, MANY, SECOND, Setup, World, assert_score};

#[test]
fn publishing_to_a_topic_not_joined_goes_to_d_peers() {
    let mut world = Setup::new().connected(MANY).subscribed().start();
    assert_eq!(world.publish(0).len(), world.limits.degree_optimal);
    assert!(world.is_cached(0));
}

#[test]
fn publishing_to_a_topic_not_joined_makes_a_fanout() {
    let mut world = Setup::new().connected(MANY).subscribed().start();
    world.leave();
    let to: BTreeSet<u32> = world.publish(0).into_iter().collect();
    assert_eq!((to.len(), &to), (world.limits.degree_optimal, &world.fanout()));
    assert!(world.is_cached(0));
}

#[test]
fn a_received_message_goes_to_the_mesh() {
    for validation_mode in BOTH {
        let mut world =
            Setup::new().validation_mode(validation_mode).connected(MANY).subscribed().joined().start();
        let ReceiveOutcome::Route { to } = world.deliver(99, 0) else { panic!("not routed") };
        assert_eq!(to.into_iter().collect::<BTreeSet<_>>(), world.mesh());
        assert!(world.is_cached(0));
    }
}

#[test]
fn a_message_of_a_topic_not_joined_is_dropped() {
    for validation_mode in BOTH {
        let mut world = Setup::new().validation_mode(validation_mode).connected(MANY).subscribed().start();
        assert_eq!(world.deliver(0, 0), ReceiveOutcome::NotSubscribed);
        assert!(!world.is_cached(0));
    }
}

/// P2 and P3 without decay, P1 worth nothing.
fn counting_deliveries(validation_mode: ValidationMode) -> World {
    let setup = Setup::new().validation_mode(validation_mode).topic_score(|topic| {
        topic.time_in_mesh_cap = 0.0;
        topic.first_message_deliveries_decay = 1.0;
        topic.mesh_message_deliveries_decay = 1.0;
        topic.mesh_message_deliveries_activation = SECOND;
        topic.mesh_message_deliveries_window = 2 * SECOND;
        topic.mesh_message_deliveries_threshold = 3;
    });
    setup.connected(MANY).subscribed().joined().start()
}

#[test]
fn a_duplicate_from_the_same_sender_does_not_count_as_delivered() {
    for validation_mode in BOTH {
        let mut world = counting_deliveries(validation_mode);
        let sender = *world.mesh().first().expect("a mesh");
        world.graft(sender);
        world.deliver(sender, 0);
        world.deliver(sender, 1);
        world.advance(2 * SECOND);
        world.heartbeat();
        assert!(world.mesh().contains(&sender));

        assert_eq!(world.deliver(sender, 0), ReceiveOutcome::AlreadyReceived);
        let (p2, p3) = (2.0, -1.0);
        assert_score(&world, sender, p2 + p3);
    }
}
